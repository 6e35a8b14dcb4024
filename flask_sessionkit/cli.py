"""``flask sessions ...``: what an operator does to sessions."""

from __future__ import annotations

import json
import secrets
import sys

import click
from flask import current_app
from flask.cli import AppGroup

from .errors import StoreError
from .stores.base import Capability, CountsEnded, MakesTable

sessions: AppGroup = AppGroup("sessions", help="Look after sessions.")


@sessions.command()
@click.option("--batch", default=1000, show_default=True, type=click.IntRange(min=1), help="Records a call.")
@click.option("--dry-run", is_flag=True, help="Count what would be removed, and remove nothing.")
def purge(batch: int, dry_run: bool) -> None:
    """Remove sessions that have expired."""
    kit = current_app.extensions["sessionkit"]
    store, clock = kit.store, current_app.session_interface.clock  # type: ignore[attr-defined]  # ours, as kit is there
    if store is None:
        click.echo("Sessions lie in browsers here, and nothing of them is kept that could expire.")
        return
    if Capability.PURGE not in store.capabilities:
        click.echo("This store removes expired sessions by itself.")
        return
    try:
        expired = store.count_ended(now=clock.now()) if isinstance(store, CountsEnded) else None
        if dry_run:
            click.echo(
                "This store cannot count; run without --dry-run to remove what has expired."
                if expired is None
                else f"{expired} expired; nothing removed."
            )
        elif sys.stdout.isatty() and expired is not None:
            with click.progressbar(length=expired, label="Purging") as bar:
                removed = kit.purge(batch=batch, on_batch=bar.update)
            click.echo(f"{removed} removed.")
        else:
            click.echo(f"{kit.purge(batch=batch)} removed.")
    except StoreError as error:
        raise _Failed(error) from error


@sessions.command("create-table")
def create_table() -> None:
    """Make the table of a SQL store. Without this it is made at first use."""
    store = current_app.extensions["sessionkit"].store
    if not isinstance(store, MakesTable):
        click.echo("This store needs no table.")
        return
    try:
        store.create_table()
    except StoreError as error:
        raise _Failed(error) from error
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


@sessions.command("generate-key")
def generate_key() -> None:
    """Print a new secret for SECRET_KEY."""
    click.echo(secrets.token_hex())


class _Failed(click.ClickException):
    """One line and exit code 1."""

    def __init__(self, error: StoreError) -> None:
        super().__init__(f"The session store could not answer: {error}")
