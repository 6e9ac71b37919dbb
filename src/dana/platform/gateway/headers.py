"""The headers between clients, gateway and services: who may say what, whichever proxy carries it."""

from dana.platform.gateway.model import Gateway

TRUSTED_PREFIX = "x-dana-"
"""Only the gateway may say what begins so; clients' own is removed."""
ORGANIZATION = "x-dana-organization"
USER = "x-dana-user"
ADDRESS = "x-client-address"
"""Always overwritten by the gateway, so services may believe it."""
REQUEST_ID = "x-request-id"
IDEMPOTENCY_KEY = "idempotency-key"
IDEMPOTENCY_KEY_PATTERN = "[!-~].*"  # an empty one is none
QUERY_TOKEN = "token"  # noqa: S105 - the parameter's name

SESSION_COOKIE = "dana-node"
SESSION_SECONDS = 3600

CROSS_ORIGIN_METHODS = ("GET", "POST")
CROSS_ORIGIN_HEADERS = ("authorization", "content-type", "dana-position", "idempotency-key", "last-event-id")
EXPOSED_HEADERS = ("dana-position", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id")
CROSS_ORIGIN_SECONDS = 24 * 3600  # for which a browser needn't ask again

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "strict-origin-when-cross-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
}


def security_headers(gateway: Gateway) -> dict[str, str]:
    """Return what every answer carries, unless the service says otherwise."""
    if gateway.tls is None:
        return SECURITY_HEADERS
    return SECURITY_HEADERS | {"strict-transport-security": f"max-age={gateway.tls.remember_seconds}"}
