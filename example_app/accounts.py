"""Signing in and out, and why somebody was signed out."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import BooleanField

from flask_sessionkit import current_user_id, login_user, login_view, logout_user, next_url

from . import people
from .forms import name_field, password_field

blueprint = Blueprint("accounts", __name__)

#: What a visitor is told, by ``session.ended_because``. Who came was perhaps a stranger: the reason does not tell.
SENTENCES = {
    "idle": "You were away for a while, so your session was closed. If you were signed in, please do so again.",
    "absolute": "It has been a long day, and a session ends after some hours, however busy it was.",
    "revoked": "This session was ended from elsewhere. Please sign in again.",
    "administrator": "The administrator of this shop has ended this session.",
    "replaced": "A new session took the place of this one when somebody signed in.",
    "logout": "You have signed out, and that session is over.",
    "stamp": "Your password or your account has changed, which ends every session from before. Please sign in again.",
    "limit": "You are signed in on many devices, and this session had to make room.",
    "rotated": "An old copy of the cookie was used, perhaps by somebody else. We ended the session to be safe.",
}
#: Ends that the browser knows of: it was sent a newer cookie, or none. Who comes with the old one may only sign in.
_KNOWN_ENDS = ("logout", "replaced")


class LoginForm(FlaskForm):
    """A name and a password, and whether the cookie shall outlive the browser."""

    name = name_field()
    password = password_field()
    remember = BooleanField("Keep me signed in")


@blueprint.route("/login", methods=["GET", "POST"])
@login_view
def log_in() -> ResponseReturnValue:
    """Sign in. What a stranger put into the cart is kept; the cookie is a new one and the old one is dead.

    Who is signed in is asked for the password alone: with another name, somebody else would land on the page behind.
    """
    everybody = people.of_shop()
    known = everybody.by_id(current_user_id())
    form = LoginForm(remember=session.permanent)
    if known:
        del form.name
    if not form.validate_on_submit():
        return render_template("login.html", form=form, demo=_demo())
    person = everybody.with_password(known.name if known else form.name.data, form.password.data)
    if person is None:
        fault = "That is not your password." if known else "That name and that password do not belong together."
        form.form_errors.append(fault)
        return render_template("login.html", form=form, demo=_demo()), 401
    login_user(person.id, remember=form.remember.data, stamp=person.stamp)
    if session.permanent:  # it was before, and the box is empty now
        session.permanent = form.remember.data
    flash(f"Welcome, {person.full_name}.")
    return redirect(next_url(url_for("shop.cart" if session.get("cart") else "shop.shelf")))


@blueprint.post("/logout")
def log_out() -> ResponseReturnValue:
    """Sign out. There is no GET for it, which any page's ``<img src=/logout>`` could send."""
    if current_user_id() is not None:
        logout_user()
        flash("You have signed out. The cart went with you.")
    return redirect(url_for("shop.shelf"))


def may_only_sign_in() -> bool:
    """Return whether the cookie is one of a session that was over a moment ago, which a late request brings along.

    For a minute such a request begins no session, except by a login: the cookie for it would overwrite a newer one.
    """
    return session.new and session.ended_because in _KNOWN_ENDS


@blueprint.app_context_processor
def _ending() -> dict[str, object]:
    return {"ended": SENTENCES.get(session.ended_because or ""), "may_only_sign_in": may_only_sign_in()}


def _demo() -> dict[str, object] | None:
    if not current_app.debug:
        return None
    return {"names": people.DEMO_NAMES, "password": people.DEMO_PASSWORD}
