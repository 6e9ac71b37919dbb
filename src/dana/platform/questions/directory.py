"""The directory: where a service's processes are now.

On one machine they stand in the gateway's endpoint files, which the supervisor rewrites whenever a process
becomes ready, dies or is being replaced. Elsewhere the orchestrator gives a service one address for ever:
DANA_KNOWLEDGE_URL.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dana.platform.settings import Settings


class _Socket(msgspec.Struct):
    address: str
    port_value: int


class _Address(msgspec.Struct):
    socket_address: _Socket


class _Endpoint(msgspec.Struct):
    address: _Address


class _LbEndpoint(msgspec.Struct):
    endpoint: _Endpoint
    health_status: str = "UNKNOWN"


class _Locality(msgspec.Struct):
    lb_endpoints: list[_LbEndpoint] = []


class _Assignment(msgspec.Struct):
    endpoints: list[_Locality] = []


class _File(msgspec.Struct):
    resources: list[_Assignment]


GOING = ("DRAINING", "UNHEALTHY", "TIMEOUT")

_decoder = msgspec.json.Decoder(_File)


@dataclass(slots=True)
class _Read:
    stamp: tuple[int, int]
    addresses: list[str]


class Directory:
    """Looks up addresses; a file is read again when it has been replaced."""

    def __init__(self, folder: Path, fixed: Mapping[str, str]) -> None:
        self._folder = folder
        self._fixed = fixed
        self._read: dict[str, _Read] = {}

    @classmethod
    def of(cls, settings: Settings) -> "Directory":
        """Make the directory of an installation."""
        return cls(settings.gateway_dir, {"knowledge": settings.knowledge_url})

    def addresses(self, service: str) -> list[str]:
        """Return the base addresses of a service's processes; empty when there are none."""
        if fixed := self._fixed.get(service):
            return [fixed]
        path = self._folder / f"endpoints-{service}.json"
        try:
            found = path.stat()
            stamp = (found.st_ino, found.st_mtime_ns)
            known = self._read.get(service)
            if known is None or known.stamp != stamp:
                known = self._read[service] = _Read(stamp, _addresses(path.read_bytes()))
        except (OSError, msgspec.DecodeError):
            return []
        return known.addresses


def _addresses(content: bytes) -> list[str]:
    return [
        f"http://{host.address}:{host.port_value}"
        for assignment in _decoder.decode(content).resources
        for locality in assignment.endpoints
        for entry in locality.lb_endpoints
        if entry.health_status not in GOING
        for host in (entry.endpoint.address.socket_address,)
    ]
