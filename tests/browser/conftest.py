"""What the browser tests share: a real Chromium to which every host below ``.test`` is this machine."""

from __future__ import annotations

import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from club import ELSEWHERE, HOME, SIBLING, Club, Place, opened
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from flow_stores import open_store, prepare
from servers import lacking

from flask_sessionkit.testing import FrozenClock

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

CHROMIUM = Path("/usr/bin/chromium")


@dataclass(frozen=True)
class Certificate:
    """A file with a key and its certificate, and the hash of its public key by which Chromium is told to trust it."""

    file: Path
    fingerprint: str


@pytest.fixture(scope="module")  # its event loop is in the way of other tests of async views in this thread
def playwright() -> Iterator[Playwright]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("needs Playwright for Python: pip install playwright")
    if not CHROMIUM.exists():
        lacking("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """One of the tests' own for the hosts that they use, made when they start."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOME)])
    now = datetime.now(UTC)
    hosts = x509.SubjectAlternativeName([x509.DNSName(host) for host in (HOME, SIBLING, ELSEWHERE)])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(hosts, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + signed.public_bytes(Encoding.PEM)
    )
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Certificate(file, b64encode(sha256(public).digest()).decode())


@pytest.fixture
def tls(certificate: Certificate) -> ssl.SSLContext:
    """What a server speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.file)
    return context


@pytest.fixture(scope="module")
def how_to_launch(certificate: Certificate) -> dict[str, Any]:
    """How Chromium is started: it asks nobody outside, and hosts of different sites are all on loopback."""
    return {
        "executable_path": CHROMIUM,
        "args": [
            *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            "--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            # It trusts the certificate as people's browsers trust theirs: errors that are ignored change what they do.
            f"--ignore-certificate-errors-spki-list={certificate.fingerprint}",
        ],
        # People's browsers keep the page they leave, and the back button shows it as it was.
        "ignore_default_args": ["--disable-back-forward-cache"],
    }


@pytest.fixture(scope="module")
def browser(playwright: Playwright, how_to_launch: dict[str, Any]) -> Iterator[Browser]:
    browser = playwright.chromium.launch(**how_to_launch)
    yield browser
    browser.close()


class PatientClock(FrozenClock):
    """Counts no pause: one that does would take those of all requests at once from the time that each may spend."""

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)


@pytest.fixture
def clock() -> FrozenClock:
    """The servers' clock, which stands until the test moves it."""
    return PatientClock()


@pytest.fixture(params=["files", pytest.param("redis", marks=pytest.mark.redis), "cookie"])
def kind(request: pytest.FixtureRequest) -> str:
    """Where sessions lie; of ``cookie`` the revocation store is files."""
    return str(request.param)


@pytest.fixture
def found(kind: str, clock: FrozenClock, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Club]:
    """Found a club on a kind of store, with settings of the test's own."""

    def found(**config: Any) -> Club:
        stored = "files" if kind == "cookie" else kind
        store = open_store(stored, prepare(stored, tmp_path, request))
        return Club(store, clock, in_cookies=kind == "cookie", **config)

    return found


@pytest.fixture
def place(found: Callable[..., Club], tls: ssl.SSLContext) -> Iterator[Place]:
    """A club as it is deployed."""
    with opened(found(), tls) as place:
        yield place


@pytest.fixture
def workshop(found: Callable[..., Club]) -> Iterator[Place]:
    """A club as one develops it: over http."""
    with opened(found(TESTING=True)) as place:
        yield place


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Open a page in a browser that was never anywhere; those of one test are closed with it."""
    with ExitStack() as leaving:

        def visit(origin: str) -> Page:
            context = browser.new_context(base_url=origin)
            leaving.callback(context.close)
            return context.new_page()

        yield visit
