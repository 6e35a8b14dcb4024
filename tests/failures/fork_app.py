"""An application whose store is made, and used, when it is imported: before its server forks."""

from __future__ import annotations

import os
import threading
from typing import Any

from flask import Flask, request, session

from flask_sessionkit import SessionKit, current_user_id, login_user, logout_user

app = Flask("forks")
app.config.update(SECRET_KEY="a long enough secret of the fork tests", SESSIONKIT_SECURE_COOKIE=False)
# FLASK_SESSIONKIT_STORE is the store's URL.
app.config.from_prefixed_env()
kit = SessionKit(app)

_imported_in = os.getpid()
_lock = threading.Lock()
_inside = _most_inside = 0


@app.get("/ready")
def ready() -> str:
    return "ready"


@app.post("/login")
def login() -> dict[str, Any]:
    login_user(request.args["user"])
    session.update(n=0, name=request.args["user"])
    return _told()


@app.post("/add")
def add() -> dict[str, Any]:
    session["n"] += 1
    return _told()


@app.post("/write")
def write() -> dict[str, Any]:
    """Write down a number, where somebody is signed in."""
    if current_user_id() is not None:
        session["n"] = int(request.args["n"])
    return _told()


@app.get("/look")
def look() -> dict[str, Any]:
    global _inside, _most_inside
    with _lock:
        _inside += 1
        _most_inside = max(_inside, _most_inside)
    try:
        return _told()
    finally:
        with _lock:
            _inside -= 1


@app.post("/logout")
def logout() -> dict[str, Any]:
    logout_user()
    return {}


@app.get("/sessions")
def sessions() -> dict[str, Any]:
    """Count the sessions of whoever asks, and those of them that this is."""
    user = current_user_id()
    infos = [] if user is None else kit.sessions_of(user)
    return _told() | {"current": sum(info.current for info in infos)}


def _told() -> dict[str, Any]:
    return {
        "user": current_user_id(),
        "name": session.get("name"),
        "n": session.get("n"),
        "worker": os.getpid(),
        "imported_in": _imported_in,
        "most_inside": _most_inside,
    }


def _use_store() -> None:
    client = app.test_client()
    assert client.post("/login?user=parent").status_code == 200
    assert client.post("/add").get_json()["n"] == 1
    assert client.get("/look").get_json()["user"] == "parent"


_use_store()
