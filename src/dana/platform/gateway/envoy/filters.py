"""Envoy's HTTP filters, in the order in which a request meets them."""

import json
from collections.abc import Iterable
from typing import Any

from dana.platform.gateway import headers
from dana.platform.gateway.model import PROBE_PATH, Auth, Gateway, Issuer, Limit
from dana.platform.identity import AUDIENCE, REALTIME_AUDIENCE

Config = dict[str, Any]

NAMES = "type.googleapis.com/envoy.extensions."
TYPE = f"{NAMES}filters.http."
CLOCK_SKEW_SECONDS = 5
REMEMBERED_TOKENS = 10_000  # of each issuer: verifying ES256 costs more than the rest of the way through
MOST_BUCKETS = 20_000  # of each limit; who came longest ago loses theirs
REFILL_SECONDS = 0.1
UNLIMITED = 1_000_000_000
LARGEST_BODY_BYTES = 1024 * 1024  # a route says what is really allowed


def http_filters(gateway: Gateway) -> list[Config]:
    """Return all filters: strip, limit by address, who is it, limit by who it is, size, on."""
    limits = gateway.limits
    by_address: Config = {"remote_address": {}}
    return [
        _filter("health_check", "health_check.v3.HealthCheck", **_own_probe()),
        _filter("cors", "cors.v3.Cors"),
        _filter("header_mutation", "header_mutation.v3.HeaderMutation", mutations=_strip_trusted_headers()),
        _limit("address", {"remote_address": (by_address, limits.address)}),
        _filter("jwt_authn", "jwt_authn.v3.JwtAuthentication", **_tokens(gateway)),
        _limit(
            "identity",
            {
                "user": (_by_header(headers.USER, "user"), limits.user),
                "organization": (_by_header(headers.ORGANIZATION, "organization"), limits.organization),
            },
        ),
        _filter("buffer", "buffer.v3.Buffer", max_request_bytes=LARGEST_BODY_BYTES),
        _filter("compressor", "compressor.v3.Compressor", **_compression(gateway)),
        _filter("router", "router.v3.Router", suppress_envoy_headers=True),
    ]


def seconds(count: float) -> str:
    """Write a duration."""
    return f"{count:g}s"


def _filter(name: str, kind: str, **settings: Any) -> Config:
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": TYPE + kind, **settings}}


def _own_probe() -> Config:
    """Answer for the gateway itself: 200, or 503 while it drains."""
    path = {"name": ":path", "string_match": {"exact": PROBE_PATH}}
    return {"pass_through_mode": False, "headers": [path]}


def _strip_trusted_headers() -> Config:
    """Remove what only this gateway may say, before it says it: it stands before jwt_authn for that."""
    match = {"prefix": headers.TRUSTED_PREFIX, "ignore_case": True}
    return {"request_mutations": [{"remove_on_match": {"key_matcher": match}}]}


def _tokens(gateway: Gateway) -> Config:
    """Say whose token each kind of route takes: where it stands, for what it is, and who has signed it."""
    plain = {issuer.auth.value: _provider(issuer) for issuer in gateway.issuers}
    realtime = {f"{issuer.auth.value}-realtime": _realtime_provider(issuer) for issuer in gateway.issuers}
    return {
        "providers": plain | realtime,
        "bypass_cors_preflight": True,
        "requirement_map": {
            Auth.MEMBER.value: {"provider_name": Auth.MEMBER.value},
            Auth.VISITOR.value: {"provider_name": Auth.VISITOR.value},
            Auth.PERSON.value: _any_of(plain),
            Auth.REALTIME.value: _any_of(realtime),
        },
    }


def _any_of(providers: Iterable[str]) -> Config:
    return {"requires_any": {"requirements": [{"provider_name": name} for name in providers]}}


def _provider(issuer: Issuer) -> Config:
    return {
        **_signed_by(issuer, AUDIENCE),
        "jwt_cache_config": {"jwt_cache_size": REMEMBERED_TOKENS},
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
    }


def _realtime_provider(issuer: Issuer) -> Config:
    """Take a token that opens one connection; it is seen once, so it isn't remembered."""
    return _signed_by(issuer, REALTIME_AUDIENCE) | {"from_params": [headers.QUERY_TOKEN]}


def _signed_by(issuer: Issuer, audience: str) -> Config:
    return {
        "issuer": issuer.name,
        "audiences": [audience],
        "local_jwks": {"inline_string": json.dumps(issuer.jwks)},
        "forward": True,  # the services verify again: the gateway isn't the only way to them
        "require_expiration": True,
        "clock_skew_seconds": CLOCK_SKEW_SECONDS,
        "claim_to_headers": [
            {"header_name": headers.ORGANIZATION, "claim_name": "org"},
            {"header_name": headers.USER, "claim_name": "sub"},
        ],
    }


def _by_header(header: str, key: str) -> Config:
    return {"request_headers": {"header_name": header, "descriptor_key": key, "skip_if_absent": True}}


def _limit(name: str, limits: dict[str, tuple[Config, Limit]]) -> Config:
    """Limit by descriptors with an empty value: one bucket for each value that comes by."""
    return _filter(
        f"local_ratelimit.{name}",
        "local_ratelimit.v3.LocalRateLimit",
        stat_prefix=f"limit_{name}",
        token_bucket=_bucket(Limit(UNLIMITED, UNLIMITED)),
        filter_enabled=_always(f"limit_{name}_enabled"),
        filter_enforced=_always(f"limit_{name}_enforced"),
        always_consume_default_token_bucket=False,
        max_dynamic_descriptors=MOST_BUCKETS,
        rate_limits=[{"actions": [action]} for action, _ in limits.values()],
        descriptors=[
            {"entries": [{"key": key}], "token_bucket": _bucket(limit)} for key, (_, limit) in limits.items()
        ],
    )


def _bucket(limit: Limit) -> Config:
    is_slow = limit.per_second * REFILL_SECONDS < 1
    interval = 1.0 if is_slow else REFILL_SECONDS
    tokens = round(limit.per_second * interval)
    return {"max_tokens": limit.burst, "tokens_per_fill": tokens, "fill_interval": seconds(interval)}


def _always(key: str) -> Config:
    return {"runtime_key": key, "default_value": {"numerator": 100, "denominator": "HUNDRED"}}


def _compression(gateway: Gateway) -> Config:
    gzip = "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip"
    return {
        "compressor_library": {"name": "gzip", "typed_config": {"@type": gzip}},
        "response_direction_config": {
            "common_config": {"min_content_length": gateway.smallest_compressed_bytes},
            "disable_on_etag_header": False,
            "weaken_etag_on_compress": True,  # or it would be taken away, and nothing found unchanged
        },
    }
