"""The blueprint: the list of devices, what ends one or all others, and how long this session lasts."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    has_request_context,
    jsonify,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.routing import BuildError

from ..auth import current_lineage, current_session, current_user_id, login_required, passive
from ..errors import ConfigError, SessionKitError, StoreError
from ..interface import interface_of
from ..sealing import mac_key
from ..secret_keys import secrets_of
from .agents import agent_of
from .listing import DeviceList, kit
from .proof import PURPOSE, comes_from_elsewhere, is_made_for, made_for
from .texts import Texts

_log = logging.getLogger("flask_sessionkit")

#: The field of a form that shows that it is of this session.
_FIELD = "devices_proof"


class _Devices(Blueprint):
    """A blueprint that knows its texts, and where its list is shown."""

    def __init__(self, name: str, *, url_prefix: str | None, page: str | None, texts: Texts) -> None:
        super().__init__(
            name,
            __name__.rpartition(".")[0],
            url_prefix=url_prefix,
            template_folder="templates",
            static_folder="static",
            # Not "/static": registered at the root, that would be the application's own.
            static_url_path="/style",
        )
        self.page = page
        self.texts = texts


def devices_blueprint(
    name: str = "devices",
    *,
    url_prefix: str | None = "/devices",
    page: str | None = None,
    texts: Mapping[str, object] | None = None,
) -> Blueprint:
    """Return a blueprint with a page on which users see where they are signed in, and end what they do not know.

    >>> from flask import Flask
    >>> from flask_sessionkit import SessionKit
    >>> app = Flask("shop")
    >>> kit = SessionKit(app)
    >>> app.register_blueprint(devices_blueprint())

    :param page: the endpoint of a page of your own that shows the list; who ended something comes back there.
    :param texts: what the page says, by name, in place of what it says by default.
    :raises ConfigError: there is no text of that name, or one cannot be filled in.
    """
    blueprint = _Devices(name, url_prefix=url_prefix, page=page, texts=Texts(texts))
    blueprint.before_request(_find_page)
    blueprint.before_request(_refuse_foreign_forms)
    blueprint.after_request(_keep_out_of_frames)
    blueprint.add_url_rule("/", "index", _index)
    blueprint.add_url_rule("/end", "end", _end, methods=["POST"])
    blueprint.add_url_rule("/end-others", "end_others", _end_others, methods=["POST"])
    blueprint.add_url_rule("/time-left", "time_left", _time_left)
    return blueprint


def device_list(blueprint: str | None = None) -> DeviceList:
    """Return the list of the user who is signed in, for a page of your own with ``flask_sessionkit/_devices.html``.

    :param blueprint: the name under which the blueprint is registered; ``None`` for the one that answers this request,
        else the first.
    :raises ConfigError: there is no such blueprint.
    """
    name, found = _registered(blueprint)
    return DeviceList(
        found.texts,
        end_url=url_for(f"{name}.end"),
        end_others_url=url_for(f"{name}.end_others"),
        stylesheet=url_for(f"{name}.static", filename="devices.css"),
        prove=_proof,
    )


def device_name(user_agent: str, *, blueprint: str | None = None) -> str:
    """Return what a device says of itself in words, such as "Firefox on Linux", for a page about somebody else.

    In the words of a page of devices, whose ``texts`` may be another language's.

    :param user_agent: as :class:`~flask_sessionkit.SessionInfo` has it; of one that says nothing known an "Unknown
        device" is made.
    :param blueprint: as for :func:`device_list`.
    :raises ConfigError: there is no such blueprint.
    """
    return _registered(blueprint)[1].texts.device(agent_of(user_agent))


@login_required
def _index() -> ResponseReturnValue:
    return render_template("flask_sessionkit/devices.html", devices=device_list())


@login_required
def _end() -> ResponseReturnValue:
    handle = request.form.get("handle")
    if handle is None:
        _log.warning("A form for %s has no field 'handle'. Give it ListedDevice.handle there.", request.endpoint)
    row = next((row for row in device_list() if row.handle == handle), None)
    if row is not None and row.is_current:
        return _end_here()
    if row is not None and kit().revoke(row.handle, user_id=current_user_id()):
        return _back("ended", device=row.name)
    return _back("not_ended", category="error")


@login_required
def _end_others() -> ResponseReturnValue:
    user = current_user_id() or ""
    try:
        count = kit().revoke_others(user)
    except StoreError:
        raise
    except SessionKitError:
        # Not all are known. Those that the user saw are ended, and the page says that there may be more.
        listed = device_list()
        if not listed.shows_others:
            return _back("not_listed", category="error")
        count = sum(kit().revoke(row.handle, user_id=user) for row in listed.others)
    # Whoever holds a copy of this session's token is one of the others, and on no list. Where age has just renewed it
    # there is a new one already.
    if not current_session().is_behind:
        current_session().regenerate()
    return _back("ended_others", count=count)


@passive
def _time_left() -> Response:
    current = current_session()
    told: dict[str, object]
    if current.user_id is None or current.expires_at is None:
        told = {"signed_in": False, "seconds_left": None, "ended_because": current.ended_because}
    else:
        left = max(0.0, current.expires_at - interface_of(current_app).clock.now())
        told = {"signed_in": True, "seconds_left": round(left, 1), "ends_because": current.ends_because}
    answer = jsonify(told)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _end_here() -> ResponseReturnValue:
    # At the close, not now: Flask-Login takes its remember cookie back on the way out, and would sign in again else.
    current_session().end_at_close()
    if hasattr(current_app, "login_manager"):
        session["_remember"] = "clear"
    flash(_registered()[1].texts.plain("ended_here"))
    login_view = kit().login_view
    return redirect(f"{request.script_root}/" if login_view is None else url_for(login_view), 303)


def _back(text: str, *, category: str = "message", **values: object) -> ResponseReturnValue:
    blueprint = _registered()[1]
    flash(blueprint.texts.plain(text, **values), category)
    return redirect(url_for(blueprint.page or ".index"), 303)


def _find_page() -> None:
    """Find the page to come back to, before anything is ended.

    :raises ConfigError: there is none.
    """
    page = _registered()[1].page
    if page is None:
        return
    try:
        url_for(page)
    except BuildError as error:
        raise ConfigError(
            f"devices_blueprint(page={page!r}) has no address in this application. Name an endpoint that url_for() "
            "finds and that needs no values, or leave page out."
        ) from error


def _refuse_foreign_forms() -> ResponseReturnValue | None:
    if request.method != "POST":
        return None
    fetch_site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if comes_from_elsewhere(fetch_site=fetch_site, origin=origin, host=request.host):
        return _refused("refused_elsewhere")
    lineage = current_lineage() if current_user_id() else None
    # Who is signed in no more is sent to the login, and nothing is done either.
    if lineage is None or is_made_for(lineage, request.form.get(_FIELD, ""), _keys()):
        return None
    if _FIELD not in request.form:
        _log.warning("A form for %s has no field %r. Give it DeviceList.proof there.", request.endpoint, _FIELD)
    return _refused("refused_stale")


def _refused(why: str) -> ResponseReturnValue:
    return render_template("flask_sessionkit/devices_refused.html", devices=device_list(), why=why), 403


def _keep_out_of_frames(response: Response) -> Response:
    # A page of a sibling host could lay this one invisibly under the pointer (OWASP Clickjacking Defense Cheat Sheet).
    response.headers.setdefault("X-Frame-Options", "DENY")
    return response


def _registered(name: str | None = None) -> tuple[str, _Devices]:
    """Return a blueprint of ours with the name that it has in this application.

    :raises ConfigError: there is none.
    """
    here = request.blueprint if has_request_context() else None
    wanted = [name] if name is not None else [here, *current_app.blueprints]
    for one in wanted:
        found = current_app.blueprints.get(one or "")
        if isinstance(found, _Devices):
            return one or "", found
    which = "" if name is None else f" named {name!r}"
    raise ConfigError(
        f"{current_app.name} has no page of devices{which}. Call app.register_blueprint(devices_blueprint())."
    )


def _proof() -> str:
    lineage = current_lineage()
    return "" if lineage is None else made_for(lineage, _keys())


def _keys() -> list[bytes]:
    secrets, _ = secrets_of(current_app.secret_key, current_app.config.get("SECRET_KEY_FALLBACKS"))
    return [mac_key(secret, purpose=PURPOSE, app_id=interface_of(current_app).settings.app_id) for secret in secrets]
