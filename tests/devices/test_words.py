"""What the page of devices calls a device, and what it says in an application's own words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from devices_site import CHROME, FIREFOX, DevicesSite
from markupsafe import Markup

from flask_sessionkit import ConfigError
from flask_sessionkit.devices import device_name, devices_blueprint
from flask_sessionkit.devices.agents import agent_of
from flask_sessionkit.devices.texts import DEFAULTS, Texts

WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)"
IPAD = "Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X)"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K)"
LINUX = "Mozilla/5.0 (X11; Linux x86_64)"

AGENTS = {
    FIREFOX: "Firefox on Windows",
    CHROME: "Chrome on Android",
    f"{WINDOWS} {BLINK} Safari/537.36": "Chrome on Windows",
    f"{WINDOWS} {BLINK} Safari/537.36 Edg/131.0.0.0": "Edge on Windows",
    f"{WINDOWS} {BLINK} Safari/537.36 OPR/115.0.0.0": "Opera on Windows",
    f"{WINDOWS} {BLINK} Safari/537.36 Vivaldi/7.0": "Vivaldi on Windows",
    f"{WINDOWS} {BLINK} YaBrowser/24.12 Yowser/2.5 Safari/537.36": "Yandex Browser on Windows",
    "Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko": "Internet Explorer on Windows",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)": "Internet Explorer on Windows",
    f"{MAC} {WEBKIT} Version/18.1 Safari/605.1.15": "Safari on macOS",
    f"{MAC} {BLINK} Safari/537.36": "Chrome on macOS",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:133.0) Gecko/20100101 Firefox/133.0": "Firefox on macOS",
    f"{IPHONE} {WEBKIT} Version/18.1 Mobile/15E148 Safari/604.1": "Safari on iPhone",
    f"{IPHONE} {WEBKIT} CriOS/131.0 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
    f"{IPHONE} {WEBKIT} FxiOS/133.0 Mobile/15E148 Safari/605.1.15": "Firefox on iPhone",
    f"{IPHONE} {WEBKIT} EdgiOS/131.0 Version/18.0 Mobile/15E148 Safari/604.1": "Edge on iPhone",
    f"{IPHONE} {WEBKIT} Mobile/15E148 Instagram 357.0": "Unknown browser on iPhone",
    f"{IPAD} {WEBKIT} Version/17.7 Mobile/15E148 Safari/604.1": "Safari on iPad",
    f"{ANDROID} {BLINK} Mobile Safari/537.36 EdgA/131.0": "Edge on Android",
    f"{ANDROID} AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0 Mobile Safari/537.36": (
        "Samsung Internet on Android"
    ),
    f"{ANDROID} {BLINK} Mobile DuckDuckGo/5 Safari/537.36": "DuckDuckGo on Android",
    "Mozilla/5.0 (Android 14; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0": "Firefox on Android",
    "Mozilla/5.0 (Linux; U; Android 4.0; de) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Safari/534.30": (
        "Unknown browser on Android"
    ),
    f"{LINUX} AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0 Safari/537.36": "Chrome on Linux",
    f"{LINUX} {WEBKIT} Version/17.0 Safari/605.1.15": "Unknown browser on Linux",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0": "Firefox on Linux",
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {BLINK} Safari/537.36": "Chrome on ChromeOS",
    "Mozilla/5.0 (X11; FreeBSD amd64; rv:128.0) Gecko/20100101 Firefox/128.0": "Firefox on FreeBSD",
    "Mozilla/5.0 (Mobile; rv:109.0) Gecko/20100101 Firefox/109.0": "Firefox",
    "curl/8.5.0": "curl",
    "python-requests/2.32.3": "python-requests",
    "Wget/1.21.3 (linux-gnu)": "Wget",
    "MyShop/3.2 (iPhone; iOS 17.0; Scale/3.00)": "MyShop on iPhone",
    "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8)": "Dalvik on Android",
    "curl": "curl",
    "": "Unknown device",
    "Mozilla/5.0": "Unknown device",
    "Mozilla/5.0 (compatible; Somebot/1.0)": "Unknown device",
    "<script>alert(1)</script>": "Unknown device",
    "Click-here-to-win<b>": "Unknown device",
    "<b>/1 (Windows)": "Unknown browser on Windows",
    "A" * 41: "Unknown device",
    "12/34": "Unknown device",
    "Geräte/1.0": "Unknown device",
    " ": "Unknown device",
    "Mozilla/5.0 (((((((((": "Unknown device",
}


@pytest.mark.parametrize(("user_agent", "words"), AGENTS.items())
def test_a_device_in_words(user_agent: str, words: str) -> None:
    assert Texts().device(agent_of(user_agent)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-100, "just now"),
        (0, "just now"),
        (59.9, "just now"),
        (60, "a minute ago"),
        (119, "a minute ago"),
        (120, "2 minutes ago"),
        (3599, "59 minutes ago"),
        (3600, "an hour ago"),
        (7200, "2 hours ago"),
        (86399, "23 hours ago"),
        (86400, "a day ago"),
        (30 * 86400, "30 days ago"),
    ],
)
def test_how_long_ago_in_words(seconds: float, words: str) -> None:
    assert Texts().ago(seconds) == words


# An application's own words.


class Lazy:
    """What Flask-Babel's ``lazy_gettext`` gives: a text once it is asked for, in the language of that moment."""

    def __init__(self, text: Callable[[], str]) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text()


def test_a_text_takes_the_place_of_the_default() -> None:
    texts = Texts({"device": "%(system)s: %(program)s", "hours": lambda count: f"vor {count} Std."})

    assert texts.device(agent_of(FIREFOX)) == "Windows: Firefox"
    assert texts.ago(7200) == "vor 2 Std."
    assert texts.plain("title") == "Your devices"


def test_a_lazy_text_is_of_the_language_in_which_it_is_asked_for() -> None:
    language = {"seen": "Seen %(when)s"}
    texts = Texts({"seen": Lazy(lambda: language["seen"])})
    assert texts.html("seen", when="today") == "Seen today"
    language["seen"] = "Zuletzt %(when)s"

    assert texts.html("seen", when="today") == "Zuletzt today"


@pytest.mark.parametrize("text", ["<b>%(when)s</b>", Lazy(lambda: "<b>%(when)s</b>"), lambda when: f"<b>{when}</b>"])
def test_what_is_no_html_is_escaped(text: object) -> None:
    texts = Texts({"seen": text})

    assert texts.html("seen", when="<i>") == "&lt;b&gt;&lt;i&gt;&lt;/b&gt;"
    assert texts.plain("seen", when="<i>") == "<b><i></b>"


def test_html_of_the_application_stays_and_values_are_escaped_in_it() -> None:
    texts = Texts({"seen": Markup("<b>%(when)s</b>"), "signed_in": lambda when: Markup("<b>{}</b>").format(when)})

    assert texts.html("seen", when="<i>") == "<b>&lt;i&gt;</b>"
    assert texts.html("signed_in", when="<i>") == "<b>&lt;i&gt;</b>"
    assert texts.html("seen", when=Markup("<time>")) == "<b><time></b>"


def test_a_value_may_be_left_out_and_a_percent_sign_written() -> None:
    assert Texts({"seen": "100 %% seen"}).html("seen", when="x") == "100 % seen"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"tilte": "x"}, "devices_blueprint() has no text 'tilte'. Did you mean 'title'?"),
        ({"title": None}, "The text 'title' must be a str, a lazy translation or a function, not None. Leave it out."),
        ({"title": 5}, "The text 'title' must be a str, a lazy translation or a function, not 5. Leave it out."),
        (
            {"seen": "seen %(wann)s"},
            "The text 'seen' cannot be filled in: 'seen %(wann)s' may have %(when)s. Write a percent sign as %%.",
        ),
        (
            {"title": "100 %"},
            "The text 'title' cannot be filled in: '100 %' may have nothing. Write a percent sign as %%.",
        ),
        (
            {"device": "%s on %s"},
            "The text 'device' cannot be filled in: '%s on %s' may have %(program)s, %(system)s. "
            "Write a percent sign as %%.",
        ),
        (
            {"seen": "%s"},
            "The text 'seen' cannot be filled in: '%s' may have %(when)s. Write a percent sign as %%.",
        ),
        (
            {"days": "%(n)d days"},
            "The text 'days' cannot be filled in: '%(n)d days' may have %(count)s. Write a percent sign as %%.",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_said_is_told_at_once(texts: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        devices_blueprint(texts=texts)

    assert str(caught.value) == message


def test_all_faults_are_told_together() -> None:
    with pytest.raises(ConfigError, match=r"'a'(?s:.)*'b'"):
        devices_blueprint(texts={"a": "x", "b": "y"})


def test_every_default_is_a_text_that_could_be_given() -> None:
    assert Texts(DEFAULTS).plain("title") == "Your devices"


def test_other_pages_name_a_device_in_the_same_words(plain: DevicesSite) -> None:
    plain.app.register_blueprint(
        devices_blueprint("geraete", url_prefix="/g", texts={"device": "%(program)s auf %(system)s"})
    )

    with plain.app.app_context():
        assert device_name(FIREFOX) == "Firefox on Windows"
        assert device_name(FIREFOX, blueprint="geraete") == "Firefox auf Windows"
        assert device_name("") == "Unknown device"
        with pytest.raises(ConfigError, match="no page of devices named 'nowhere'"):
            device_name(FIREFOX, blueprint="nowhere")
