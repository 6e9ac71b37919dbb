"""Where a model server may live.

The name is looked up once and that address is called, so that a name cannot point elsewhere between the
check and the call.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from dana.services.ai.adapters.failures import ModelFailure, PassingFailure


@dataclass(frozen=True, slots=True)
class Target:
    """What to call: the address, and the name to say there."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    extensions: dict[str, Any] = field(default_factory=dict)


async def reachable(url: str, *, is_private_allowed: bool) -> Target:
    """Check an address against the rules; raises ModelFailure.

    Link-local addresses, where clouds keep their machines' secrets, are never allowed; other private ones
    only where the installation says so.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    addresses = await _resolved(host, port)
    for address in addresses:
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            raise ModelFailure("The model server's address is not allowed.")
        if not address.is_global and not is_private_allowed:
            raise ModelFailure("The model server lives in a private network, which is not allowed here.")
    address = addresses[0]
    literal = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - IP version 6
    return Target(
        url=parts._replace(netloc=f"{literal}:{port}").geturl(),
        headers={"Host": parts.netloc},
        extensions={"sni_hostname": host} if parts.scheme == "https" else {},
    )


async def _resolved(host: str, port: int) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise PassingFailure("The model server's name can't be found.") from None
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    # Version 4 first: `localhost` is both, and local model servers mostly listen on 127.0.0.1 only.
    return sorted((_unmapped(address) for address in addresses), key=lambda address: address.version)


def _unmapped(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Look through ::ffff:10.0.0.1, which is 10.0.0.1."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
