"""``flask sessions ...``: what an operator does to sessions."""

from __future__ import annotations

import json
import secrets
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import msgspec
from flask import current_app
from flask.cli import AppGroup

from .app_stores import is_taken_over_from, site_of, store_of
from .errors import SessionKitError, StoreError
from .identity import as_user_id
from .interface import SessionKitInterface, interface_of
from .printouts import picture_of, table_of
from .reasons import Reason
from .roster import parts_of
from .stores.base import Capability, CountsEnded, MakesTable, Scans
from .stores.migrating import Copied, MigratingStore

if TYPE_CHECKING:
    from flask import Flask

#: Records of a copy after which its counts are told, where there is no terminal for a bar.
_TOLD_EVERY = 10_000

sessions: AppGroup = AppGroup("sessions", help="Look after sessions.")


@sessions.command()
@click.option("--batch", default=1000, show_default=True, type=click.IntRange(min=1), help="Records a call.")
@click.option("--dry-run", is_flag=True, help="Count what would be removed, and remove nothing.")
def purge(batch: int, dry_run: bool) -> None:
    """Remove sessions that have expired."""
    kit = current_app.extensions["sessionkit"]
    store, clock = kit.store, _site().clock
    if store is None:
        click.echo("Sessions lie in browsers here, and nothing of them is kept that could expire.")
        return
    if Capability.PURGE not in store.capabilities:
        click.echo("This store removes expired sessions by itself.")
        return
    with _told_in_one_line():
        expired = store.count_ended(now=clock.now()) if isinstance(store, CountsEnded) else None
        if dry_run:
            click.echo(
                "This store cannot count; run without --dry-run to remove what has expired."
                if expired is None
                else f"{expired} expired; nothing removed."
            )
        elif _is_terminal() and expired is not None:
            with click.progressbar(length=expired, label="Purging") as bar:
                removed = kit.purge(batch=batch, on_batch=bar.update)
            click.echo(f"{removed} removed.")
        else:
            click.echo(f"{kit.purge(batch=batch)} removed.")


@sessions.command("create-table")
def create_table() -> None:
    """Make the table of a SQL store. Without this it is made at first use."""
    store = current_app.extensions["sessionkit"].store
    if not isinstance(store, MakesTable):
        click.echo("This store needs no table.")
        return
    with _told_in_one_line():
        store.create_table()
    click.echo("The table is there.")


@sessions.command()
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
def check(format_: str) -> None:
    """Judge the settings and the store one by one, as for a deployment; exit with 1 if there is a fault."""
    found = current_app.extensions["sessionkit"].check()
    if format_ == "json":
        click.echo(json.dumps([{"mark": one.mark, "about": one.about, "text": one.text} for one in found], indent=2))
    else:
        for one in found:
            click.echo(f"{one.mark:<6}{one.about}: {one.text}")
    if any(one.mark == "fault" for one in found):
        sys.exit(1)


@sessions.command("list")
@click.argument("user")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
def list_(user: str, format_: str) -> None:
    """List where a USER is signed in, the latest login first.

    USER is the id that login_user() was given, not a name or an address.
    """
    with _told_in_one_line():
        rows = current_app.extensions["sessionkit"].sessions_of(_user_id(user))
    if format_ == "json":
        told = [asdict(row) for row in rows]
        for row in told:
            del row["current"]  # of a request; here is none
        click.echo(json.dumps(told, indent=2))
    elif rows:
        click.echo("\n".join(table_of(rows)))
    else:
        click.echo(f"Signed in nowhere: no session of the user id {user!r}.")


# A handle may begin with a dash, and no option is that long.
@sessions.command(context_settings={"ignore_unknown_options": True})
@click.argument("handle", required=False)
@click.option(
    "--user", metavar="USER", help="End all sessions of this user; with HANDLE that one, if it is the user's."
)
@click.option("--all", "everybody", is_flag=True, help="End every session, also of those who are not signed in.")
@click.option("--yes", is_flag=True, help="With --all: do not ask.")
def revoke(handle: str | None, user: str | None, everybody: bool, yes: bool) -> None:
    """End the session that a HANDLE of the list names, or all of a user's, or all.

    USER is the id that login_user() was given, not a name or an address.
    """
    if (handle is not None or user is not None) == everybody:
        raise click.UsageError("Give HANDLE, --user or both, or else --all.")
    if handle is not None and not parts_of(handle)[0]:
        raise click.UsageError("This is no handle. Copy it from: flask sessions list USER.")
    owner = None if user is None else _user_id(user)
    if everybody and not yes:
        click.confirm("End every session of this application?", abort=True)
    kit = current_app.extensions["sessionkit"]
    with _told_in_one_line():
        if everybody:
            ended = _site().roster(_app()).revoke_all(reason=Reason.ADMINISTRATOR)
        elif handle is not None:
            ended = kit.revoke(handle, user_id=owner, reason=Reason.ADMINISTRATOR.value)
        else:
            ended = kit.revoke_user(owner, reason=Reason.ADMINISTRATOR.value)
    click.echo(f"{ended} ended.")


@sessions.command()
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
def stats(format_: str) -> None:
    """Count the sessions that there are, their sizes and ages. Reads the whole store."""
    with _told_in_one_line():
        found = _site().census(_app())
    if found is None and _site().store is None:
        raise click.ClickException("Sessions lie in browsers here, and nothing of them is kept that could be counted.")
    if found is None:
        raise click.ClickException("This store cannot be walked from end to end, so nothing can be counted.")
    if format_ == "json":
        told = msgspec.to_builtins(found) | {"ages": [{"under": limit, "count": count} for limit, count in found.ages]}
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo("\n".join(picture_of(found)))


@sessions.command()
@click.argument("source", metavar="[FROM", required=False)
@click.argument("target", metavar="TO]", required=False)
@click.option("--offline", is_flag=True, help="No server of this application runs, so none has to know both stores.")
def copy(source: str | None, target: str | None, offline: bool) -> None:
    """Move all sessions from one store to another.

    They may be used meanwhile. FROM and TO are URLs as in SESSIONKIT_STORE; without them, sessions go from the store
    that SESSIONKIT_TAKE_OVER names to that of SESSIONKIT_STORE. May be stopped at any moment, and run again.
    """
    if (source is None) != (target is None):
        raise click.UsageError("Give FROM and TO, or neither.")
    if source is not None and source == target:
        raise click.UsageError("FROM and TO are the same.")
    with _told_in_one_line():
        store = _migrating(source, target, offline=offline)
        total = sum(1 for _ in store.old.scan()) if _is_terminal() and isinstance(store.old, Scans) else None
        done: Counter[Copied] = Counter()
        try:
            if total is None:
                for outcome in store.copy(_site().clock):
                    done[outcome] += 1
                    if done.total() % _TOLD_EVERY == 0:
                        click.echo(_told(done))
            else:
                with click.progressbar(store.copy(_site().clock), length=total, label="Moving") as outcomes:
                    done.update(outcomes)
        finally:
            click.echo(_told(done))


def _migrating(source: str | None, target: str | None, *, offline: bool) -> MigratingStore:
    """Return the two stores of a copy, in the order of the copy.

    :raises SessionKitError: servers may run that know one of them alone.
    """
    site = _site()
    if source is None or target is None:
        if isinstance(site.store, MigratingStore):
            return site.store
        raise SessionKitError("SESSIONKIT_TAKE_OVER names no store. Set it, or give FROM and TO.")
    if not offline and not is_taken_over_from(source, target, site.settings):
        raise SessionKitError(
            "The servers of this application do not know both stores by these URLs, and to a server that knows one "
            "alone a session in the other is none. Set SESSIONKIT_STORE and SESSIONKIT_TAKE_OVER to them first, "
            "everywhere; or stop all servers and give --offline."
        )
    stores = site_of(_app(), site.settings)
    return MigratingStore(store_of(target, stores, by="TO"), store_of(source, stores, by="FROM"))


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _told(done: Counter[Copied]) -> str:
    return f"{done[Copied.MOVED]} moved, {done[Copied.THERE]} were there already, {done[Copied.ENDED]} had ended."


@sessions.command("generate-key")
def generate_key() -> None:
    """Print a new secret for SECRET_KEY."""
    click.echo(secrets.token_hex())


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise click.ClickException(f"The session store could not answer: {error}") from error
    except SessionKitError as error:
        raise click.ClickException(str(error)) from error


def _app() -> Flask:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # the proxy's own
    return app


def _site() -> SessionKitInterface:
    with _told_in_one_line():
        return interface_of(_app())


def _user_id(user: str) -> str:
    try:
        return as_user_id(user)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
