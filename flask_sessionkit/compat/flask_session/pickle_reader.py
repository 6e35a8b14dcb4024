"""A process that reads pickles and answers msgpack; it does nothing else. Run by ``pickle_process``."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, BinaryIO, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup

from .former_records import packed

#: What stands before a question, and with a first byte for what kind it is before an answer.
LENGTH: Final = struct.Struct(">I")
CONVERTED, REFUSED = b"c", b"r"
#: Bytes that this process may have: a pickle of a few can ask for any number.
_MOST_MEMORY: Final = 2**30


def main() -> None:
    """Answer until nothing more is asked."""
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    _confine()
    while len(head := questions.read(LENGTH.size)) == LENGTH.size:
        kind, said = _answer(questions.read(LENGTH.unpack(head)[0]))
        _write(answers, kind, said)


def _answer(pickled: bytes) -> tuple[bytes, bytes]:
    before = _writable()
    try:
        items = _Narrow(io.BytesIO(pickled)).load()
        is_session = type(items) is dict and all(type(name) is str for name in items)
        answer = (CONVERTED, packed(items)) if is_session else (REFUSED, b"no data of a session")
    except _ForeignError as error:
        answer = REFUSED, str(error).encode("utf-8", "replace")
    except TypeError as error:  # of the codec: what is kept in it
        answer = REFUSED, str(error).encode("utf-8", "replace")
    except Exception as error:  # noqa: BLE001  # a broken pickle raises anything at all
        answer = REFUSED, type(error).__name__.encode()
    if before != _writable():
        os._exit(3)  # It changed what the next ones are read with.
    return answer


class _ForeignError(Exception):
    """A pickle that asks for more than data."""


class _Narrow(pickle.Unpickler):
    """Reads data alone: of all that a pickle can name, it gets what a session here can hold.

    Python's manual ("Restricting Globals") has this way; what it leaves is a fault in the reader itself, and pickles
    that ask for all of the memory or time. Hence the process of its own.
    """

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[_MODULES.get(module, module), name]
        except KeyError:
            raise _ForeignError(f"an object of {module}.{name}"[:100]) from None


def _rebuilt(kind: type, base: type, state: object) -> Any:
    """Do for the two that need it what ``copyreg._reconstructor`` does for any, in protocols 0 and 1."""
    if (kind, base) == (Markup, str) and type(state) is str:
        return Markup(state)  # noqa: S704  # it was one when it was kept
    if (kind, base, state) == (UUID, object, None):
        return object.__new__(UUID)
    raise _ForeignError(f"an object of {kind!r}"[:100])


def _latin_1(text: str, encoding: str) -> bytes:
    """Do for bytes in protocols 0 to 2 what ``_codecs.encode`` does for any text and encoding."""
    if encoding != "latin1":
        raise _ForeignError("a text in an encoding of its own")
    return text.encode("latin-1")


def _attribute(owner: object, name: str) -> Callable[..., Any]:
    """Do for time zones what ``getattr`` does for anything."""
    if owner is ZoneInfo and name == "_unpickle":
        return _zone
    raise _ForeignError(f"an attribute of {owner!r}"[:100])


def _zone(key: str, from_cache: bool) -> ZoneInfo:
    return ZoneInfo(key)


_MODULES: Final = {"__builtin__": "builtins", "copy_reg": "copyreg", "markupsafe._native": "markupsafe"}
_KNOWN: Final[dict[tuple[str, str], Callable[..., Any]]] = {
    ("builtins", "getattr"): _attribute,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "object"): object,
    ("builtins", "unicode"): str,  # what protocols 0 to 2 call it
    ("collections", "OrderedDict"): dict,
    ("copyreg", "_reconstructor"): _rebuilt,
    ("_codecs", "encode"): _latin_1,
    ("datetime", "date"): date,
    ("datetime", "datetime"): datetime,
    ("datetime", "time"): time,
    ("datetime", "timedelta"): timedelta,
    ("datetime", "timezone"): timezone,
    ("decimal", "Decimal"): Decimal,
    ("markupsafe", "Markup"): Markup,
    ("uuid", "UUID"): UUID,
    ("zoneinfo", "ZoneInfo"): ZoneInfo,
}


def _writable() -> list[object]:
    """Return all that a pickle could write to among what it is given: BUILD sets attributes, of a class too."""
    of_classes = [dict(vars(kind)) for kind in (Markup, UUID, ZoneInfo)]
    own = (_rebuilt, _latin_1, _attribute, _zone)
    return [*of_classes, *((one.__code__, one.__defaults__, one.__kwdefaults__, dict(vars(one))) for one in own)]


def _confine() -> None:
    """Forbid this process what it does not need, where the system can."""
    try:
        import resource
    except ImportError:
        return  # Windows
    for limit, most in (
        (resource.RLIMIT_AS, _MOST_MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(limit, (most, most))


def _write(answers: BinaryIO, kind: bytes, said: bytes) -> None:
    answers.write(kind + LENGTH.pack(len(said)) + said)
    answers.flush()


if __name__ == "__main__":
    main()
