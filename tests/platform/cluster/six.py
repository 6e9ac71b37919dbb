"""A real cluster of six servers on one machine: three primaries, a replica each."""

import asyncio
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dana.platform.local.programs import Program, free_port, spawn, stop, wait_until_ready
from dana.platform.local.valkey import find_server
from dana.platform.valkey import Valkey

PRIMARIES = 3
SLOTS = 16384
FORM_SECONDS = 30


@dataclass(slots=True)
class Node:
    """One server."""

    port: int
    bus_port: int
    program: Program
    process: subprocess.Popen[bytes]
    client: Valkey
    id: str = ""

    async def ask(self, *command: str | int) -> Any:
        """Run a command on this server, whatever lies elsewhere."""
        return await self.client.call(*command)


class Six:
    """The cluster; `url` names two of its servers."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.nodes: list[Node] = []

    @property
    def url(self) -> str:
        """The address of the cluster."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])

    async def start(self) -> None:
        """Start six servers and make them one."""
        for number in range(2 * PRIMARIES):
            self.nodes.append(self._start(number))
        for node in self.nodes:
            assert await node.client.start()
            node.id = (await node.ask("CLUSTER", "MYID")).decode()
        for number, node in enumerate(self.nodes):
            await node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number:
                first = self.nodes[0]
                await node.ask("CLUSTER", "MEET", "127.0.0.1", first.port, first.bus_port)
        share = -(-SLOTS // PRIMARIES)
        for number, node in enumerate(self.nodes[:PRIMARIES]):
            begin = number * share
            await node.ask("CLUSTER", "ADDSLOTSRANGE", begin, min(begin + share, SLOTS) - 1)
        async with asyncio.timeout(FORM_SECONDS):
            await self._replicate()

    async def _replicate(self) -> None:
        for primary, replica in zip(self.nodes[:PRIMARIES], self.nodes[PRIMARIES:], strict=True):
            await _until(replica, ("CLUSTER", "NODES"), primary.id)
            await replica.ask("CLUSTER", "REPLICATE", primary.id)
        for node in self.nodes:
            await _until(node, ("CLUSTER", "INFO"), "cluster_state:ok", "cluster_known_nodes:6")
        for replica in self.nodes[PRIMARIES:]:
            await _until(replica, ("INFO", "replication"), "master_link_status:up")

    async def stop(self) -> None:
        """Stop all that still run."""
        for node in self.nodes:
            await node.client.stop()
            stop(node.program, node.process)

    def _start(self, number: int) -> Node:
        port, bus_port = free_port(), free_port()
        folder = self._home / f"node{number}"
        folder.mkdir(parents=True)
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            "cluster-port": str(bus_port),
            "cluster-enabled": "yes",
            "cluster-node-timeout": "1000",
            "dir": str(folder),
            "save": "",
            "repl-diskless-sync-delay": "0",
            "cluster-replica-validity-factor": "0",
        }
        command = [str(find_server())]
        for name, value in options.items():
            command += [f"--{name}", value]
        log = folder / "valkey.log"
        program = Program(
            name=f"valkey{number}",
            command=tuple(command),
            is_ready=lambda: b"Ready to accept" in log.read_bytes(),
            folder=folder,
        )
        with log.open("ab") as output:
            process = spawn(program, output)
        wait_until_ready(program, process, log)
        return Node(port, bus_port, program, process, Valkey(f"redis://127.0.0.1:{port}"))


async def _until(node: Node, question: tuple[str, ...], *signs: str) -> None:
    while True:
        answer = await node.ask(*question)
        text = bytes(answer).decode()
        if all(sign in text for sign in signs):
            return
        await asyncio.sleep(0.05)
