"""What gunicorn imports: an application under test, as ``benchmarks.served:sessionkit('redis://127.0.0.1:6379/0')``."""

from __future__ import annotations

from pathlib import Path

from . import peers, peers_django
from .visitor import Application


def bare_flask() -> Application:
    return peers.bare_flask().app


def signed_cookie() -> Application:
    return peers.signed_cookie().app


def sessionkit(url: str) -> Application:
    return peers.sessionkit_on(url).app


def flask_session(kind: str, url: str, folder: str, refresh: bool) -> Application:  # by position, as gunicorn calls it
    return peers.flask_session_on(kind, url, Path(folder), refresh=refresh).app


def bare_django() -> Application:
    return peers_django.bare_django().app


def django(kind: str, url: str, folder: str) -> Application:
    return peers_django.django_on(kind, url, Path(folder)).app
