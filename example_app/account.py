"""What a person can do about their account: the doors, one behind each."""

from __future__ import annotations

from flask import Blueprint, render_template

from flask_sessionkit import login_required

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.get("")
@login_required
def show() -> str:
    """Show the doors."""
    return render_template("account.html")
