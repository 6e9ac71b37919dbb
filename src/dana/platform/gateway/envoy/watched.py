"""The files that a running Envoy watches, each replaced whole: where upstreams are, and the certificate."""

import json
import os
from pathlib import Path

from dana.platform.gateway.envoy.filters import NAMES, Config
from dana.platform.gateway.model import Door, Gateway, Upstream, called

Address = tuple[str, int]
CERTIFICATE = "certificate"


def write_endpoints(
    gateway: Gateway, upstream: Upstream, addresses: list[Address], sockets: list[Address] | None = None
) -> None:
    """Say where an upstream's processes are; a running Envoy follows at once.

    `sockets` says the same of their other port, in the same order; without it, there is only one. What is no
    longer named gets no new requests; those under way and open sockets go on until they end.
    """
    for called_upstream, door in gateway.doors:
        if called_upstream is upstream:
            here = addresses if door is Door.HTTP or sockets is None else sockets
            _write_door(gateway, upstream, door, list(zip(addresses, here, strict=True)))


def _write_door(
    gateway: Gateway, upstream: Upstream, door: Door, places: list[tuple[Address, Address]]
) -> None:
    endpoints = [
        {
            "endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}},
            # A process counts as the same at both of its ports: what is sticky leads to one process by both.
            "metadata": {"filter_metadata": {"envoy.lb": {"hash_key": f"{process[0]}:{process[1]}"}}},
        }
        for process, (host, port) in places
    ]
    assignment = {
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": called(upstream, door),
        "endpoints": [{"lb_endpoints": endpoints}],
    }
    replace(gateway.endpoints_file(upstream, door), {"version_info": "1", "resources": [assignment]})


def write_certificate(gateway: Gateway, certificate: str, key: str) -> None:
    """Give the certificate's chain and its key, both as PEM: in one file, so that they never mismatch."""
    secret = {
        "@type": f"{NAMES}transport_sockets.tls.v3.Secret",
        "name": CERTIFICATE,
        "tls_certificate": {
            "certificate_chain": {"inline_string": certificate},
            "private_key": {"inline_string": key},
        },
    }
    replace(gateway.certificate_file, {"version_info": "1", "resources": [secret]})


def replace(path: Path, content: Config) -> None:
    """Write by renaming, so that Envoy never reads half a file; only the owner may read it."""
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=1)
    partial.replace(path)
