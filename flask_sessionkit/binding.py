"""Whom one request's session is bound to: by logins, and by the keys of the session that name a user."""

from __future__ import annotations

from typing import Any, Final, Protocol

from .draft import Kept, Login
from .errors import UnsupportedType
from .identity import user_id_of, user_named_in
from .values import Values

#: Flask-Login's word on whether the user typed a password (true) or came by a remember cookie (false).
FRESH: Final = "_fresh"


class Users(Protocol):
    """What has to be known of users, and of what a login makes old."""

    @property
    def has_stamp(self) -> bool:
        """Whether the application says who is still a user (``user_stamp``)."""
        ...

    def stamp(self, user: str) -> str | None:
        """Return what a user's sessions have to agree with; ``None`` for a user who is gone."""
        ...

    @property
    def csrf_key(self) -> str:
        """The key of the session that holds Flask-WTF's token."""
        ...

    def forget_csrf(self) -> None:
        """Drop copies of the CSRF token that lie outside the session."""
        ...


class Binding:
    """Whom a session is bound to. Made where that is asked for or changed, as most requests do neither.

    Each change is told which values the session has by then.

    :param kept: what the session found.
    :param keys: those of the session that say who the user is.
    :ivar user: the user it is bound to.
    :ivar data_of: the user whose data it holds; stays after the user was unbound.
    :ivar login: a login of this request.
    :ivar is_unbound: the login that was found ends, and the rest of the data stays.
    :ivar was_unbound: the same, whoever was bound afterwards.
    """

    login: Login | None = None
    is_unbound: bool = False
    was_unbound: bool = False
    #: Somebody was named who is no user any more, and not let in.
    _is_barred = False

    def __init__(self, kept: Kept, keys: tuple[str, ...], users: Users | None) -> None:
        self.user = kept.user
        self.data_of = kept.data_of
        self._is_of_user = kept.user is not None
        self._keys = keys
        self._users = users

    def log_in(self, values: Values, login: Login) -> None:
        """Bind the session to a user. What another user's session held goes, and so does what a form was given."""
        if self.data_of not in (None, login.user):
            values.keep_own()
        if self._users is not None:
            if self._users.csrf_key in values:
                values.remove(self._users.csrf_key)
            self._users.forget_csrf()
        self.login = login
        self.user = self.data_of = login.user
        self.is_unbound = False

    def unbind(self) -> None:
        """Bind the session to nobody."""
        self.login = None
        self.user = None
        self.is_unbound = self.was_unbound = self._is_of_user

    def put(self, values: Values, key: str, value: Any) -> None:
        """Set a key that names the user, or tells whether the password was typed, and follow it.

        :raises UnsupportedType: it is to name the user, and is no user id. Nothing was set.
        """
        if key == FRESH and self._is_barred:
            return
        named, was_fresh = self._named_in(values), _fresh_in(values)
        if key in self._keys:
            user_id_of(key, value)
        values.put(key, value)
        self._follow(values, named)
        if key == FRESH and value is True and (was_fresh is False or values.has_put_any(self._keys)):
            self._note_password(values)

    def remove(self, values: Values, key: str) -> None:
        """Remove a key that names the user, and follow that.

        :raises KeyError: there is none.
        """
        named = self._named_in(values)
        values.remove(key)
        if named is not None:
            self._follow(values, named)

    def settled_login(self, values: Values) -> Login | None:
        """Return the login as it is at the end; Flask-Login tells how fresh it is after it has named the user."""
        login = self.login
        if login and _fresh_in(values) is False and self._named_in(values) == login.user:
            return Login(login.user, is_fresh=False, stamp=login.stamp)
        return login

    def _named_in(self, values: Values) -> str | None:
        try:
            return user_named_in(values, self._keys)
        except UnsupportedType:
            return None  # Stored before its key became one of these. A new value is judged when it is set.

    def _follow(self, values: Values, before: str | None) -> None:
        """Log in whom the keys name now, or unbind whom they name no more."""
        after = self._named_in(values)
        if after is not None and after != before:
            self._log_in_once(values, after)
        elif after is None and before is not None and before == self.user:
            self.unbind()

    def _note_password(self, values: Values) -> None:
        """Log in who typed the password again: a remembered user, or one whom Flask-Login's login_user() has named."""
        if self.user and self.user == self._named_in(values):
            self._log_in_once(values, self.user)

    def _log_in_once(self, values: Values, user: str) -> None:
        # A login of this request may know the stamp already, and a form's token that was made after it stays.
        if self.login is not None and self.login.user == user:
            return
        if self._users is None or not self._users.has_stamp:
            self.log_in(values, Login(user))
        elif (stamp := self._users.stamp(user)) is not None:
            self._is_barred = False
            self.log_in(values, Login(user, stamp=stamp))
        else:
            self._turn_away(values)

    def _turn_away(self, values: Values) -> None:
        """Let nobody in by the keys: a user was named who is gone.

        Flask-Login writes the id of a remember cookie there before it asks whether there is such a user, and leaves it
        there if there is none.
        """
        self._is_barred = True
        for key in (FRESH, *self._keys):
            if key in values:
                values.remove(key)
        if self.user is not None:
            self.unbind()


def _fresh_in(values: Values) -> Any:
    if FRESH not in values:
        return None
    return values[FRESH]
