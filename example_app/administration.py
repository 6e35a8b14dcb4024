"""The administrator's page: who is signed in where, and an end to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from flask_sessionkit import current_user_id, fresh_login_required
from flask_sessionkit.devices import device_name

from . import people

P = ParamSpec("P")

blueprint = Blueprint("administration", __name__, url_prefix="/administration")


def administrators_only(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Let only the administrator in, and only a short while after the password was typed."""

    fresh = fresh_login_required(view)

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        person = people.of_shop().by_id(current_user_id())
        if person and not person.is_administrator:
            abort(403)
        return fresh(*args, **kwargs)

    return guarded


@blueprint.get("")
@administrators_only
def search() -> ResponseReturnValue:
    """Show the people whose name contains what was asked for."""
    name = request.args.get("name", "")
    return render_template("administration.html", name=name, found=people.of_shop().called(name))


@blueprint.get("/<user_id>")
@administrators_only
def show(user_id: str) -> ResponseReturnValue:
    """Show where one person is signed in."""
    one, sessions = _person(user_id), _kit().sessions_of(user_id)
    return render_template("administration_person.html", one=one, sessions=sessions, device_name=device_name)


@blueprint.post("/<user_id>/end")
@administrators_only
def end(user_id: str) -> ResponseReturnValue:
    """End one of a person's sessions, by its handle, or all. A handle of anybody else's session ends nothing."""
    one, handle = _person(user_id), request.form.get("handle")
    if handle:
        ended = _kit().revoke(handle, user_id=user_id, reason="administrator")
    else:
        ended = _kit().revoke_user(user_id, reason="administrator")
    flash(f"{ended} session{'' if ended == 1 else 's'} of {one.full_name} ended.")
    return redirect(url_for(".show", user_id=user_id))


def _person(user_id: str) -> people.Person:
    return people.of_shop().by_id(user_id) or abort(404)


def _kit() -> object:
    return current_app.extensions["sessionkit"]
