"""All that people outside may have typed, a line each.

``python tests/surface.py > tests/surface.txt`` freezes it anew.
"""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import click
from blinker import NamedSignal
from flask import Flask
from flask.sessions import SessionMixin

from flask_sessionkit import Session, SessionKit
from flask_sessionkit.devices import devices_blueprint
from flask_sessionkit.devices.texts import DEFAULTS

ROOT = Path(__file__).resolve().parent.parent

#: Where public names are imported from; without names of its own it is all that a module has.
MODULES: dict[str, set[str]] = {
    "": set(),
    "clock": {"Clock"},
    "compat.flask_session": set(),
    "compat.flask_session.session": {"FormerSession"},
    "devices": set(),
    "findings": set(),
    "reasons": set(),
    "record": set(),
    "stores.base": set(),
    "stores.files": {"FileStore"},
    "stores.memcached": {"MemcachedStore"},
    "stores.memory": {"MemoryStore"},
    "stores.migrating": {"Copied", "MigratingStore"},
    "stores.redis": {"RedisStore"},
    "stores.sqlalchemy": {"SQLAlchemyStore", "session_table"},
    "testing": set(),
}

#: Members for the rooms around a class; no promise to anybody outside, and not in the documentation.
WITHIN = {
    "devices.DeviceList": {"__init__"},
    "compat.flask_session.session.FormerSession": {"is_permanent"},
    "testing.Pause": {"__init__", "stand"},
    "testing.Running": {"__init__"},
    "Session": {
        "__init__",
        "changes",
        "draft",
        "end_at_close",
        "ends_because",
        "is_as_found",
        "is_behind",
        "is_opened",
        "is_to_end",
        "log_in",
        "login_view",
        "note_sending",
        "outlive_credentials",
        "rebase",
        "scratch",
        "shows_user",
        "visit",
    },
    "testing.StoreContract": {"assert_listed", "kept", "pages", "purges", "stored", "teardown_method", "touched"},
    "testing.Trips": {"__init__", "note"},
}


def lines() -> list[str]:
    """Return the whole surface, in the order of the alphabet inside of each part."""
    found: list[str] = []
    for module in MODULES:
        found += sorted(of_module(module))
    return [*found, *sorted(of_settings()), *of_commands(), *of_the_page_of_devices(), *sorted(of_extras())]


# Names.


def of_module(module: str) -> Iterator[str]:
    """Yield the names of a module that are ours, or those of them that are meant for others, with their members."""
    place = place_of(module)
    inside = importlib.import_module(place)
    homes = {place_of(room) for room in MODULES}
    for name, value in public(inside):
        home = getattr(value, "__module__", place)
        if name not in MODULES[module] and (MODULES[module] or not is_passed_on(name, value, inside, homes)):
            continue
        if home != place and home in homes:
            yield f"{place}.{name} is {home}.{name}"
            continue
        yield described(f"{place}.{name}", value)
        if isinstance(value, type):
            yield from of_class(f"{place}.{name}", value)


def is_passed_on(name: str, value: object, module: ModuleType, homes: set[str]) -> bool:
    """Tell what a module makes or passes on for others; a package passes on what its rooms make."""
    home = getattr(value, "__module__", None) or ""
    is_of_a_room = hasattr(module, "__path__") and home.startswith(f"{module.__name__}.")
    is_plain = isinstance(value, NamedSignal | float) or name in inspect.get_annotations(module)
    return home in homes or is_of_a_room or is_plain


def place_of(module: str) -> str:
    return f"flask_sessionkit.{module}".removesuffix(".")


def public(owner: object) -> Iterator[tuple[str, Any]]:
    for name, value in dict(vars(owner)).items():
        if (not name.startswith("_") or name == "__init__") and not isinstance(value, ModuleType):
            yield name, value


def of_class(place: str, owner: type) -> Iterator[str]:
    """Yield what a class and those of ours that it is made of give: methods, properties, fields, members."""
    if issubclass(owner, Enum):
        yield from (f"{place}.{one.name} = {one.value!r}" for one in owner)
    members: dict[str, str] = {}
    for base in reversed(owner.__mro__):
        if not base.__module__.startswith("flask_sessionkit"):
            continue
        for name, annotation in inspect.get_annotations(base).items():
            if not name.startswith("_"):
                members[name] = f"{place}.{name}: {annotation}"
        for name, value in public(base):
            plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            if isinstance(plain, property | cached_property | FunctionType):
                members[name] = described(f"{place}.{name}", plain)
        if "__init__" in vars(base) and not hasattr(base, "__dataclass_fields__"):
            for name in re.findall(r"^ +self\.([a-z]\w*)(?:: .*)? = ", inspect.getsource(base.__init__), re.M):
                members.setdefault(name, f"{place}.{name}: an attribute")
    hidden = set(WITHIN.get(place.removeprefix("flask_sessionkit."), ()))
    if issubclass(owner, Session):
        hidden |= WITHIN["Session"] | {*dir(SessionMixin)} - {"copy"}
    if "__dataclass_fields__" in vars(owner) or getattr(owner, "_is_protocol", False):
        hidden.add("__init__")
    yield from (line for name, line in members.items() if name not in hidden and not name.startswith("test_"))


def described(place: str, value: Any) -> str:
    match value:
        case property():
            return f"{place} -> {inspect.signature(value.fget).return_annotation}"  # type: ignore[arg-type]  # it has one
        case cached_property():
            return f"{place} -> {inspect.signature(value.func).return_annotation}"
        case FunctionType():
            return place + signature_of(value)
        case type() if value.__name__ == place.rpartition(".")[2]:
            bases = ", ".join(base.__name__ for base in value.__bases__ if is_public(base))
            return f"class {place}({bases})".removesuffix("()")
        case NamedSignal():
            return f"{place}: signal {value.name}"
        case type():
            return f"{place} = {value.__name__}"
    return f"{place} = {value}"


def is_public(base: type) -> bool:
    home = base.__module__.removeprefix("flask_sessionkit.")
    return base is not object and (home == base.__module__ or home in {*MODULES, "errors"})


def signature_of(function: FunctionType) -> str:
    """Return a signature as it stands in the source, whose annotations are texts."""
    signature = inspect.signature(function)
    listed: list[str] = []
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and not any(text.startswith("*") for text in listed):
            listed.append("*")
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        annotation = "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        listed.append(f"{stars}{name}{annotation}{default}")
    return f"({', '.join(listed)}) -> {signature.return_annotation}"


# What is not imported.


def of_settings() -> Iterator[str]:
    """Yield the settings with their defaults from their page, which ``tests/test_docs.py`` holds to the code."""
    page = (ROOT / "docs" / "settings.rst").read_text("utf-8")
    for name, kind, default in re.findall(r"^\.\. confval:: (\S+)\n   :type: (.+)\n   :default: ``(.+)``$", page, re.M):
        yield f"{name}: {kind.replace('``', '')} = {default}"


def of_commands() -> Iterator[str]:
    app = an_application()
    yield f"app.extensions: {', '.join(app.extensions)}"
    group = app.cli.commands["sessions"]
    assert isinstance(group, click.Group)
    for name, command in sorted(group.commands.items()):
        yield " ".join(["flask sessions", name, *(typed(one) for one in command.params)])


def typed(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return str(parameter.make_metavar(click.Context(click.Command("sessions"))))
    assert isinstance(parameter, click.Option)
    value = "" if parameter.is_flag else f" {parameter.type.name}"
    if isinstance(parameter.type, click.Choice):
        value = f" {'|'.join(map(str, parameter.type.choices))}"
    default = f"={parameter.default}" if isinstance(parameter.default, int | str) and not parameter.is_flag else ""
    return f"[{'/'.join(parameter.opts)}{value}{default}]"


def of_the_page_of_devices() -> Iterator[str]:
    """Yield what applications link to, reword and put others in the place of."""
    app = an_application()
    app.register_blueprint(devices_blueprint())
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.endpoint):
        if rule.endpoint.startswith("devices."):
            methods = "|".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
            yield f"endpoint {rule.endpoint}: {methods} {rule.rule}"
    templates = ROOT / "flask_sessionkit" / "devices" / "templates"
    for path in sorted(templates.rglob("*.html")):
        blocks = re.findall(r"{%-? block (\w+)", path.read_text("utf-8"))
        yield " ".join([f"template {path.relative_to(templates).as_posix()}:", *blocks]).removesuffix(":")
    yield from (f"text {name}" for name in DEFAULTS)


def of_extras() -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    yield from (f"extra {name}" for name in project["optional-dependencies"])


def an_application() -> Flask:
    app = Flask("shop")
    app.config.update(TESTING=True, SECRET_KEY="test", SESSIONKIT_STORE="memory:")
    SessionKit(app)
    return app


if __name__ == "__main__":
    print("\n".join(lines()))  # noqa: T201  # that is what it is run for
