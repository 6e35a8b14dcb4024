"""A user's sessions, as the page of devices shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from flask import current_app, request
from markupsafe import Markup

from ..auth import current_session, current_user_id
from ..beginning import started_at
from ..errors import SessionKitError, StoreError
from ..extension import SessionKit
from ..interface import interface_of
from ..roster import SessionInfo
from ..stores.base import Capability
from .agents import agent_of
from .texts import Texts

#: In place of a handle, where nobody keeps a list.
_THIS = "this"


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was.

    :param words: how long ago, such as "3 minutes ago".
    :param iso: in UTC, for ``<time datetime="...">``.
    """

    words: str
    iso: str


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """A row of the list.

    :param name: the device in words, by what it says of itself.
    :param address: where it signed in from; empty if that is not kept.
    :param is_remembered: nobody typed a password: Flask-Login's remember cookie signed in.
    :param label: what the button does, in words of its own among many.
    """

    handle: str
    name: str
    address: str
    seen: Moment
    signed_in: Moment
    is_remembered: bool
    is_current: bool
    label: str


class DeviceList:
    """What ``flask_sessionkit/_devices.html`` shows of the user who is signed in.

    The store is asked when the rows are, once.

    :param end_url: where a form sends the ``handle`` of one.
    :param stylesheet: the address of a style for the list.
    :param prove: makes what each form has to carry.
    """

    def __init__(
        self, texts: Texts, *, end_url: str, end_others_url: str, stylesheet: str, prove: Callable[[], str]
    ) -> None:
        self._texts = texts
        self.end_url = end_url
        self.end_others_url = end_others_url
        self.stylesheet = stylesheet
        self._prove = prove

    def say(self, name: str, **values: object) -> Markup:
        """Return one of the texts as HTML."""
        return self._texts.html(name, **values)

    def __iter__(self) -> Iterator[ListedDevice]:
        return iter(self.rows)

    @cached_property
    def rows(self) -> list[ListedDevice]:
        """This device first, then by when they were last seen; empty while nobody is signed in.

        :raises StoreError: the store cannot answer.
        """
        if current_user_id() is None:
            return []
        found = self._found or []
        if not any(info.current for info in found):
            found = [_this_one(), *found]
        ordered = sorted(found, key=lambda info: (info.current, info.seen_at), reverse=True)
        return [self._row(info) for info in ordered]

    @cached_property
    def proof(self) -> str:
        """What each form has to carry, under ``devices_proof``."""
        return self._prove()

    @property
    def others(self) -> list[ListedDevice]:
        """All but this one."""
        return [row for row in self.rows if not row.is_current]

    @property
    def shows_others(self) -> bool:
        """Whether anybody knows of other devices than this one."""
        return self._found is not None

    @property
    def may_be_more(self) -> bool:
        """Whether the store may have lost some of the list."""
        here = interface_of(current_app)
        lists = Capability(0) if here.store is None or here.is_client_kind else here.store.capabilities
        return Capability.INDEX_BEST_EFFORT in lists

    @cached_property
    def _found(self) -> list[SessionInfo] | None:
        try:
            return kit().sessions_of(user) if (user := current_user_id()) else []
        except StoreError:
            raise
        except SessionKitError:
            return None  # kept by nobody: "cookie:" without a revocation store, or a store without an index

    def _row(self, info: SessionInfo) -> ListedDevice:
        name = self._texts.device(agent_of(info.user_agent))
        label = "end_which_at" if info.address else "end_which"
        address = {"address": info.address} if info.address else {}
        return ListedDevice(
            handle=info.handle,
            name=name,
            address=info.address,
            seen=self._moment(info.seen_at),
            signed_in=self._moment(started_at(info.created_at, info.login_at)),
            is_remembered=info.login_at is None,
            is_current=info.current,
            label=self._texts.plain(label, device=name, **address),
        )

    def _moment(self, at: float) -> Moment:
        then = datetime.fromtimestamp(at, UTC)
        return Moment(self._texts.ago(interface_of(current_app).clock.now() - at), f"{then:%Y-%m-%dT%H:%M:%SZ}")


def kit() -> SessionKit:
    """Return the extension of the current application."""
    found: SessionKit = current_app.extensions["sessionkit"]
    return found


def _this_one() -> SessionInfo:
    """Return what is known of this request's session where no list has it."""
    current, now = current_session(), interface_of(current_app).clock.now()
    return SessionInfo(
        handle=_THIS,
        created_at=current.created_at or now,
        login_at=current.login_at,
        seen_at=now,
        expires_at=current.expires_at or now,
        user_agent=request.headers.get("User-Agent", ""),
        address=request.remote_addr or "",
        current=True,
    )
