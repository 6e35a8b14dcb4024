"""Make wheel and sdist of the last commit, twice, and try them on each Python; what holds is left in ``dist/``.

Needs git, the network for what the package depends upon, and the Pythons that the classifiers name.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
TRIAL = Path(__file__).with_name("trial.py")

#: What is for who works in a clone, and is in no sdist.
LEFT_OUT = (".ci/", ".github/", ".gitignore", ".pre-commit-config.yaml")
#: Bytes. An sdist that doubles has taken in something that nobody looked at.
LARGEST_SDIST = 3_000_000

#: What is tried in the unpacked sdist: all that asks no server and no browser, and is done in a minute.
SOME_TESTS = ("tests/unit", "tests/devices", "tests/test_surface.py", "tests/test_layers.py", "tests/test_docs.py")


def main() -> None:
    for line in output("git", "status", "--porcelain").splitlines():
        say(f"not committed, so not in it: {line[3:]}")
    project = tomllib.loads(output("git", "show", "HEAD:pyproject.toml"))["project"]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        artefacts = built_twice(folder, released_at(project["version"]))
        see_what_is_inside(artefacts[".gz"], folder)
        run("twine", "check", "--strict", *artefacts.values())
        for python in pythons(project["classifiers"]):
            for artefact in artefacts.values():
                try_in_a_clean_place(artefact, python, folder)
        try_the_sources(artefacts[".gz"], folder)
        keep(artefacts)


def released_at(version: str) -> int:
    """Return the day of a version in ``CHANGES.md`` in Unix seconds: the same for whoever builds it, and whenever."""
    found = re.search(
        rf"^## {re.escape(version)} \((\d{{4}}-\d\d-\d\d)\)$", output("git", "show", "HEAD:CHANGES.md"), re.M
    )
    if found is None:
        fail(f"CHANGES.md has no section '## {version} (year-month-day)'")
    return int(datetime.fromisoformat(found[1]).replace(tzinfo=UTC).timestamp())


def pythons(classifiers: list[str]) -> Iterator[str]:
    """Yield the Pythons that the package says it runs on; those that ``tox`` asks for have to be here."""
    asked = re.findall(
        r"\bpy3(\d+)\b", re.findall(r"^env_list = (.*)$", output("git", "show", "HEAD:tox.ini"), re.M)[0]
    )
    for python in re.findall(r"Python :: (3\.\d+)$", "\n".join(classifiers), re.M):
        if python.removeprefix("3.") in asked or is_here(python):
            yield python
        else:
            say(f"not tried on Python {python}: it is not here")


def is_here(python: str) -> bool:
    return shutil.which(f"python{python}") is not None


# Making.


def built_twice(folder: Path, epoch: int) -> dict[str, Path]:
    """Build from two copies that differ in all but their contents, and the wheel once more from the sdist.

    :returns: the artefacts by the end of their names, ``.whl`` and ``.gz``.
    """
    first = built(sources(folder / "one", mask=0o022), folder / "first", epoch)
    again = built(sources(folder / "two", mask=0o077), folder / "again", epoch, PYTHONHASHSEED="1", TZ="Asia/Tokyo")
    again["from the sdist"] = built(unpacked(first[".gz"], folder / "three"), folder / "third", epoch)[".whl"]
    for name, path in again.items():
        if digest(path) != digest(first.get(name, first[".whl"])):
            fail(f"a second build has other bytes: {name}")
    say("two builds, and one of the sdist, have the same bytes")
    return first


def sources(folder: Path, *, mask: int) -> Path:
    """Return the last commit's files in a folder of their own."""
    folder.mkdir()
    archive = folder.with_suffix(".tar")
    run("git", "archive", "--output", archive, "HEAD")
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="tar")
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode & ~mask)
        os.utime(path, (mask, mask))
    return folder


def built(source: Path, target: Path, epoch: int, **environ: str) -> dict[str, Path]:
    # Without isolation the builder is the one of this environment, which the lock holds.
    run("build", "--no-isolation", "--outdir", target, source, SOURCE_DATE_EPOCH=str(epoch), **environ)
    return {path.suffix: path for path in target.iterdir()}


def unpacked(sdist: Path, folder: Path) -> Path:
    with tarfile.open(sdist) as files:
        files.extractall(folder, filter="data")
    [inside] = folder.iterdir()
    return inside


# Looking.


def see_what_is_inside(sdist: Path, folder: Path) -> None:
    """Everything that git has and who takes part needs, nothing else, and no trace of where it was made."""
    source = unpacked(sdist, folder / "seen")
    inside = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    wanted = {
        name
        for name in output("git", "ls-tree", "-r", "--name-only", "HEAD").splitlines()
        if not name.startswith(LEFT_OUT)
    }
    if inside - {"PKG-INFO"} != wanted:
        fail(f"the sdist lacks {sorted(wanted - inside)} and has {sorted(inside - wanted - {'PKG-INFO'})} besides")
    for name in sorted(inside):
        if found := next(traces((source / name).read_bytes(), folder), None):
            fail(f"{name} in the sdist holds a path of this machine: {found!r}")
    if sdist.stat().st_size > LARGEST_SDIST:
        fail(f"the sdist has {sdist.stat().st_size:,} bytes, more than {LARGEST_SDIST:,}")
    say(f"the sdist holds {len(inside)} files, all that git has but {', '.join(LEFT_OUT)}")


def traces(content: bytes, folder: Path) -> Iterator[bytes]:
    places = "|".join(re.escape(str(place)) for place in (ROOT, folder) if len(place.parts) > 2)
    yield from re.findall(rf"(?:{places}|/(?:home|Users)/\w+)/".encode(), content)


# Trying.


def try_in_a_clean_place(artefact: Path, python: str, folder: Path) -> None:
    """Install an artefact alone, then with every extra, and try it after each."""
    place = a_clean_place(python, folder / f"{artefact.suffix}-{python}")
    for extras in ("", "[all]"):
        install(place, f"flask-sessionkit{extras} @ {artefact.as_uri()}")
        run(place / "bin" / "python", "-I", TRIAL, *(["all"] if extras else []), cwd=place)
        say(f"{artefact.name}{extras} works on Python {python}")


def try_the_sources(sdist: Path, folder: Path) -> None:
    """Build the documentation of an unpacked sdist, and run a part of its tests, against its own package."""
    source, place = unpacked(sdist, folder / "tried"), a_clean_place("3.11", folder / "sources")
    install(place, ".[all]", "--group", "docs", "--group", "tests", cwd=source)
    run(place / "bin" / "python", "-m", "sphinx", "-W", "-q", "-n", "-b", "html", "docs", folder / "html", cwd=source)
    run(place / "bin" / "pytest", "-q", "-p", "no:cacheprovider", *SOME_TESTS, cwd=source)
    say("the sdist's documentation builds, and a part of its tests passes")


def a_clean_place(python: str, place: Path) -> Path:
    run("uv", "venv", "--quiet", "--no-project", "--python", python, place, UV_PYTHON_DOWNLOADS="never")
    return place


def install(place: Path, *what: str, cwd: Path | None = None) -> None:
    run("uv", "pip", "install", "--quiet", "--python", place / "bin" / "python", *what, cwd=cwd)


# Keeping.


def keep(artefacts: dict[str, Path]) -> None:
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    for path in artefacts.values():
        shutil.copy(path, DIST)
        say(f"dist/{path.name}: {path.stat().st_size:,} bytes, SHA-256 {digest(path)}")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# Running.


def run(*command: str | Path, cwd: Path | None = None, **environ: str) -> None:
    """Run a command of this environment or of the one that is tried; end with it, should it fail."""
    name, *rest = map(str, command)
    own = [sys.executable, "-m", name] if name in ("build", "twine", "uv") else [name]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "FLASK"))}
    done = subprocess.run(
        [*own, *rest], cwd=cwd or ROOT, env=clean | environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        fail(f"{' '.join([name, *rest])}\n{done.stdout}")


def output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def say(what: str) -> None:
    print(what, flush=True)


def fail(what: str) -> None:
    sys.exit(f"no release: {what}")


if __name__ == "__main__":
    main()
