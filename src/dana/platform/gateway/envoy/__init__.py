"""The gateway's model as Envoy's own configuration (v3 API), and the files that a running Envoy watches."""

from pathlib import Path

from dana.platform.gateway.envoy.clusters import cluster
from dana.platform.gateway.envoy.filters import NAMES, Config
from dana.platform.gateway.envoy.listeners import listeners
from dana.platform.gateway.envoy.watched import replace, write_certificate, write_endpoints
from dana.platform.gateway.model import Gateway

__all__ = ["admin_socket", "bootstrap", "write", "write_certificate", "write_endpoints"]


def bootstrap(gateway: Gateway) -> Config:
    """Return the whole configuration of one Envoy."""
    return {
        "node": {"id": "dana", "cluster": "dana"},
        "admin": {"address": {"pipe": {"path": admin_socket(gateway).name, "mode": 0o600}}},
        "static_resources": {
            "listeners": listeners(gateway),
            "clusters": [cluster(gateway, upstream, door) for upstream, door in gateway.doors],
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{NAMES}resource_monitors.downstream_connections.v3"
                        ".DownstreamConnectionsConfig",
                        "max_active_downstream_connections": gateway.clients.connections,
                    },
                }
            ]
        },
    }


def admin_socket(gateway: Gateway) -> Path:
    """Return the socket of Envoy's administration; only its owner may open it.

    Envoy runs in that folder and gets the bare name, because a socket's path must be short.
    """
    return gateway.folder / "admin.sock"


def write(gateway: Gateway) -> Path:
    """Write the configuration, and return its file."""
    path = gateway.folder / "envoy.json"
    replace(path, bootstrap(gateway))
    return path
