"""The gateway's model as Kubernetes resources: Gateway API v1, and Envoy Gateway's policies on top of it.

What these can't say, and what follows from it:
- Limits over all routes: local buckets are counted for each HTTPRoute alone, in each proxy, and hold one
  second, so the shield is wider there. Those of an address come after the token's check.
- That a token must have an end. The services ask for it.
- That an ejected process stays ejected although its probe is well, the longest ejection, an upper bound for
  what a sticky process gets above the mean, and which process is asked after a failure.
- The largest size and number of headers, and how long they may take to arrive: Envoy Gateway's own apply.
- The ETag of what is compressed on the way is lost there, and with it the answer "not modified".
- Two hosts in one request are refused with nothing but the status.
"""

from pathlib import Path
from typing import Any

from dana.platform.gateway.kubernetes.cluster import Cluster, Config, resource
from dana.platform.gateway.kubernetes.policies import policies
from dana.platform.gateway.kubernetes.proxy import proxy
from dana.platform.gateway.kubernetes.routes import routes
from dana.platform.gateway.kubernetes.writing import to_yaml
from dana.platform.gateway.model import Auth, Gateway, Issuer, Tls
from dana.platform.gateway.routes import CLOSED_PATHS, POLICIES, ROUTES, SECRET_PATHS
from dana.platform.identity import MEMBER_ISSUER, VISITOR_ISSUER

__all__ = ["Cluster", "dana_gateway", "keys", "render", "resources"]

HEADER = "# Emitted by `dana gateway kubernetes` from platform/gateway/routes.py; don't edit it here.\n"
HTTPS_PORT = 443
HTTP_PORT = 80


def dana_gateway(jwks: dict[str, dict[str, Any]] | None = None) -> Gateway:
    """Return Dana's gateway as it stands in a cluster; `jwks` are the public keys of each issuer."""
    known = jwks or {}
    issuers = tuple(
        Issuer(name, auth, known.get(name, {}))
        for name, auth in ((MEMBER_ISSUER, Auth.MEMBER), (VISITOR_ISSUER, Auth.VISITOR))
    )
    return Gateway(
        HTTPS_PORT,
        Path(),
        issuers,
        ROUTES,
        CLOSED_PATHS,
        SECRET_PATHS,
        tls=Tls(redirect_port=HTTP_PORT),
        policies=POLICIES,
    )


def resources(gateway: Gateway, cluster: Cluster) -> list[Config]:
    """Return all resources, but not the public keys: those belong to one installation."""
    return [*proxy(gateway, cluster), *routes(gateway, cluster), *policies(gateway, cluster)]


def keys(gateway: Gateway, cluster: Cluster) -> list[Config]:
    """Return the ConfigMaps with the public keys that the SecurityPolicies name."""
    return [
        resource("v1", "ConfigMap", cluster.keys_name(issuer.auth), cluster)
        | {"data": {"jwks": to_yaml(issuer.jwks)}}
        for issuer in gateway.issuers
    ]


def render(written: list[Config]) -> str:
    """Write resources as YAML documents."""
    return HEADER + "".join(f"---\n{to_yaml(one)}" for one in written)
