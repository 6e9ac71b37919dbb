"""The gateway's model as Envoy's own configuration (v3 API), and the endpoint files that Envoy watches."""

import json
import os
from pathlib import Path
from typing import Any

from dana.platform.gateway.filters import ADDRESS_HEADER, Config, http_filters
from dana.platform.gateway.model import MIB, PROBE_PATH, Auth, Gateway, Route, Upstream
from dana.platform.gateway.replies import local_replies

NAMES = "type.googleapis.com/envoy.extensions."
CONNECT_SECONDS = 1.0
SOCKET_IDLE_SECONDS = 90.0  # heartbeats go every 20 s, so this is a dead peer
IDLE_SECONDS = 300.0
UPSTREAM_IDLE_SECONDS = 60.0  # shorter than the services', or a request might meet a closing connection
HEADERS_SECONDS = 10.0
REQUEST_SECONDS = 300.0  # the largest upload over a slow line
HEADERS_KIB = 32
MOST_HEADERS = 100
MOST_CONNECTIONS = 18_000  # below the descriptors a small machine allows
PATIENCE = {"num_retries": 8, "retry_back_off": {"base_interval": "0.1s", "max_interval": "0.8s"}}

INVITATION_PATHS = "^/(invite|api/v1/auth/invitations)/.*"  # whoever reads such a link may use it
INVITATION_NAME = "(an invitation)"  # what the log says instead

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


def bootstrap(gateway: Gateway) -> Config:
    """Return the whole configuration of one Envoy."""
    return {
        "node": {"id": "dana", "cluster": "dana"},
        "admin": {"address": {"pipe": {"path": admin_socket(gateway).name, "mode": 0o600}}},
        "static_resources": {
            "listeners": [_listener(gateway)],
            "clusters": [_cluster(gateway, upstream) for upstream in Upstream],
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{NAMES}resource_monitors.downstream_connections.v3"
                        ".DownstreamConnectionsConfig",
                        "max_active_downstream_connections": MOST_CONNECTIONS,
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
    _replace(path, bootstrap(gateway))
    return path


def write_endpoints(gateway: Gateway, upstream: Upstream, addresses: list[tuple[str, int]]) -> None:
    """Say where an upstream is; a running Envoy follows at once."""
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
        for host, port in addresses
    ]
    assignment = {
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": upstream.value,
        "endpoints": [{"lb_endpoints": endpoints}],
    }
    _replace(gateway.endpoints_file(upstream), {"version_info": "1", "resources": [assignment]})


def _replace(path: Path, content: Config) -> None:
    """Write by renaming, so that Envoy never reads half a file."""
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=1)
    partial.replace(path)


def _listener(gateway: Gateway) -> Config:
    manager = {
        "@type": f"{NAMES}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "dana",
        "use_remote_address": True,
        "xff_num_trusted_hops": gateway.trusted_proxies,
        "server_name": "dana",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "always_set_request_id_in_response": True,
        "max_request_headers_kb": HEADERS_KIB,
        "request_headers_timeout": _seconds(HEADERS_SECONDS),
        "request_timeout": _seconds(REQUEST_SECONDS),
        "stream_idle_timeout": _seconds(IDLE_SECONDS),
        "common_http_protocol_options": {
            "idle_timeout": _seconds(IDLE_SECONDS),
            "max_headers_count": MOST_HEADERS,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "access_log": [
            _access_log("%PATH(NQ)%", is_secret=False),
            _access_log(INVITATION_NAME, is_secret=True),
        ],
        "local_reply_config": local_replies(),
        "http_filters": http_filters(gateway),
        "route_config": {"name": "dana", "virtual_hosts": [_virtual_host(gateway)]},
    }
    address = {"socket_address": {"address": gateway.host, "port_value": gateway.port}}
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {
        "name": "dana",
        "address": address,
        "per_connection_buffer_limit_bytes": MIB,
        "filter_chains": [chain],
    }


def _virtual_host(gateway: Gateway) -> Config:
    return {
        "name": "dana",
        "domains": ["*"],
        "routes": [
            _probe(),
            *(_refusal(path) for path in gateway.closed_paths),
            *(entry for route in gateway.routes for entry in _routes(route)),
        ],
        "request_headers_to_add": [
            {"header": {"key": ADDRESS_HEADER, "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}}
            | {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        ],
        "response_headers_to_add": [
            {"header": {"key": name, "value": text}, "append_action": "ADD_IF_ABSENT"}
            for name, text in SECURITY_HEADERS.items()
        ],
        "response_headers_to_remove": ["x-envoy-upstream-service-time"],
    }


def _probe() -> Config:
    return {"match": {"path": PROBE_PATH}, "direct_response": {"status": 204}}


def _refusal(path: str) -> Config:
    return {"match": _below(path), "direct_response": {"status": 404}}


def _routes(route: Route) -> list[Config]:
    """Return Envoy's entries of a route: reading may be repeated after any failure, writing must not be."""
    if route.is_websocket:
        return [_entry(route, _match(route), {})]
    reading = _match(route) | {"headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}
    repeatable = "connect-failure,refused-stream,reset,gateway-error"
    # A refused connection has carried nothing, so that much may be repeated for writes as well.
    return [
        _entry(route, reading, {"retry_policy": {"retry_on": repeatable, **PATIENCE}}),
        _entry(route, _match(route), {"retry_policy": {"retry_on": "connect-failure", **PATIENCE}}),
    ]


def _match(route: Route) -> Config:
    return {"path": route.path} if route.is_exact else _below(route.path)


def _below(path: str) -> Config:
    """Match a path and all below it, and not what only begins with the same letters."""
    return {"prefix": "/"} if path == "/" else {"path_separated_prefix": path}


def _entry(route: Route, match: Config, retries: Config) -> Config:
    action: Config = {"cluster": route.upstream.value, "timeout": _seconds(route.timeout_seconds), **retries}
    if route.is_websocket:
        action["timeout"] = "0s"
        action["idle_timeout"] = _seconds(SOCKET_IDLE_SECONDS)
        action["upgrade_configs"] = [{"upgrade_type": "websocket"}]
    return {"match": match, "route": action, "typed_per_filter_config": _per_route(route)}


def _per_route(route: Route) -> Config:
    http = f"{NAMES}filters.http."
    body = {"disabled": True} if route.is_websocket else {"buffer": {"max_request_bytes": route.body_bytes}}
    settings: Config = {"envoy.filters.http.buffer": {"@type": f"{http}buffer.v3.BufferPerRoute", **body}}
    if route.auth is not Auth.NONE:
        settings["envoy.filters.http.jwt_authn"] = {
            "@type": f"{http}jwt_authn.v3.PerRouteConfig",
            "requirement_name": route.auth.value,
        }
    if route.is_cross_origin:
        settings["envoy.filters.http.cors"] = {
            "@type": f"{http}cors.v3.CorsPolicy",
            "allow_origin_string_match": [{"safe_regex": {"regex": ".*"}}],
            "allow_methods": "GET, POST",
            "allow_headers": "authorization, content-type, dana-position, idempotency-key",
            "expose_headers": "dana-position, retry-after, x-request-id",
            "max_age": "86400",
        }
    return settings


def _cluster(gateway: Gateway, upstream: Upstream) -> Config:
    source = {
        "path": str(gateway.endpoints_file(upstream)),
        "watched_directory": {"path": str(gateway.folder)},
    }
    probe: Config = {"http_health_check": {"path": "/healthz"}}
    if upstream is Upstream.REALTIME:
        probe = {"tcp_health_check": {}}
    return {
        "name": upstream.value,
        "type": "EDS",
        "connect_timeout": _seconds(CONNECT_SECONDS),
        "eds_cluster_config": {"eds_config": {"path_config_source": source, "resource_api_version": "V3"}},
        "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{NAMES}upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": _seconds(UPSTREAM_IDLE_SECONDS)},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
        "ignore_health_on_host_removal": True,  # what the file no longer names is gone, healthy or not
        "health_checks": [
            {
                "timeout": "2s",
                "interval": "1s",
                "no_traffic_interval": "1s",
                "unhealthy_threshold": 3,
                "healthy_threshold": 1,
                **probe,
            }
        ],
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": MOST_CONNECTIONS,
                    "max_pending_requests": 4096,
                    "max_requests": MOST_CONNECTIONS,
                    "max_retries": 512,
                }
            ]
        },
    }


def _access_log(path: str, *, is_secret: bool) -> Config:
    """Log each request as JSON, without its query, and without a path that is itself a secret."""
    fields = {
        "time": "%START_TIME%",
        "event": "request",
        "method": "%REQ(:METHOD)%",
        "path": path,
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "duration_ms": "%DURATION%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "trace_parent": "%REQ(TRACEPARENT)%",
        "organization": "%REQ(X-DANA-ORGANIZATION)%",
    }
    log: dict[str, Any] = {"log_format": {"json_format": fields, "omit_empty_values": True}}
    header = {"name": ":path", "string_match": {"safe_regex": {"regex": INVITATION_PATHS}}}
    return {
        "name": "envoy.access_loggers.stdout",
        "filter": {"header_filter": {"header": header | {"invert_match": not is_secret}}},
        "typed_config": {"@type": f"{NAMES}access_loggers.stream.v3.StdoutAccessLog", **log},
    }


def _seconds(seconds: float) -> str:
    return f"{seconds:g}s"
