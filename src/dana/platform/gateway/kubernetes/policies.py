"""Envoy Gateway's policies: whose token, how often, how it is repeated, and how upstreams are called."""

from dana.platform.gateway import headers
from dana.platform.gateway.answers import ANSWERS, MEDIA_TYPE
from dana.platform.gateway.kubernetes.cluster import (
    AUTH_LABEL,
    GATEWAY_API,
    NAME,
    TRAFFIC_LABEL,
    V1ALPHA1,
    Cluster,
    Config,
    auth_group,
    resource,
    seconds,
    size,
    traffic_group,
)
from dana.platform.gateway.kubernetes.routes import body_of
from dana.platform.gateway.model import (
    Auth,
    Door,
    Ejection,
    Gateway,
    Issuer,
    Limit,
    Manner,
    Probe,
    Repeat,
    Route,
    Sticky,
    UpstreamPolicy,
)
from dana.platform.identity import AUDIENCE, REALTIME_AUDIENCE

ANYWHERE = ("0.0.0.0/0", "::/0")
SIGNED_BY = {Auth.PERSON: (Auth.MEMBER, Auth.VISITOR), Auth.REALTIME: (Auth.MEMBER, Auth.VISITOR)}
TRIGGERS = {
    Repeat.UNSENT: ["connect-failure"],
    Repeat.FAILED: ["connect-failure", "refused-stream", "reset", "gateway-error"],
}


def policies(gateway: Gateway, cluster: Cluster) -> list[Config]:
    """Return a SecurityPolicy for each way to be checked, a BackendTrafficPolicy for each to be carried."""
    checked = {auth_group(route): route for route in gateway.routes}
    carried = {
        traffic_group(route, manner): (route, manner) for route in gateway.routes for manner in route.manners
    }
    return [
        *(
            _check(name, route, gateway, cluster)
            for name, route in checked.items()
            if route.auth is not Auth.NONE or route.is_cross_origin
        ),
        _everything(gateway, cluster),
        *(_carry(name, *one, gateway, cluster) for name, one in carried.items()),
    ]


def _targets(label: str, name: str) -> list[Config]:
    return [{"group": GATEWAY_API, "kind": "HTTPRoute", "matchLabels": {label: name}}]


def _check(name: str, route: Route, gateway: Gateway, cluster: Cluster) -> Config:
    spec: Config = {"targetSelectors": _targets(AUTH_LABEL, name)}
    wanted = SIGNED_BY.get(route.auth, (route.auth,))
    issuers = [issuer for issuer in gateway.issuers if issuer.auth in wanted]
    if issuers:
        spec["jwt"] = {"providers": [_provider(issuer, route.auth, cluster) for issuer in issuers]}
    if route.is_cross_origin:
        spec["cors"] = {
            "allowOrigins": ["*"],
            "allowMethods": list(headers.CROSS_ORIGIN_METHODS),
            "allowHeaders": list(headers.CROSS_ORIGIN_HEADERS),
            "exposeHeaders": list(headers.EXPOSED_HEADERS),
            "maxAge": seconds(headers.CROSS_ORIGIN_SECONDS),
        }
    return resource(V1ALPHA1, "SecurityPolicy", f"{NAME}-{name}", cluster) | {"spec": spec}


def _provider(issuer: Issuer, auth: Auth, cluster: Cluster) -> Config:
    reference = {"group": "", "kind": "ConfigMap", "name": cluster.keys_name(issuer.auth)}
    is_realtime = auth is Auth.REALTIME
    place: Config = {"headers": [{"name": "authorization", "valuePrefix": "Bearer "}]}
    return {
        "name": issuer.auth.value,
        "issuer": issuer.name,
        "audiences": [REALTIME_AUDIENCE if is_realtime else AUDIENCE],
        "localJWKS": {"type": "ValueRef", "valueRef": reference},
        "extractFrom": {"params": [headers.QUERY_TOKEN]} if is_realtime else place,
        "claimToHeaders": [
            {"claim": "org", "header": headers.ORGANIZATION},
            {"claim": "sub", "header": headers.USER},
        ],
    }


def _everything(gateway: Gateway, cluster: Cluster) -> Config:
    """Say what holds for all routes; those of one route are merged into it."""
    limits = gateway.limits
    overrides = [
        {
            "source": "Local",
            "match": {"statusCodes": [{"type": "Value", "value": answer.status.value}]},
            "response": {
                "contentType": MEDIA_TYPE,
                "body": {"type": "Inline", "inline": body_of(answer)},
            },
        }
        for answer in ANSWERS
    ]
    return resource(V1ALPHA1, "BackendTrafficPolicy", NAME, cluster) | {
        "spec": {
            "targetRefs": [{"group": GATEWAY_API, "kind": "Gateway", "name": NAME}],
            "rateLimit": {
                "local": {
                    "rules": [
                        *(_rule(_by_address(network), limits.address) for network in ANYWHERE),
                        _rule(_by_header(headers.USER), limits.user),
                        _rule(_by_header(headers.ORGANIZATION), limits.organization),
                    ]
                }
            },
            "compressor": [{"type": "Gzip", "minContentLength": gateway.smallest_compressed_bytes}],
            "responseOverride": overrides,
        }
    }


def _by_address(network: str) -> Config:
    return {"sourceCIDR": {"type": "Distinct", "value": network}}


def _by_header(name: str) -> Config:
    return {"headers": [{"type": "Distinct", "name": name}]}


def _rule(selector: Config, limit: Limit) -> Config:
    """Limit each value that comes by."""
    return {"clientSelectors": [selector], "limit": {"requests": limit.per_second, "unit": "Second"}}


def _carry(name: str, route: Route, manner: Manner, gateway: Gateway, cluster: Cluster) -> Config:
    policy = gateway.policy(route.upstream)
    probe = policy.socket_probe if route.door is Door.SOCKETS else policy.probe
    spec: Config = {
        "targetSelectors": _targets(TRAFFIC_LABEL, name),
        "mergeType": "StrategicMerge",
        "loadBalancer": _balance(policy),
        "circuitBreaker": {
            "maxConnections": policy.breaker.connections,
            "maxPendingRequests": policy.breaker.waiting,
            "maxParallelRequests": policy.breaker.requests,
            "maxParallelRetries": policy.breaker.retries,
        },
        "healthCheck": {"active": _probe(probe), "passive": _ejection(policy.ejection)},
        "timeout": {
            "tcp": {"connectTimeout": seconds(policy.connect_seconds)},
            "http": {"connectionIdleTimeout": seconds(policy.idle_seconds)},
        },
        "retry": {
            "numRetries": gateway.retries.attempts,
            "perRetry": {
                "backOff": {
                    "baseInterval": seconds(gateway.retries.first_pause_seconds),
                    "maxInterval": seconds(gateway.retries.longest_pause_seconds),
                }
            },
            "retryOn": {"triggers": TRIGGERS[manner.repeat]},
        },
    }
    if route.stays_open:
        spec["timeout"]["http"]["streamIdleTimeout"] = seconds(gateway.clients.quiet_seconds)
    if not route.is_websocket:
        spec["requestBuffer"] = {"limit": size(route.body_bytes)}
    return resource(V1ALPHA1, "BackendTrafficPolicy", f"{NAME}-{name}", cluster) | {"spec": spec}


def _balance(policy: UpstreamPolicy) -> Config:
    if policy.sticky is Sticky.NONE:
        return {"type": "LeastRequest"}
    if policy.sticky is Sticky.SESSION:
        cookie = {"name": headers.SESSION_COOKIE, "ttl": seconds(headers.SESSION_SECONDS)}
        return {"type": "ConsistentHash", "consistentHash": {"type": "Cookie", "cookie": cookie}}
    names = [{"name": headers.ORGANIZATION}]
    return {"type": "ConsistentHash", "consistentHash": {"type": "Headers", "headers": names}}


def _probe(probe: Probe) -> Config:
    way: Config = {"type": "HTTP", "http": {"path": probe.path}} if probe.path else {"type": "TCP", "tcp": {}}
    return {
        "interval": seconds(probe.every_seconds),
        "timeout": seconds(probe.timeout_seconds),
        "unhealthyThreshold": probe.failures,
        "healthyThreshold": probe.successes,
        **way,
    }


def _ejection(ejection: Ejection) -> Config:
    return {
        "consecutive5XxErrors": ejection.failures,
        "interval": seconds(ejection.every_seconds),
        "baseEjectionTime": seconds(ejection.seconds),
        "maxEjectionPercent": ejection.most_percent,
    }
