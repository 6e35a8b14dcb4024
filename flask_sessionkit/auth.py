"""Login and logout: helpers and decorators that note wishes on the session."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar, overload

from flask import current_app, has_request_context, request, session
from flask.typing import ResponseReturnValue

from .detour import send_to_login
from .draft import Login
from .errors import SessionKitError
from .identity import as_user_id
from .session import Session

P = ParamSpec("P")
R = TypeVar("R")
View = Callable[P, R]

#: Set on a view by ``passive``.
PASSIVE = "_sessionkit_passive"


def current_session() -> Session:
    """Return this request's session as the object behind Flask's proxy.

    :raises SessionKitError: the application's sessions are not this library's.
    :raises RuntimeError: there is no request, or no secret.
    """
    current = session._get_current_object()  # type: ignore[attr-defined]  # the proxy's own method
    if isinstance(current, Session):
        return current
    if current_app.session_interface.is_null_session(current):
        current["user"] = None  # Flask's own error, which tells about the missing secret.
    raise SessionKitError(f"The session is a {type(current).__name__}. Call SessionKit(app) before the first request.")


def current_lineage() -> bytes | None:
    """Return what stays of this request's session when its token is renewed; ``None`` where none is stored."""
    if not has_request_context():
        return None
    current = current_session()
    current.user_id  # noqa: B018  # a look, so that the visit knows what it found
    return getattr(current.visit, "lineage", None)


def login_user(user_id: str | int, *, remember: bool = False, stamp: str | None = None) -> None:
    """Bind the session to a user under a new token; the old one is dead.

    What an anonymous session held is kept, what another user's held is not. The login is carried out when the request
    ends, unless that is with an error.

    :param remember: the cookie outlives the browser, for at most ``SESSIONKIT_REMEMBER_TIMEOUT``.
    :param stamp: what ``user_stamp`` said when the password was checked; without it the function is asked now.
    :raises ValueError: the user id is empty.
    :raises TypeError: the user id is neither str nor int, or the stamp no str.
    """
    if not isinstance(stamp, str | None):
        raise TypeError(f"A stamp must be str, not {type(stamp).__name__}. Use str().")
    current = current_session()
    current.log_in(Login(as_user_id(user_id), stamp=stamp))
    if remember:
        current.permanent = True


def logout_user(*, everywhere: bool = False) -> None:
    """End the session, in the store and in the browser. What is written afterwards begins a new one.

    :param everywhere: end all of the user's sessions.
    :raises StoreError: with ``everywhere``: the store cannot answer.
    """
    current = current_session()
    user = current.user_id
    current.invalidate()
    if everywhere and user is not None:
        _kit().revoke_others(user)


def current_user_id() -> str | None:
    """Return the user that the session is bound to, or ``None``."""
    current = session._get_current_object()  # type: ignore[attr-defined]  # the proxy's own method
    if isinstance(current, Session):
        return current.user_id
    _kit()
    return None


def login_view(view: View[P, R]) -> View[P, R]:
    """Renew the token if the view changes the session, whatever it does inside.

    For an application's own login, second factor or change of role. A message or a form's CSRF token is no change;
    a failed login renews nothing.
    """

    @wraps(view)
    def renewing(*args: P.args, **kwargs: P.kwargs) -> R:
        with current_session().login_view():
            return _called(view, *args, **kwargs)

    return renewing


@overload
def logout_view(view: View[P, R], *, allow_get: bool = ...) -> View[P, R]: ...
@overload
def logout_view(view: None = ..., *, allow_get: bool = ...) -> Callable[[View[P, R]], View[P, R]]: ...
def logout_view(view: View[P, R] | None = None, *, allow_get: bool = False) -> Any:
    """End the session when the request does, whatever the view does inside.

    Until then the data stays readable and writable, so that Flask-Login can clear its remember cookie. A message that
    is flashed on the way goes on in a new session.

    :param allow_get: a GET logs out too, so that any page's ``<img src=/logout>`` can.
    """

    def decorate(view: View[P, R]) -> View[P, R]:
        @wraps(view)
        def ending(*args: P.args, **kwargs: P.kwargs) -> R:
            if allow_get or request.method not in ("GET", "HEAD", "OPTIONS"):
                current_session().end_at_close()
            return _called(view, *args, **kwargs)

        return ending

    return decorate if view is None else decorate(view)


def login_required(view: View[P, R]) -> View[P, R | ResponseReturnValue]:
    """Let only a signed-in user in. A page is sent to ``SESSIONKIT_LOGIN_VIEW``, anything else answered with 401."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R | ResponseReturnValue:
        if current_user_id() is None:
            return send_to_login(_kit().login_view)
        return _called(view, *args, **kwargs)

    return guarded


@overload
def fresh_login_required(max_age: View[P, R]) -> View[P, R | ResponseReturnValue]: ...
@overload
def fresh_login_required(
    max_age: timedelta | float | None = ...,
) -> Callable[[View[P, R]], View[P, R | ResponseReturnValue]]: ...
def fresh_login_required(max_age: Any = None) -> Any:
    """Let only a user in who typed the password a short while ago; others are sent where ``login_required`` sends.

    :param max_age: a duration or seconds; ``None`` for ``SESSIONKIT_FRESH_TIMEOUT``.
    :raises TypeError: it is neither.
    :raises ValueError: the duration is not positive.
    """
    if callable(max_age):
        return fresh_login_required()(max_age)
    seconds = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
    if isinstance(seconds, bool) or not isinstance(seconds, float | int | None):
        raise TypeError(
            f"max_age of fresh_login_required() must be seconds or a timedelta, not {type(max_age).__name__}. "
            "Use timedelta(minutes=5)."
        )
    if seconds is not None and not seconds > 0:
        raise ValueError(
            f"fresh_login_required() takes a positive duration, not {max_age!r}. Leave it out for the setting."
        )

    def decorate(view: View[P, R]) -> View[P, R | ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R | ResponseReturnValue:
            if current_user_id() is None or not _kit().is_fresh(seconds):
                return send_to_login(_kit().login_view)
            return _called(view, *args, **kwargs)

        return guarded

    return decorate


def passive(view: View[P, R]) -> View[P, R]:
    """Do not count this view as activity, as for polling. The session idles out in spite of it.

    What a browser prefetches counts as none by itself.
    """
    try:
        setattr(view, PASSIVE, True)
    except AttributeError:
        # A method of an object takes no marks. What stands for it does, and works as well.
        return passive(wraps(view)(partial(view)))
    return view


def _called(view: View[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    answer: R = current_app.ensure_sync(view)(*args, **kwargs)
    return answer


def _kit() -> Any:
    kit = current_app.extensions.get("sessionkit")
    if kit is None:
        raise SessionKitError(f"{current_app.name} has no SessionKit. Call SessionKit(app) before the first request.")
    return kit
