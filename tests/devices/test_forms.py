"""Whose forms the page of devices takes: its own, of this very session, and nobody else's."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from devices_site import CHROME, SECRET, DevicesSite, Form, Page, open_list, send, user_of
from flask.testing import FlaskClient
from flask_wtf.csrf import CSRFProtect
from werkzeug.test import TestResponse

from flask_sessionkit.devices.proof import comes_from_elsewhere, is_made_for, made_for
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore

OTHERS = "Sign out all other devices"
END = "Sign out Chrome on Android, 192.0.2.2"


@pytest.fixture
def here(plain: DevicesSite) -> FlaskClient:
    return plain.browser("ann")


@pytest.fixture
def there(plain: DevicesSite) -> FlaskClient:
    return plain.browser("ann", CHROME, "192.0.2.2")


def assert_refused(answer: TestResponse, why: str) -> None:
    page = Page(answer.text)
    assert answer.status_code == 403
    assert ("h1", {}) in page.tags
    assert why in page.words
    assert ("a", {"href": "/devices/"}) in page.tags


# Where a request comes from.

OWN = [
    {},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://localhost"},
    {"Origin": "http://LOCALHOST:80"},
    {"Origin": "https://localhost"},  # TLS ends at a proxy that this application is not told of
    {"Origin": "https://localhost:443"},
    # A site whose Referrer-Policy is no-referrer has its forms sent so (Fetch, "append a request Origin header").
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
]
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "Same-Origin, cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "localhost"},
    {"Origin": "http://localhost:8080"},
    {"Origin": "http://localhost:443"},
    {"Origin": "http://localhost.evil.test"},
    {"Origin": "http://evil.test"},
    {"Origin": "http://localhost@evil.test"},
    {"Origin": "http://evil.test@localhost"},
    {"Origin": "http://[localhost"},
    {"Origin": "http://localhost:99999"},
]


@pytest.mark.parametrize("button", [END, OTHERS])
@pytest.mark.parametrize("headers", OWN, ids=str)
def test_a_form_of_this_origin_is_taken(
    here: FlaskClient, there: FlaskClient, headers: dict[str, str], button: str
) -> None:
    assert send(here, open_list(here).form(button), headers=headers).status_code == 303
    assert (user_of(here), user_of(there)) == ("ann", None)


@pytest.mark.requirement("CS-01")
@pytest.mark.parametrize("button", [END, OTHERS])
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_form_of_another_origin_is_refused_though_its_proof_is_right(
    here: FlaskClient, there: FlaskClient, headers: dict[str, str], button: str
) -> None:
    answer = send(here, open_list(here).form(button), headers=headers)

    assert_refused(answer, "The request came from another site")
    assert user_of(here) == user_of(there) == "ann"


def test_a_request_from_elsewhere_costs_nothing(plain: DevicesSite, here: FlaskClient) -> None:
    form = open_list(here).forms[0]
    assert plain.store is not None
    plain.store.reset()

    assert send(here, form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert dict(plain.store.counts) == {}


def test_the_host_behind_a_proxy_is_the_one_that_the_application_sees(here: FlaskClient, there: FlaskClient) -> None:
    form = open_list(here).form(END)
    here.set_cookie("session", here.get_cookie("session").value, domain="shop.test")  # type: ignore[union-attr]  # it has one

    answer = here.post(
        form.action, data=form.fields, base_url="http://shop.test:8443", headers={"Origin": "https://shop.test:8443"}
    )

    assert answer.status_code == 303
    assert user_of(there) is None


@pytest.mark.parametrize("host", ["shop.test", "Shop.Test", "[::1]:5000"])
def test_hosts_are_compared_without_case(host: str) -> None:
    assert not comes_from_elsewhere(fetch_site=None, origin=f"https://{host.upper()}", host=host)
    assert comes_from_elsewhere(fetch_site=None, origin="https://other.test", host=host)


# The proof.


@pytest.mark.requirement("CS-01")
@pytest.mark.parametrize("button", [END, OTHERS])
@pytest.mark.parametrize("proof", [None, "", "x", "A" * 64, "é", "A" * 63 + "=", "A" * 4000])
def test_a_form_without_its_proof_is_refused(
    here: FlaskClient, there: FlaskClient, button: str, proof: str | None
) -> None:
    form = open_list(here).form(button)
    form.fields.pop("devices_proof")
    if proof is not None:
        form.fields["devices_proof"] = proof

    assert_refused(send(here, form), "was open for too long")
    assert user_of(here) == user_of(there) == "ann"


@pytest.mark.parametrize(("button", "endpoint"), [(END, "devices.end"), (OTHERS, "devices.end_others")])
def test_a_form_that_its_page_gave_no_proof_is_told_to_the_developer(
    here: FlaskClient, there: FlaskClient, caplog: pytest.LogCaptureFixture, button: str, endpoint: str
) -> None:
    form = open_list(here).form(button)
    send(here, form, devices_proof="x")
    assert caplog.messages == []
    form.fields.pop("devices_proof")
    send(here, form)

    assert [(one.name, one.levelname, one.getMessage()) for one in caplog.records] == [
        (
            "flask_sessionkit",
            "WARNING",
            f"A form for {endpoint} has no field 'devices_proof'. Give it DeviceList.proof there.",
        )
    ]


def test_a_form_without_a_handle_ends_nothing_and_is_told_to_the_developer(
    here: FlaskClient, there: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    form = open_list(here).form(END)
    send(here, form, handle="x")
    assert caplog.messages == []
    form.fields.pop("handle")

    assert send(here, form).status_code == 303
    assert user_of(here) == user_of(there) == "ann"
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "A form for devices.end has no field 'handle'. Give it ListedDevice.handle there.")
    ]


def flipped(text: str) -> str:
    return ("B" if text[0] != "B" else "C") + text[1:]


def of_another_user(site: DevicesSite, here: FlaskClient, form: Form) -> str:
    return open_list(site.browser("ben")).forms[0].fields["devices_proof"]


def of_another_device(site: DevicesSite, here: FlaskClient, form: Form) -> str:
    return open_list(site.browser("ann", CHROME)).forms[0].fields["devices_proof"]


def of_before_the_login(site: DevicesSite, here: FlaskClient, form: Form) -> str:
    here.get("/login/ann")
    return form.fields["devices_proof"]


def altered(site: DevicesSite, here: FlaskClient, form: Form) -> str:
    return flipped(form.fields["devices_proof"])


@pytest.mark.requirement("CS-01")
@pytest.mark.parametrize("proof", [of_another_user, of_another_device, of_before_the_login, altered])
def test_a_proof_that_is_not_of_this_session_is_refused(
    plain: DevicesSite,
    here: FlaskClient,
    there: FlaskClient,
    proof: Callable[[DevicesSite, FlaskClient, Form], str],
) -> None:
    form = open_list(here).form(OTHERS)
    answer = send(here, form, devices_proof=proof(plain, here, form))

    assert_refused(answer, "was open for too long")
    assert user_of(here) == user_of(there) == "ann"


def test_a_proof_outlives_a_renewal_and_a_change_of_the_secret(
    plain: DevicesSite, here: FlaskClient, there: FlaskClient
) -> None:
    form = open_list(here).form(END)
    plain.app.config.update(SECRET_KEY="the new secret of the flow tests", SECRET_KEY_FALLBACKS=[SECRET])
    here.post("/renew")

    assert send(here, form).status_code == 303
    assert user_of(there) is None


def test_a_proof_under_a_secret_that_is_gone_is_refused(plain: DevicesSite, here: FlaskClient) -> None:
    """The session lives on, sealed anew under the next secret."""
    form = open_list(here).forms[0]
    plain.app.config.update(SECRET_KEY="the new secret of the flow tests", SECRET_KEY_FALLBACKS=[SECRET])
    here.post("/renew")
    plain.app.config.update(SECRET_KEY_FALLBACKS=None)

    assert_refused(send(here, form), "was open for too long")
    assert user_of(here) == "ann"


def test_a_proof_looks_different_each_time(here: FlaskClient) -> None:
    """A secret that stands in a compressed page again and again can be found out by its length."""
    proofs = {open_list(here).forms[0].fields["devices_proof"] for _ in range(3)}

    assert len(proofs) == 3


def test_a_proof_is_of_one_lineage_and_one_purpose() -> None:
    key = b"k" * 32
    proof = made_for(b"a" * 16, [key])

    assert is_made_for(b"a" * 16, proof, [b"n" * 32, key])
    assert not is_made_for(b"b" * 16, proof, [key])
    assert not is_made_for(b"a" * 16, proof, [b"n" * 32])
    assert not is_made_for(b"a" * 16, proof, [])


def test_who_was_signed_out_meanwhile_is_asked_to_sign_in(make_site: Callable[..., DevicesSite]) -> None:
    site = make_site(SESSIONKIT_LOGIN_VIEW="ask")
    here = site.browser("ann")
    form = open_list(here).forms[0]
    site.clock.tick(1800)

    answer = send(here, form)

    assert (answer.status_code, answer.location) == (303, "/login")


# Beside Flask-WTF.


@pytest.mark.parametrize("field", ["csrf_token", "xsrf"])
def test_flask_wtf_takes_its_forms_too(plain: DevicesSite, field: str) -> None:
    plain.app.config.update(WTF_CSRF_FIELD_NAME=field)
    CSRFProtect(plain.app)
    here, there = plain.browser("ann"), plain.browser("ann", CHROME, "192.0.2.2")
    form = open_list(here).form(END)

    assert send(here, form, **{field: "x"}).status_code == 400
    assert user_of(there) == "ann"
    assert send(here, form, devices_proof="x").status_code == 403
    assert user_of(there) == "ann"
    assert send(here, form).status_code == 303
    assert user_of(there) is None


def test_a_csrf_token_that_is_no_function_is_left_alone(plain: DevicesSite) -> None:
    plain.app.jinja_env.globals["csrf_token"] = "somebody else's"

    assert not re.search(r'name="csrf_token"', plain.browser().get("/devices/").text)


# Clients without cookies.


@pytest.mark.parametrize("transport", ["header", "both"])
def test_clients_that_send_their_token_in_a_header_need_the_proof_too(clock: FrozenClock, transport: str) -> None:
    site = DevicesSite(PausingStore(MemoryStore()), clock, SESSIONKIT_TRANSPORT=transport)
    other = site.browser(None)
    there = {"X-Session-Token": other.get("/login/ann", headers={"X-Session-Token": ""}).headers["X-Session-Token"]}
    client = site.app.test_client(use_cookies=False)
    here = {"X-Session-Token": client.get("/login/ann", headers={"X-Session-Token": ""}).headers["X-Session-Token"]}
    form = Page(client.get("/devices/", headers=here).text).form(OTHERS)

    assert client.post(form.action, headers=here).status_code == 403
    assert client.get("/who", headers=there).get_json()["user"] == "ann"
    answer = client.post(form.action, headers=here, data=form.fields)
    renewed = {"X-Session-Token": answer.headers["X-Session-Token"]}
    assert answer.status_code == 303
    assert client.get("/who", headers=there).get_json() == {"user": None, "ended": "revoked"}
    assert client.get("/devices/time-left", headers=renewed).get_json()["signed_in"] is True
