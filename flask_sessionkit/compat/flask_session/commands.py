"""``flask sessions import-flask-session``, and the command that Flask-Session's own applications run."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from ...cli import sessions
from ...errors import StoreError
from ...interface import interface_of
from .interface import FormerInterface

_RISK = (
    "Whoever could write to this store can have put a program in a session's place, and to read a pickle is to run "
    "what is in it. They are read in a process of its own, which is given data alone and none of this one's secrets; "
    "no way to read pickles is known to be safe. If nobody but your application could write there, run this again "
    "with --i-trust-these-pickles."
)
_FEW_REASONS = 10


#: ``flask sessions`` of an application that comes from Flask-Session.
former_sessions: AppGroup = AppGroup("sessions", help=sessions.help, commands=dict(sessions.commands))


@former_sessions.command("import-flask-session")
@click.option("--i-trust-these-pickles", "is_trusted", is_flag=True, help="Nobody else could write to this store.")
@click.option("--dry-run", is_flag=True, help="Count the pickles, and read none.")
def import_flask_session(is_trusted: bool, dry_run: bool) -> None:
    """Make the pickled sessions of Flask-Session readable.

    Their browsers' next requests take them over. Run it where no server runs Flask-Session any more, and again if it
    was cut off.
    """
    # No process that serves requests needs what can start a reader of pickles.
    from .importing import Became, Import
    from .pickle_process import PickleProcess

    site = interface_of(current_app)
    place = site.place if isinstance(site, FormerInterface) else None
    if place is None:
        raise click.ClickException("This application names no place where Flask-Session kept sessions that last.")
    if not (is_trusted or dry_run):
        raise click.UsageError(f"This reads pickles. {_RISK}")
    if is_trusted and not dry_run:
        click.echo("Reading pickles, which is safe only where nobody else could write to this store.", err=True)
    with PickleProcess() as reader:
        work = Import(place, None if dry_run else reader, now=site.clock.now())
        try:
            _watch(work.run())
        except StoreError as error:
            raise click.ClickException(f"{error} What is converted stays so; run this again.") from error
    counts = work.counts
    if dry_run:
        click.echo(f"{counts[Became.PICKLED]} are pickles; nothing changed.")
    else:
        click.echo(f"{counts[Became.CONVERTED]} converted.")
    click.echo(f"{counts[Became.READABLE]} can be read as they are.")
    if changed := counts[Became.CHANGED]:
        click.echo(f"{changed} were written meanwhile, so Flask-Session runs yet. Stop it, and run this again.")
    if left := counts[Became.LEFT]:
        click.echo(f"{left} left as they are; their users sign in again:")
        for reason, count in work.reasons.most_common(_FEW_REASONS):
            click.echo(f"  {count}: {reason}")


@click.command("session_cleanup")
@with_appcontext
def session_cleanup() -> None:
    """Remove expired sessions, as flask sessions purge does."""
    click.echo(f"{current_app.extensions['sessionkit'].purge()} removed.")


def _watch(steps: Iterable[object]) -> None:
    """Take all steps: with a bar on a terminal, else with a line now and then."""
    if sys.stdout.isatty():
        with click.progressbar(steps, label="Importing", show_pos=True) as bar:
            for _ in bar:
                pass
        return
    done, rest = 0, iter(steps)
    while page := sum(1 for _ in islice(rest, 10_000)):
        done += page
        if page == 10_000:
            click.echo(f"{done} looked at.")
