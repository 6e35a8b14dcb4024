"""A secret is changed on one server after the other, while all else goes on: nothing is lost or revived."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from flow_site import Site, login, logout, look, renew

from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore

OLD, NEW = "the old secret of a rollout", "the new secret of a rollout"
#: Settings of a server before, in and after the two deployments.
SERVERS: dict[str, dict[str, Any]] = {
    "old": {"SECRET_KEY": OLD},
    "told": {"SECRET_KEY": OLD, "SECRET_KEY_FALLBACKS": [NEW]},
    "changed": {"SECRET_KEY": NEW, "SECRET_KEY_FALLBACKS": [OLD]},
    "new": {"SECRET_KEY": NEW},
}
#: Which servers answer at the same time.
PHASES = [("old",), ("old", "told"), ("told",), ("told", "changed"), ("changed",), ("changed", "new"), ("new",)]
DAY = 86_400
LONG = {"SESSIONKIT_IDLE_TIMEOUT": 20 * DAY, "SESSIONKIT_ABSOLUTE_TIMEOUT": 40 * DAY, "SESSIONKIT_TOUCH_INTERVAL": 60}


@dataclass
class Login:
    """One session, as its browser knows it.

    :ivar is_live: ``None`` where an answer of the store was lost, so that nobody can say.
    """

    user: str
    tokens: list[str]
    is_live: bool | None = True


@dataclass
class Rollout:
    """Servers over one store, and all sessions that were ever begun.

    :param failing: how often a call of the store fails, from 0 to 1.
    """

    chance: random.Random
    failing: float
    logins: list[Login] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = FrozenClock()
        self.store = PausingStore(MemoryStore())
        self.sites = {
            name: Site(self.store, self.clock, in_cookies=True, **LONG, **given) for name, given in SERVERS.items()
        }

    def step(self, phase: tuple[str, ...]) -> None:
        site, user = self.sites[self.chance.choice(phase)], self.chance.choice("abc")
        fails = self.chance.random() < self.failing
        if fails:
            call: Any = self.chance.choice(["load", "create", "replace"])
            self.store.fail(call, before=self.chance.random() < 0.5)
        act = self.chance.choice([self.begin, self.visit, self.visit, self.visit, self.renew, self.end, self.end_all])
        act(site, user, fails)
        self.store._orders.clear()
        self.clock.tick(self.chance.choice([1, 61, 4000]))

    def mine(self, user: str) -> list[Login]:
        return [one for one in self.logins if one.user == user and one.is_live]

    def begin(self, site: Site, user: str, fails: bool) -> None:
        token = site.ask(None, login(user), status=(200, 503)).token
        if token:
            self.logins.append(Login(user, [token]))

    def visit(self, site: Site, user: str, fails: bool) -> None:
        for one in self.mine(user)[-1:]:
            answer = site.ask(one.tokens[-1], look, status=(200, 503))
            one.tokens += [answer.token] if answer.token else []
            assert fails or answer.value.user == user, "a session was lost"

    def renew(self, site: Site, user: str, fails: bool) -> None:
        for one in self.mine(user)[:1]:
            answer = site.ask(one.tokens[-1], renew, status=(200, 500, 503) if fails else 200)
            if answer.status == 200 and answer.token:
                one.tokens.append(answer.token)
            else:
                one.is_live = None

    def end(self, site: Site, user: str, fails: bool) -> None:
        for one in self.mine(user)[:1]:
            is_over = site.ask(one.tokens[-1], logout, status=(200, 503) if fails else 200).status == 200
            one.is_live = False if is_over else None

    def end_all(self, site: Site, user: str, fails: bool) -> None:
        for one in self.mine(user)[:1]:

            def revoke() -> None:
                site.kit.revoke_user(user)

            is_over = site.ask(one.tokens[-1], revoke, status=(200, 503) if fails else 200).status == 200
            for other in self.mine(user):
                other.is_live = False if is_over else None

    def settle(self) -> None:
        """Let every browser come once more before the old secret is dropped, and an hour later."""
        for _ in range(2):
            for one in self.logins:
                if one.is_live:
                    self.visit_all(self.sites["changed"])
            self.clock.tick(4000)

    def visit_all(self, site: Site) -> None:
        for one in self.logins:
            if one.is_live:
                answer = site.ask(one.tokens[-1], look, status=(200, 503))
                one.tokens += [answer.token] if answer.token else []

    def check(self, phase: tuple[str, ...]) -> None:
        ended = [token for one in self.logins if one.is_live is False for token in (one.tokens[0], one.tokens[-1])]
        assert all(self.sites[name].dead(*ended) for name in phase), "an ended session opened"


@pytest.mark.thorough
@pytest.mark.requirement("KE-04", "KE-05", "TR-01", "TR-03")
@pytest.mark.parametrize("failing", [0.0, 0.25])
@pytest.mark.parametrize("seed", range(20))
def test_a_change_of_secrets_loses_no_session_and_revives_none(seed: int, failing: float) -> None:
    rollout = Rollout(random.Random(seed), failing)
    for phase in PHASES:
        if "new" in phase and "changed" in phase:
            rollout.settle()
        for _ in range(12):
            rollout.step(phase)
            rollout.check(phase)
