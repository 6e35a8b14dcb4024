"""A script: a parent that uses its store before, while and after its children do, who end as Python programs end."""

from __future__ import annotations

import os
import sys

CHILDREN = 4
ROUNDS = 25


def use(name: str) -> None:
    """Be one user, and see nobody else."""
    from fork_app import app

    client = app.test_client()
    client.post(f"/login?user={name}")
    for number in range(1, ROUNDS + 1):
        told = client.post("/add").get_json()
        if (told["user"], told["name"], told["n"]) != (name, name, number):
            sys.exit(f"{name}: {told} in place of {number}")


def main() -> int:
    use("parent before")
    children = []
    for child in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            use(f"child {child}")
            sys.exit()  # not os._exit(): what is collected at the end is to harm nobody
        children.append(pid)
    use("parent meanwhile")
    exits = [os.waitpid(pid, 0)[1] for pid in children]
    use("parent after")
    return int(any(exits))


if __name__ == "__main__":
    sys.exit(main())
