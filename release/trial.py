"""Try what is installed beside this Python: sign in, list the devices, sign out, have the command judge it.

``all`` as its argument says that every extra is installed. It needs nothing but that, and works in an empty folder.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from flask import Flask

from flask_sessionkit import ConfigError, SessionKit, current_user_id, login_user, logout_user
from flask_sessionkit.devices import devices_blueprint
from flask_sessionkit.testing import client_of

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
SITE = "https://localhost"

#: By the extra that brings its driver. No server is asked, as there is none.
SERVED = {
    "redis": "redis://127.0.0.1:1/0",
    "memcached": "memcached://127.0.0.1:1",
    "postgresql": "postgresql+psycopg://ann@127.0.0.1:1/shop",
    "mariadb": "mysql+pymysql://ann@127.0.0.1:1/shop",
}


def create_app(store: str | None = None) -> Flask:
    """Return a shop on a store, for the command on the one that the environment names; it keeps all in this folder."""
    app = Flask("shop", instance_path=str(Path.cwd()))
    app.config.update(
        SECRET_KEY="3f1c7a52e8b94d06" * 4,
        SESSIONKIT_STORE=store or os.environ["TRIAL_STORE"],
    )
    SessionKit(app)
    app.register_blueprint(devices_blueprint())

    @app.post("/login/<name>")
    def login(name: str) -> str:
        login_user(name)
        return "welcome"

    @app.get("/")
    def who() -> str:
        return current_user_id() or "nobody"

    @app.post("/logout")
    def logout() -> str:
        logout_user()
        return "bye"

    return app


def sign_in_and_out(app: Flask) -> None:
    browser = client_of(app, user_agent=FIREFOX)
    assert browser.get("/", base_url=SITE).text == "nobody"
    assert browser.get("/devices/", base_url=SITE).status_code == 401
    assert browser.post("/login/ann", base_url=SITE).text == "welcome"
    assert browser.get("/", base_url=SITE).text == "ann"
    page = browser.get("/devices/", base_url=SITE).text
    assert "Firefox on Linux" in page, page
    [style] = re.findall('href="([^"]+[.]css)"', page)
    assert browser.get(style, base_url=SITE).status_code == 200
    assert browser.post("/logout", base_url=SITE).text == "bye"
    assert browser.get("/", base_url=SITE).text == "nobody"


def have_it_judged(store: str) -> None:
    flask = Path(sys.executable).with_name("flask")
    command = [flask, "--app", f"{__file__}:create_app", "sessions", "check"]
    done = subprocess.run(command, env={**os.environ, "TRIAL_STORE": store}, capture_output=True, text=True)
    assert done.returncode == 0, done
    assert "ok    SESSIONKIT_STORE" in done.stdout, done


def main(*, has_all: bool) -> None:
    package = files("flask_sessionkit")
    assert "site-packages" in str(package), f"another package is imported: {package}"
    assert package.joinpath("py.typed").is_file()
    for store in ("file:", "sqlite:///sessions.db") if has_all else ("file:",):
        sign_in_and_out(create_app(store))
        have_it_judged(store)
    for extra, store in SERVED.items():
        assert has_all == has_driver(store, extra), store


def has_driver(store: str, extra: str) -> bool:
    """Tell whether a store can be made; if not, the error names the extra that is missing."""
    try:
        create_app(store)
    except ConfigError as error:
        if f"flask-sessionkit[{extra}]" not in str(error):
            raise
        return False
    return True


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main(has_all=sys.argv[1:] == ["all"])
