"""Where Envoy listens: the public port, with TLS if there is a certificate, and one that redirects to it."""

from typing import Any

from dana.platform.gateway.envoy.filters import NAMES, Config, http_filters, seconds
from dana.platform.gateway.envoy.replies import local_replies
from dana.platform.gateway.envoy.virtualhost import virtual_host
from dana.platform.gateway.envoy.watched import CERTIFICATE
from dana.platform.gateway.model import KIB, MIB, Gateway, Tls

BUFFER_BYTES = MIB  # of one connection
STREAM_WINDOW_BYTES = 256 * KIB  # how much of one HTTP/2 stream may be under way unread
CONNECTION_WINDOW_BYTES = MIB

LOGGED = {
    "time": "%START_TIME%",
    "event": "request",
    "method": "%REQ(:METHOD)%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "duration_ms": "%DURATION%",
    "bytes_in": "%BYTES_RECEIVED%",
    "bytes_out": "%BYTES_SENT%",
    "address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "upstream": "%UPSTREAM_CLUSTER%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "trace_parent": "%REQ(TRACEPARENT)%",
    "organization": "%REQ(X-DANA-ORGANIZATION)%",
}
SECRET_NAME = "(a secret path)"  # noqa: S105 - what the log says instead


def listeners(gateway: Gateway) -> list[Config]:
    """Return all listeners."""
    public = _listener("dana", gateway.host, gateway.port, _public(gateway))
    if gateway.tls is None:
        return [public]
    public["filter_chains"][0]["transport_socket"] = _tls(gateway, gateway.tls)
    public["listener_filters"] = [
        {
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": {"@type": f"{NAMES}filters.listener.tls_inspector.v3.TlsInspector"},
        }
    ]
    if gateway.tls.redirect_port is None:
        return [public]
    return [public, _listener("redirect", gateway.host, gateway.tls.redirect_port, _redirecting(gateway))]


def _listener(name: str, host: str, port: int, manager: Config) -> Config:
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {
        "name": name,
        "address": {"socket_address": {"address": host, "port_value": port}},
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "filter_chains": [chain],
    }


def _public(gateway: Gateway) -> Config:
    return _manager(gateway, "dana") | {
        "use_remote_address": True,
        "xff_num_trusted_hops": gateway.trusted_proxies,
        "always_set_request_id_in_response": True,
        "request_timeout": seconds(gateway.clients.request_seconds),
        "drain_timeout": seconds(gateway.drain_seconds),
        "access_log": _access_logs(gateway.secret_paths),
        "http_filters": http_filters(gateway),
        "route_config": {"name": "dana", "virtual_hosts": [virtual_host(gateway)]},
    }


def _redirecting(gateway: Gateway) -> Config:
    """Send everybody to the same address with TLS; nothing else of the request is looked at."""
    redirect = {"https_redirect": True, "port_redirect": gateway.port}
    router = {"@type": f"{NAMES}filters.http.router.v3.Router"}
    routes = [{"match": {"prefix": "/"}, "redirect": redirect}]
    return _manager(gateway, "redirect") | {
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
        "route_config": {
            "name": "redirect",
            "virtual_hosts": [{"name": "redirect", "domains": ["*"], "routes": routes}],
        },
    }


def _manager(gateway: Gateway, name: str) -> Config:
    clients = gateway.clients
    return {
        "@type": f"{NAMES}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "server_name": "dana",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "max_request_headers_kb": clients.headers_kib,
        "request_headers_timeout": seconds(clients.headers_seconds),
        "stream_idle_timeout": seconds(clients.idle_seconds),
        "common_http_protocol_options": {
            "idle_timeout": seconds(clients.idle_seconds),
            "max_headers_count": clients.headers,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": clients.streams,
            "initial_stream_window_size": STREAM_WINDOW_BYTES,
            "initial_connection_window_size": CONNECTION_WINDOW_BYTES,
        },
        "local_reply_config": local_replies(),
    }


def _tls(gateway: Gateway, tls: Tls) -> Config:
    source = {
        "path": str(gateway.certificate_file),
        "watched_directory": {"path": str(gateway.folder)},
    }
    secret = {
        "name": CERTIFICATE,
        "sds_config": {"path_config_source": source, "resource_api_version": "V3"},
    }
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{NAMES}transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {
                    "tls_minimum_protocol_version": f"TLSv{tls.lowest_version.replace('.', '_')}",
                    "tls_maximum_protocol_version": "TLSv1_3",
                },
                "tls_certificate_sds_secret_configs": [secret],
            },
        },
    }


def _access_logs(secret_paths: tuple[str, ...]) -> list[Config]:
    """Log each request as JSON, without its query, and without a path that is itself a secret."""
    if not secret_paths:
        return [_access_log("%PATH(NQ)%")]
    is_secret, is_not = [], []
    for path in secret_paths:
        header: Config = {"name": ":path", "string_match": {"prefix": f"{path}/"}}
        is_secret.append({"header_filter": {"header": header}})
        is_not.append({"header_filter": {"header": header | {"invert_match": True}}})
    return [
        _access_log("%PATH(NQ)%") | {"filter": _joined("and_filter", is_not)},
        _access_log(SECRET_NAME) | {"filter": _joined("or_filter", is_secret)},
    ]


def _joined(kind: str, filters: list[Config]) -> Config:
    """Join filters; Envoy wants at least two of them for that."""
    return {kind: {"filters": filters}} if len(filters) > 1 else filters[0]


def _access_log(path: str) -> Config:
    log: dict[str, Any] = {"log_format": {"json_format": LOGGED | {"path": path}, "omit_empty_values": True}}
    return {
        "name": "envoy.access_loggers.stdout",
        "typed_config": {"@type": f"{NAMES}access_loggers.stream.v3.StdoutAccessLog", **log},
    }
