"""Ways in which a session ends, or its browser has another token, and the times that the tests of flows count by."""

from __future__ import annotations

from flow_site import Site, login, logout, renew

START = 1_700_000_000.0
IDLE = 1800
ABSOLUTE = 43_200


def leave_by_logout(site: Site, token: str) -> None:
    site.ask(token, logout)


def leave_by_login(site: Site, token: str) -> None:
    site.token(login("ann"), token)


def leave_by_renewal(site: Site, token: str) -> None:
    site.token(renew, token)


#: What leaves a browser with a newer cookie, or with none.
KNOWN = [leave_by_logout, leave_by_login, leave_by_renewal]


def idle_out(site: Site, token: str) -> None:
    site.clock.tick(IDLE)


def live_too_long(site: Site, token: str) -> None:
    for _ in range(ABSOLUTE // 1200):
        site.clock.tick(1200)
        site.seen(token)


def revoke(site: Site, token: str) -> None:
    site.outside(site.kit.revoke_user, "ann")


def change_password(site: Site, token: str) -> None:
    site.kit.user_stamp(lambda user: "another password")


#: What its browser learns at its next request, by the reason that it is told.
ELSEWHERE = {"idle": idle_out, "absolute": live_too_long, "revoked": revoke, "stamp": change_password}
