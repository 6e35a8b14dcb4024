// Warns two minutes before the session ends, and goes to the login page when it has, which tells why.
// The server alone knows the time: this page asks it, by a request that keeps nothing alive.
"use strict";

const WARN_AT = 120; // seconds before the end
const SAY_AT = 30;
const ASK_EVERY = 10; // while the warning is open: another tab, or another device, may have settled it
const LONGEST = 3600; // a timer of the browser that is longer than 24 days fires at once

const ending = document.getElementById("ending");
const clock = ending.querySelector("[role=timer]");
const word = ending.querySelector("[role=status]");
const tabs = new BroadcastChannel("session");

let questions = 0;
let nextQuestion;
let nextTick;
let endsAt; // on the page's own clock
let isDismissed = false;
let isInDoubt = false;

async function ask() {
  clearTimeout(nextQuestion);
  const question = ++questions;
  const told = await answered();
  if (question !== questions) return; // a later question knows better
  if (told === null) {
    later(ASK_EVERY); // no network, or a server that is being restarted
  } else if (!told.signed_in && told.ended_because === "replaced" && !isInDoubt) {
    isInDoubt = true; // another tab may be getting a new cookie just now
    later(1);
  } else if (!told.signed_in) {
    leave();
  } else if (told.seconds_left > WARN_AT) {
    isInDoubt = false;
    isDismissed = false;
    ending.close();
    waitForWarning(told.seconds_left);
  } else {
    warn(told);
    later(Math.min(Math.max(told.seconds_left, 1), ASK_EVERY));
  }
}

async function answered() {
  try {
    const answer = await fetch(ending.dataset.ask, { headers: { Accept: "application/json" } });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

function waitForWarning(secondsLeft) {
  later(Math.min(Math.max(secondsLeft - WARN_AT, 0), LONGEST));
}

function later(seconds) {
  nextQuestion = setTimeout(ask, seconds * 1000);
}

function warn(told) {
  endsAt = performance.now() + told.seconds_left * 1000;
  const mayStay = told.ends_because === "idle";
  for (const one of ending.querySelectorAll(".for-idle")) one.hidden = !mayStay;
  for (const one of ending.querySelectorAll(".for-absolute")) one.hidden = mayStay;
  if (ending.open || isDismissed) return;
  word.textContent = "";
  tick();
  ending.showModal();
}

function tick() {
  clearTimeout(nextTick);
  const left = Math.max(0, Math.ceil((endsAt - performance.now()) / 1000));
  clock.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  if (left <= SAY_AT && !word.textContent) word.textContent = "Half a minute is left.";
  nextTick = setTimeout(() => ending.open && tick(), 1000);
}

async function stay() {
  const form = ending.querySelector(".stay");
  try {
    await fetch(form.action, { method: "POST", body: new FormData(form) });
  } catch {
    // The question tells what became of it.
  }
  await ask();
  tabs.postMessage("ask");
}

function leave() {
  const here = location.pathname + location.search;
  location.assign(`${ending.dataset.login}?next=${encodeURIComponent(here)}`);
}

ending.querySelector(".stay").addEventListener("submit", (event) => {
  event.preventDefault();
  stay();
});
ending.addEventListener("cancel", (event) => {
  // Escape says that somebody is there.
  if (ending.querySelector(".stay").hidden) {
    isDismissed = true;
  } else {
    event.preventDefault();
    stay();
  }
});
tabs.addEventListener("message", ask);
// Timers sleep where a laptop does, and a page that the back button brings may be an old one.
addEventListener("focus", ask);
addEventListener("pageshow", (event) => event.persisted && ask());
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && ask());
waitForWarning(Number(ending.dataset.left));
