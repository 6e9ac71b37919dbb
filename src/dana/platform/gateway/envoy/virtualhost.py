"""Envoy's routes: which path goes where, how long, how big, and what is repeated.

Which of them is a matter of the model (`Route.manners`); here each becomes an entry of its own.
"""

from dana.platform.gateway import headers
from dana.platform.gateway.envoy.filters import NAMES, Config, seconds
from dana.platform.gateway.model import Auth, Gateway, Manner, Repeat, Retries, Route, Sticky, called

REPEATED = {
    Repeat.UNSENT: "connect-failure",
    Repeat.FAILED: "connect-failure,refused-stream,reset,gateway-error",
}
TWO_HOSTS = {"name": ":authority", "string_match": {"contains": ","}}  # two headers, joined
OTHER_PROCESSES_TRIED = 5  # before a process is asked again that has just failed


def virtual_host(gateway: Gateway) -> Config:
    """Return the one virtual host, for whatever name people come by."""
    return {
        "name": "dana",
        "domains": ["*"],
        "routes": [
            _refusal({"connect_matcher": {}}, 405),
            _refusal({"prefix": "/", "headers": [TWO_HOSTS]}, 400),
            *(_refusal(_below(path), 404) for path in gateway.closed_paths),
            *(entry for route in gateway.routes for entry in _entries(gateway, route)),
        ],
        "request_headers_to_add": [
            {"header": {"key": headers.ADDRESS, "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}}
            | {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        ],
        "response_headers_to_add": [
            {"header": {"key": name, "value": text}, "append_action": "ADD_IF_ABSENT"}
            for name, text in headers.security_headers(gateway).items()
        ],
        "response_headers_to_remove": ["x-envoy-upstream-service-time"],
    }


def _refusal(match: Config, status: int) -> Config:
    """Refuse at once, without waiting for a body."""
    unread = {"@type": f"{NAMES}filters.http.buffer.v3.BufferPerRoute", "disabled": True}
    return {
        "match": match,
        "direct_response": {"status": status},
        "typed_per_filter_config": {"envoy.filters.http.buffer": unread},
    }


def _entries(gateway: Gateway, route: Route) -> list[Config]:
    return [_entry(gateway, route, manner) for manner in route.manners]


def _entry(gateway: Gateway, route: Route, manner: Manner) -> Config:
    sticky = gateway.policy(route.upstream).sticky
    cluster = called(route.upstream, route.door)
    action: Config = {"cluster": cluster, "timeout": seconds(route.timeout_seconds)}
    if route.stays_open:
        action["timeout"] = "0s"
        action["idle_timeout"] = seconds(gateway.clients.quiet_seconds)
    if route.is_websocket:
        action["upgrade_configs"] = [{"upgrade_type": "websocket"}]
    action["retry_policy"] = _retries(gateway.retries, manner.repeat)
    if sticky is not Sticky.NONE:
        action["hash_policy"] = _hashing(sticky)
    return {
        "match": _match(route) | _match_manner(manner),
        "route": action,
        "typed_per_filter_config": _per_route(route),
    }


def _match(route: Route) -> Config:
    if route.pattern:
        return {"safe_regex": {"regex": route.pattern}}
    return {"path": route.path} if route.is_exact else _below(route.path)


def _match_manner(manner: Manner) -> Config:
    matched: list[Config] = []
    if manner.methods:
        matched.append(
            {"name": ":method", "string_match": {"safe_regex": {"regex": "|".join(manner.methods)}}}
        )
    if manner.needs_key:
        pattern = {"safe_regex": {"regex": headers.IDEMPOTENCY_KEY_PATTERN}}
        matched.append({"name": headers.IDEMPOTENCY_KEY, "string_match": pattern})
    return {"headers": matched} if matched else {}


def _below(path: str) -> Config:
    """Match a path and all below it, and not what only begins with the same letters."""
    return {"prefix": "/"} if path == "/" else {"path_separated_prefix": path}


def _retries(retries: Retries, repeat: Repeat) -> Config:
    previous = f"{NAMES}retry.host.previous_hosts.v3.PreviousHostsPredicate"
    return {
        "retry_on": REPEATED[repeat],
        "num_retries": retries.attempts,
        "retry_back_off": {
            "base_interval": seconds(retries.first_pause_seconds),
            "max_interval": seconds(retries.longest_pause_seconds),
        },
        "retry_host_predicate": [
            {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": previous}}
        ],
        "host_selection_retry_max_attempts": OTHER_PROCESSES_TRIED,
    }


def _hashing(sticky: Sticky) -> list[Config]:
    if sticky is Sticky.SESSION:
        return [
            {"cookie": {"name": headers.SESSION_COOKIE, "ttl": seconds(headers.SESSION_SECONDS), "path": "/"}}
        ]
    return [
        {"header": {"header_name": headers.ORGANIZATION}, "terminal": True},
        {"connection_properties": {"source_ip": True}},
    ]


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
            "allow_methods": ", ".join(headers.CROSS_ORIGIN_METHODS),
            "allow_headers": ", ".join(headers.CROSS_ORIGIN_HEADERS),
            "expose_headers": ", ".join(headers.EXPOSED_HEADERS),
            "max_age": str(headers.CROSS_ORIGIN_SECONDS),
        }
    return settings
