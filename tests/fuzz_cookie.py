"""Changes sealed cookies at random and sees that none of them opens: ``python tests/fuzz_cookie.py --runs 500000``.

With ``--atheris`` (Google's fuzzer of that name has to be installed) what is changed next goes by the lines of the seal
that were reached. Exits with 1 if anything was accepted or raised an error.
"""

from __future__ import annotations

import argparse
import base64
import random
import sys
import time
from collections.abc import Callable
from typing import Any

#: A ring with two fallbacks, as it is in the middle of a change of secrets.
SECRETS = [
    b"current secret of the fuzzing, 32+",
    b"one before it, which only opens ..",
    b"the first one, about to be dropped",
]
NAMES = {"app_id": "fuzzed", "cookie_name": "__Host-session"}

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_ODD = "=+/.!%, \t\n\0é\u2000\ud800"


class Target:
    """The ring under test, with tokens of all its secrets and of strangers."""

    def __init__(self) -> None:
        from flask_sessionkit.sealing import KeyRing

        self.ring = KeyRing(SECRETS, **NAMES)
        rings = [KeyRing([secret], **NAMES) for secret in SECRETS]
        foreign = KeyRing([b"the secret of somebody else, 32 b."], **NAMES), KeyRing(SECRETS, app_id="other")
        sizes = (0, 1, 2, 60, 61, 62, 300, 2000)
        self.valid = [ring.seal_cookie(bytes(size)) for ring in rings for size in sizes]
        self.known = self.valid + [ring.seal_cookie(bytes(size)) for ring in foreign for size in sizes]
        self._opens = frozenset(self.valid)

    def is_accepted(self, text: str) -> bool:
        """Return whether a text opens that nobody sealed."""
        return self.ring.open_cookie(text) is not None and text not in self._opens

    def mutation(self, source: random.Random) -> str:
        """Return a token with one to three changes, or what a token might be mistaken for."""
        token = str(source.choice(self.known))
        for _ in range(source.choice((1, 1, 1, 2, 3))):
            token = source.choice(_CHANGES)(self, source, token)
        return token


def _of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii", "ignore").rstrip(b"=") + b"===")


def _to(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _on_bytes(
    change: Callable[[Target, random.Random, bytearray], None],
) -> Callable[[Target, random.Random, str], str]:
    def changed(target: Target, source: random.Random, text: str) -> str:
        try:
            sealed = bytearray(_of(text))
        except ValueError:  # an earlier change left no base64
            return text
        change(target, source, sealed)
        return _to(sealed)

    return changed


def _flip(target: Target, source: random.Random, sealed: bytearray) -> None:
    if sealed:
        sealed[source.randrange(len(sealed))] ^= 1 << source.randrange(8)


def _overwrite(target: Target, source: random.Random, sealed: bytearray) -> None:
    at, size = source.randrange(len(sealed) + 1), source.choice((1, 4, 5, 16, 24, 32))
    sealed[at : at + size] = source.choice((source.randbytes(size), bytes(size), b"\xff" * size))


def _insert(target: Target, source: random.Random, sealed: bytearray) -> None:
    at = source.randrange(len(sealed) + 1)
    sealed[at:at] = source.randbytes(source.randrange(1, 33))


def _remove(target: Target, source: random.Random, sealed: bytearray) -> None:
    at = source.randrange(len(sealed) + 1)
    del sealed[at : at + source.randrange(1, 33)]


def _cut(target: Target, source: random.Random, sealed: bytearray) -> None:
    del sealed[source.randrange(len(sealed) + 1) :]


def _splice(target: Target, source: random.Random, sealed: bytearray) -> None:
    other = _of(source.choice(target.known))
    at = source.randrange(min(len(sealed), len(other)) + 1)
    sealed[at:] = other[at:]


def _paste_header(target: Target, source: random.Random, sealed: bytearray) -> None:
    sealed[:5] = _of(source.choice(target.valid))[:5]


def _version(target: Target, source: random.Random, sealed: bytearray) -> None:
    sealed[:1] = bytes([source.choice((0x00, 0x01, 0x02, 0x10, 0x11, 0x81, source.randrange(256)))])


def _letter(target: Target, source: random.Random, text: str) -> str:
    at = source.randrange(len(text) + 1)
    return text[:at] + source.choice(_LETTERS + _ODD) + text[at + source.choice((0, 1)) :]


def _last_letter(target: Target, source: random.Random, text: str) -> str:
    return text[:-1] + source.choice(_LETTERS) + source.choice(("", "", "=", "==", "\n"))


def _twice(target: Target, source: random.Random, text: str) -> str:
    return text + source.choice(("", ".", "=", " ")) + source.choice(target.known)


_CHANGES: tuple[Callable[[Target, random.Random, str], str], ...] = (
    *map(_on_bytes, (_flip, _flip, _overwrite, _insert, _remove, _cut, _splice, _paste_header, _version)),
    _letter,
    _last_letter,
    _twice,
)


def main() -> int:
    """Run as many mutations as asked for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--atheris", action="store_true")
    options = parser.parse_args()
    return _guided(options) if options.atheris else _at_random(options)


def _at_random(options: argparse.Namespace) -> int:
    target, source = Target(), random.Random(options.seed)
    accepted, raised, same = 0, 0, 0
    started = time.perf_counter()
    for _ in range(options.runs):
        text = target.mutation(source)
        same += text in target._opens
        try:
            accepted += target.is_accepted(text)
        except Exception as error:  # noqa: BLE001  # any at all is what is looked for
            raised += 1
            _say(f"{type(error).__name__} for {text!r}")
    took = time.perf_counter() - started
    _say(
        f"seed {options.seed}: {options.runs - same} mutations (and {same} that changed nothing) in {took:.1f} s: "
        f"{accepted} accepted, {raised} exceptions"
    )
    return 1 if accepted or raised else 0


def _guided(options: argparse.Namespace) -> int:
    import atheris

    with atheris.instrument_imports(include=["flask_sessionkit"]):
        target = Target()

    def one(data: bytes) -> None:
        # A text as a header brings it, or bytes in their right spelling, which reach further.
        text = _to(data[1:]) if data[:1] == b"\1" else data[1:].decode("utf-8", "replace")
        if target.is_accepted(text):
            raise AssertionError(f"It was accepted: {text!r}")

    def change(data: bytes, most: int, seed: int) -> bytes:
        # By itself it would soon know none but the shortest text that reaches the same lines.
        source = random.Random(seed)
        match source.randrange(4):
            case 0:
                return bytes(atheris.Mutate(data, most))
            case 1:
                return bytes(atheris.Mutate(b"\1" + _of(source.choice(target.known)), most))
            case _:
                return b"\0" + target.mutation(source).encode("utf-8", "replace")[: most - 1]

    limits = [
        f"-atheris_runs={options.runs}",
        f"-seed={options.seed}",
        "-max_len=4096",
        "-len_control=0",
        "-verbosity=1",
    ]
    fuzzer: Any = atheris
    fuzzer.Setup([sys.argv[0], *limits], one, custom_mutator=change)
    fuzzer.Fuzz()  # leaves the process when it is done; with an error if there was one
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
