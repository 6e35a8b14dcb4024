"""A Redis Cluster on loopback: three masters, each with replicas if a test wants them."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Self

from .redis import RedisServer


class RedisCluster:
    """Three masters that share the slots.

    :param args: more arguments of each node's command.
    :param replicas: how many each master has.
    :ivar nodes: all of them; a node's kind is Redis's to say.
    """

    def __init__(self, *args: str, replicas: int = 0) -> None:
        # A replica that was never served does not take over: it is served at once, not after 5 s.
        enabled = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"]
        self.nodes = [RedisServer(*enabled, *args) for _ in range(3 * (1 + replicas))]
        self._replicas = replicas
        self._running = ExitStack()

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"{node.host}:{node.port}" for node in self.nodes)

    def __enter__(self) -> Self:
        with ExitStack() as running:
            for node in self.nodes:
                running.enter_context(node)
            places = [f"{node.host}:{node.port}" for node in self.nodes]
            how_many = ["--cluster-replicas", str(self._replicas)]
            self.nodes[0].run("redis-cli", "--cluster", "create", *places, *how_many, "--cluster-yes")
            self._wait()
            self._running = running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def ask(self, node: RedisServer, *command: str) -> str:
        """Return what a node answers to a command."""
        return node.run("redis-cli", "-h", node.host, "-p", str(node.port), *command)

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while not all(self._is_ready(node) for node in self.nodes):
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"The cluster does not come together:\n{self.ask(self.nodes[0], 'cluster', 'nodes')}"
                )
            time.sleep(0.05)

    def _is_ready(self, node: RedisServer) -> bool:
        seen = self.ask(node, "cluster", "nodes").splitlines()
        is_whole = "cluster_state:ok" in self.ask(node, "cluster", "info")
        is_served = "master_link_status:down" not in self.ask(node, "info", "replication")
        replicas = sum("slave" in line for line in seen)
        return is_whole and is_served and len(seen) == len(self.nodes) and replicas == 3 * self._replicas
