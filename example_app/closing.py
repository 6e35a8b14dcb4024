"""Closing an account: something that can not be undone, so the password is asked for again."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from flask_sessionkit import current_user_id, fresh_login_required, logout_user

from . import people
from .forms import Asked

blueprint = Blueprint("closing", __name__)


@blueprint.route("/account/close", methods=["GET", "POST"])
@fresh_login_required
def close() -> ResponseReturnValue:
    """Forget the person. Their other sessions end too: ``user_stamp`` knows no stamp of somebody who is gone."""
    form = Asked()
    if not form.validate_on_submit():
        return render_template("close.html", form=form)
    people.of_shop().remove(current_user_id())
    logout_user(everywhere=True)
    flash("Your account is closed, and nothing of it is left here.")
    return redirect(url_for("shop.shelf"))
