"""Security requirements ST: what a store's thief, neighbour or failure can bring about."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow_site import NOBODY, Site, look, pausing, still
from flow_stores import keys_in
from msgspec.structs import replace
from visitors import sessions_of, signed_in

import flask_sessionkit
from flask_sessionkit.record import Outcome, Record

MakeSite = Callable[..., Site]
COMPAT = "flask_sessionkit.compat.flask_session"
PICKLES = Path(flask_sessionkit.__file__).parent / "compat" / "flask_session" / "pickle_reader.py"
#: Of the other kinds the flow tests hold it, in the clear and encrypted.
IN_THE_BROWSER = pytest.mark.parametrize("kind", ["cookie"], indirect=True)


def records(site: Site) -> list[Record]:
    inner = pausing(site).inner
    return [record for key in keys_in(site.store) if (record := inner.load(key, now=site.clock.now()))]


def put_back(site: Site, record: Record, **fields: Any) -> None:
    """Overwrite a record as somebody who can write to the store would."""
    inner = pausing(site).inner
    current = inner.load(record.key, now=site.clock.now())
    assert current is not None
    written = replace(record, version=os.urandom(8), **fields)
    assert inner.replace(written, expected=current.version, now=site.clock.now()).outcome is Outcome.OK


@pytest.mark.requirement("ST-01")
@IN_THE_BROWSER
def test_what_is_known_of_one_user_under_anothers_key_opens_nothing(site: Site) -> None:
    alice, bob = signed_in(site, "alice"), signed_in(site, "bob")
    one, other = records(site)

    put_back(site, one, payload=other.payload, info=other.info)
    put_back(site, other, payload=one.payload, info=one.info)

    assert site.dead(*alice.held, *bob.held)
    put_back(site, one)
    put_back(site, other)
    assert [alice.sees.user, bob.sees.user] == ["alice", "bob"]


@pytest.mark.requirement("ST-02")
def test_nothing_in_the_package_could_run_what_is_stored() -> None:
    """No pickle, marshal, shelve, yaml, eval or exec is ever named, but in what an operator runs to convert pickles."""
    wrong = []
    for path in set(Path(flask_sessionkit.__file__).parent.rglob("*.py")) - {PICKLES}:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [node.func.id] if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else []
            for name in names:
                if name.partition(".")[0] in {"pickle", "marshal", "shelve", "dill", "yaml", "eval", "exec", "compile"}:
                    wrong.append(f"{path.name}: {name}")

    assert wrong == []


@pytest.mark.requirement("ST-02")
def test_a_server_loads_nothing_that_reads_pickles() -> None:
    """Neither at start nor with the commands; the process that reads them does."""
    asked = f"import sys, {COMPAT}.commands; print('{COMPAT}.pickle_reader' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", asked],
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout == "False\n"
    assert PICKLES.is_file()


@pytest.mark.requirement("ST-09", "CA-04")
def test_a_view_that_does_not_look_answers_while_the_store_is_down(site: Site) -> None:
    visitor = signed_in(site)
    for call in ("load", "create", "replace"):
        pausing(site).fail(call)  # type: ignore[arg-type]  # names of calls

    assert visitor.does(still).status == 200
    assert site.ask(None, look).value == NOBODY


@pytest.mark.requirement("ST-11", "IN-06")
@IN_THE_BROWSER
def test_any_byte_that_is_changed_or_cut_off_of_what_is_known_refuses(site: Site) -> None:
    visitor = signed_in(site)
    [record] = records(site)
    wrong = [record.payload[:length] for length in range(0, len(record.payload), 7)]
    wrong += [
        record.payload[:place] + bytes([record.payload[place] ^ 1 << place % 8]) + record.payload[place + 1 :]
        for place in range(len(record.payload))
    ]

    for payload in wrong:
        put_back(site, record, payload=payload)
        assert site.dead(*visitor.held)

    put_back(site, record)
    assert visitor.sees.user == "ann"


@pytest.mark.requirement("ST-12")
def test_two_applications_on_one_store_and_one_secret_stay_apart(make_site: MakeSite) -> None:
    shop, blog = make_site(SESSIONKIT_APP_ID="shop"), make_site(SESSIONKIT_APP_ID="blog")
    visitor = signed_in(shop)

    assert blog.dead(*visitor.held)
    assert sessions_of(blog) == []
    assert blog.outside(blog.kit.revoke_user, "ann") == 0
    [row] = sessions_of(shop)
    assert blog.outside(blog.kit.revoke, row.handle, user_id="ann") == 0
    assert visitor.sees.user == "ann"
