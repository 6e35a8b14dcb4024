"""Which stores an application's settings name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, current_app

from .config import Settings
from .errors import ConfigError
from .store_urls import Site, make_store, store_of_client
from .stores.base import Store
from .stores.migrating import MigratingStore
from .stores.redis_clients import is_client

_METHODS = ("load", "create", "replace", "delete", "list_owner", "purge")


def site_of(app: Flask, settings: Settings) -> Site:
    """Return what stores have to know of an application."""
    return Site(
        instance_path=Path(app.instance_path),
        timeout=settings.store_timeout,
        prefix=settings.key_prefix,
        database=_database,
    )


def store_of(named: Any, site: Site, *, by: str = "SESSIONKIT_STORE") -> Store:
    """Return the store that a setting names.

    :param by: the setting, for messages.
    :raises ConfigError: none can be made of it.
    """
    try:
        return _store_of("file:" if named is None else named, site)
    except ConfigError as error:
        if by == "SESSIONKIT_STORE":
            raise
        raise ConfigError(str(error).replace("SESSIONKIT_STORE", by).replace(", cookie:.", ".")) from error


def names_store(one: object) -> bool:
    """Return whether one entry of ``SESSIONKIT_TAKE_OVER`` names a store, and no other kind of session."""
    if isinstance(one, str):
        return ":" in one and not one.lower().startswith("cookie")
    return is_client(one) or (not isinstance(one, type) and not _missing(one))


def with_old_store(new: Store, settings: Settings, site: Site) -> Store:
    """Return the store of an application, which takes over what lies in the one of ``SESSIONKIT_TAKE_OVER``, if any.

    :raises ConfigError: that cannot be.
    """
    named = [one for one in settings.take_over if names_store(one)]
    if not named:
        return new
    if len(named) > 1:
        raise ConfigError(
            f"SESSIONKIT_TAKE_OVER names {len(named)} stores. Take over from one at a time: copy, then go on with the "
            "next."
        )
    if named[0] == ("file:" if settings.store is None else settings.store):
        raise ConfigError(
            "SESSIONKIT_TAKE_OVER names the store that SESSIONKIT_STORE names too. Name the one where sessions lay "
            "before."
        )
    return MigratingStore(new, store_of(named[0], site, by="SESSIONKIT_TAKE_OVER"))


def is_taken_over_from(source: str, target: str, settings: Settings) -> bool:
    """Return whether an application was told to know both of two stores, in whichever order."""
    known = {"file:" if settings.store is None else settings.store} if _is_name(settings.store) else set()
    known |= {one for one in settings.take_over if isinstance(one, str) and names_store(one)}
    return source != target and {source, target} <= known


def _is_name(one: object) -> bool:
    return one is None or isinstance(one, str)


def _store_of(named: Any, site: Site) -> Store:
    if isinstance(named, str):
        return make_store(named, site)
    if (store := store_of_client(named, site)) is not None:
        return store
    if isinstance(named, type):
        raise ConfigError(
            f"SESSIONKIT_STORE must be a URL or a store object, not the class {named.__name__}. "
            f"Make one of it: {named.__name__}(...)."
        )
    if missing := _missing(named):
        raise ConfigError(
            f"SESSIONKIT_STORE must be a URL, a store object or a client of Redis; a {type(named).__name__} has no "
            f'{missing[0]}(). Use a URL such as "sqlite:///sessions.db".'
        )
    made: Store = named
    return made


def _missing(named: object) -> list[str]:
    return [method for method in _METHODS if not callable(getattr(named, method, None))]


def _database(bind: str | None) -> Any:
    """Return the URL of one of the databases of the application's Flask-SQLAlchemy; its engines need a context.

    :raises ConfigError: the application has no such database.
    """
    try:
        return current_app.extensions["sqlalchemy"].engines[bind].url
    except KeyError as error:
        what = "SQLALCHEMY_DATABASE_URI" if bind is None else f"{bind!r} in SQLALCHEMY_BINDS"
        raise ConfigError(
            f"SESSIONKIT_STORE is 'sqlalchemy:', and {current_app.name} has no {what}. "
            "Set it, and call db.init_app(app) of Flask-SQLAlchemy, before the first request."
        ) from error
