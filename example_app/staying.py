"""Staying signed in: what the warning before the end of a session asks for."""

from __future__ import annotations

from flask import Blueprint, current_app, session
from flask.typing import ResponseReturnValue

from flask_sessionkit import login_required

blueprint = Blueprint("staying", __name__)


@blueprint.post("/stay")
@login_required
def stay() -> ResponseReturnValue:
    """Do nothing. That somebody came, and was looked for in the session, is the activity that keeps it."""
    return "", 204


@blueprint.app_context_processor
def _seconds_left() -> dict[str, object]:
    ends_at = session.expires_at
    return {"seconds_left": None if ends_at is None else ends_at - current_app.extensions["now"]()}
