"""The names in a cluster that the resources refer to each other by."""

from dataclasses import dataclass
from typing import Any

from dana.platform.gateway.model import Auth, Door, Manner, Route, Upstream

Config = dict[str, Any]

GATEWAY_API = "gateway.networking.k8s.io"
ENVOY_GATEWAY = "gateway.envoyproxy.io"
V1 = f"{GATEWAY_API}/v1"
V1ALPHA1 = f"{ENVOY_GATEWAY}/v1alpha1"
NAME = "dana"
HTTPS = "https"
HTTP = "http"
AUTH_LABEL = "dana.gateway/auth"
TRAFFIC_LABEL = "dana.gateway/traffic"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the gateway is to stand."""

    namespace: str = "dana"
    gateway_class: str = "eg"
    certificate: str = "dana-tls"
    """The Secret with the certificate, of type kubernetes.io/tls."""
    host: str | None = None
    """The name that people come by; without it, any."""
    service_port: int = 8000
    """The port of each upstream's Service."""
    socket_port: int = 8001
    """The port for sockets, of the Service that has them."""

    @staticmethod
    def service(upstream: Upstream) -> str:
        """Return the name of an upstream's Service."""
        return f"dana-{upstream.value}"

    def backend(self, route: Route) -> Config:
        """Name the port that answers a route."""
        port = self.socket_port if route.door is Door.SOCKETS else self.service_port
        return {"name": self.service(route.upstream), "port": port}

    @staticmethod
    def keys_name(auth: Auth) -> str:
        """Return the name of the ConfigMap with an issuer's public keys."""
        return f"dana-jwks-{auth.value}"


def resource(
    api: str, kind: str, name: str, cluster: Cluster, labels: dict[str, str] | None = None
) -> Config:
    """Begin a resource."""
    metadata: Config = {"name": name, "namespace": cluster.namespace}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": api, "kind": kind, "metadata": metadata}


def route_name(route: Route, manner: Manner) -> str:
    """Name the HTTPRoute of some of a route's requests."""
    words = route.path.removeprefix("/api/v1").replace("*", "any").replace(".", "-").strip("/-").split("/")
    name = "-".join(word.strip("-") for word in words if word) or "rest"
    return f"{name}-{manner.name}"


def auth_group(route: Route) -> str:
    """Name the routes whose clients are checked alike."""
    return f"{route.auth.value}-anywhere" if route.is_cross_origin else route.auth.value


def traffic_group(route: Route, manner: Manner) -> str:
    """Name the routes whose traffic is carried alike."""
    if route.is_websocket:
        return f"{route.upstream.value}-{manner.name}"
    name = f"{route.upstream.value}-{size(route.body_bytes).lower()}-{manner.repeat}"
    return f"{name}-stream" if route.is_stream else name


def size(count: int) -> str:
    """Write a number of bytes as Kubernetes does."""
    for unit, factor in (("Mi", 1024**2), ("Ki", 1024)):
        if count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)


def seconds(count: float) -> str:
    """Write a duration as the Gateway API does."""
    return f"{count:g}s" if count == int(count) else f"{round(count * 1000)}ms"
