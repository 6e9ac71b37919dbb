"""The Gateway itself: where it listens, what its proxies log, and what clients may do to it."""

from dana.platform.gateway import headers
from dana.platform.gateway.envoy.listeners import LOGGED, SECRET_NAME
from dana.platform.gateway.kubernetes.cluster import (
    ENVOY_GATEWAY,
    GATEWAY_API,
    HTTP,
    HTTPS,
    NAME,
    V1,
    V1ALPHA1,
    Cluster,
    Config,
    resource,
    seconds,
    size,
)
from dana.platform.gateway.model import MIB, PROBE_PATH, Gateway

LOOK_AWAY_SECONDS = 5.0  # until the cluster has stopped sending new connections to a proxy that drains
BUFFER_BYTES = MIB


def proxy(gateway: Gateway, cluster: Cluster) -> list[Config]:
    """Return EnvoyProxy, Gateway and ClientTrafficPolicy."""
    return [_proxies(gateway, cluster), _gateway(gateway, cluster), _clients(gateway, cluster)]


def _proxies(gateway: Gateway, cluster: Cluster) -> Config:
    secret = " || ".join(f'request.path.startsWith("{path}/")' for path in gateway.secret_paths) or "false"
    logs = [(f"!({secret})", "%PATH(NQ)%"), (secret, SECRET_NAME)]
    return resource(V1ALPHA1, "EnvoyProxy", NAME, cluster) | {
        "spec": {
            "shutdown": {
                "drainTimeout": seconds(gateway.drain_seconds),
                "minDrainDuration": seconds(LOOK_AWAY_SECONDS),
            },
            "telemetry": {
                "accessLog": {
                    "settings": [
                        {
                            "matches": [condition],
                            "format": {"type": "JSON", "json": LOGGED | {"path": path}},
                            "sinks": [{"type": "File", "file": {"path": "/dev/stdout"}}],
                        }
                        for condition, path in logs
                    ]
                }
            },
        }
    }


def _gateway(gateway: Gateway, cluster: Cluster) -> Config:
    def listener(name: str, protocol: str, port: int) -> Config:
        allowed = {"namespaces": {"from": "Same"}}
        host = {"hostname": cluster.host} if cluster.host else {}
        return {"name": name, "protocol": protocol, "port": port, **host, "allowedRoutes": allowed}

    certificates = [{"kind": "Secret", "name": cluster.certificate}]
    listeners = [
        listener(HTTPS, "HTTPS", gateway.port)
        | {"tls": {"mode": "Terminate", "certificateRefs": certificates}}
    ]
    if gateway.tls and gateway.tls.redirect_port:
        listeners.append(listener(HTTP, "HTTP", gateway.tls.redirect_port))
    parameters = {"group": ENVOY_GATEWAY, "kind": "EnvoyProxy", "name": NAME}
    return resource(V1, "Gateway", NAME, cluster) | {
        "spec": {
            "gatewayClassName": cluster.gateway_class,
            "infrastructure": {"parametersRef": parameters},
            "listeners": listeners,
        }
    }


def _clients(gateway: Gateway, cluster: Cluster) -> Config:
    clients = gateway.clients
    spec: Config = {
        "targetRefs": [{"group": GATEWAY_API, "kind": "Gateway", "name": NAME}],
        "path": {"escapedSlashesAction": "RejectRequest"},
        "headers": {
            "withUnderscoresAction": "RejectRequest",
            "disableRateLimitHeaders": True,  # services say what is left of a quota; this is a shield
            "earlyRequestHeaders": {"removeOnMatch": [{"type": "Prefix", "value": headers.TRUSTED_PREFIX}]},
            "lateResponseHeaders": {
                "addIfAbsent": [
                    {"name": name, "value": text} for name, text in headers.security_headers(gateway).items()
                ]
            },
        },
        "connection": {
            "bufferLimit": size(BUFFER_BYTES),
            "connectionLimit": {"value": clients.connections},
        },
        "timeout": {
            "http": {
                "requestReceivedTimeout": seconds(clients.request_seconds),
                "idleTimeout": seconds(clients.idle_seconds),
                "streamIdleTimeout": seconds(clients.idle_seconds),
            }
        },
        "http2": {"maxConcurrentStreams": clients.streams},
        "healthCheck": {"path": PROBE_PATH},
    }
    if gateway.tls:
        spec["tls"] = {"minVersion": gateway.tls.lowest_version, "alpnProtocols": ["h2", "http/1.1"]}
    if gateway.trusted_proxies:
        spec["clientIPDetection"] = {"xForwardedFor": {"numTrustedHops": gateway.trusted_proxies}}
    return resource(V1ALPHA1, "ClientTrafficPolicy", NAME, cluster) | {"spec": spec}
