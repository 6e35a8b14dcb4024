// Lets the clocks of the session page go on. Without it the page shows what was true when it was sent.
"use strict";

const sentAt = Number(document.querySelector("[data-now]")?.dataset.now);
// The visitor's clock may be wrong: only what has passed since is taken from it.
const loadedAt = performance.now();

function dial(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole >= 172800) return `${Math.floor(whole / 86400)} days`;
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function tick() {
  const now = sentAt + (performance.now() - loadedAt) / 1000;
  for (const clock of document.querySelectorAll("[data-until]")) {
    clock.textContent = dial(Number(clock.dataset.until) - now);
  }
  for (const clock of document.querySelectorAll("[data-since]")) {
    clock.textContent = dial(now - Number(clock.dataset.since));
  }
}

setInterval(tick, 1000);
