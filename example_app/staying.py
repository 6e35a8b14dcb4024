"""Staying signed in: what the warning before the end of a session asks for."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from flask_sessionkit import login_required

blueprint = Blueprint("staying", __name__)


@blueprint.post("/stay")
@login_required
def stay() -> ResponseReturnValue:
    """Do nothing. That somebody came, and was looked for in the session, is the activity that keeps it."""
    return "", 204
