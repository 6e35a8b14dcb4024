"""Changing the password, which ends every other session."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from flask_sessionkit import current_user_id, login_required

from . import people
from .forms import new_password_field, password_field, repeated_field

blueprint = Blueprint("changing_password", __name__)


class ChangeForm(FlaskForm):
    """The password of now, and the one from now on."""

    password = password_field("Your password now")
    new = new_password_field("The new one")
    repeated = repeated_field("new")


@blueprint.route("/account/password", methods=["GET", "POST"])
@login_required
def change() -> ResponseReturnValue:
    """Change the password. This session goes on under a new cookie, all others of this person are over."""
    form, everybody = ChangeForm(), people.of_shop()
    if not form.validate_on_submit():
        return render_template("password.html", form=form)
    person = everybody.by_id(current_user_id())
    if person is None or everybody.with_password(person.name, form.password.data) is None:
        form.password.errors = ["That is not your password."]
        return render_template("password.html", form=form), 403
    everybody.change_password(person.id, form.new.data)
    # The new password first: a session that begins in between has typed it, or ends by its stamp.
    ended = current_app.extensions["sessionkit"].revoke_user(person.id, keep_current=True, reason="stamp")
    flash(f"Your password is changed. {_others(ended)}")
    return redirect(url_for("account.show"))


def _others(ended: int) -> str:
    if not ended:
        return "You were signed in nowhere else."
    return "Your session on another device has ended." if ended == 1 else f"Your sessions on {ended} others have ended."
