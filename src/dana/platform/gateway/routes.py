"""Dana's routes, first match first. A path that isn't named here needs a member's token below /api."""

from dana.platform.gateway.model import KIB, MIB, Auth, Route, Upstream

UPLOAD_BYTES = 26 * MIB  # 25 MiB for a document, the rest for the multipart frame around it
MESSAGE_BYTES = 256 * KIB

AUTH = (
    Route("/api/v1/auth/me", is_exact=True, auth=Auth.MEMBER),
    Route("/api/v1/auth/logout-everywhere", is_exact=True, auth=Auth.MEMBER),
    Route("/api/v1/auth/", body_bytes=64 * KIB),
    Route("/.well-known/", body_bytes=KIB),
)

WIDGET = (
    Route(
        "/api/v1/widget/conversations/",
        auth=Auth.VISITOR,
        body_bytes=MESSAGE_BYTES,
        is_cross_origin=True,
    ),
    Route("/api/v1/widget/", body_bytes=MESSAGE_BYTES, is_cross_origin=True),
)

REALTIME = (
    Route(
        "/api/v1/realtime",
        is_exact=True,
        auth=Auth.CLAIMED,
        upstream=Upstream.REALTIME,
        is_websocket=True,
    ),
)

API = (
    Route("/api/v1/conversations", auth=Auth.MEMBER, body_bytes=MESSAGE_BYTES),
    Route("/api/v1/knowledge/documents", auth=Auth.MEMBER, body_bytes=UPLOAD_BYTES, timeout_seconds=120),
    Route("/api/v1/assistant/try", is_exact=True, auth=Auth.MEMBER, timeout_seconds=90),
    Route("/api/v1/platform/", auth=Auth.MEMBER, body_bytes=64 * KIB, timeout_seconds=120),
    Route("/api/", auth=Auth.MEMBER),
)

PAGES = (Route("/", body_bytes=KIB),)

ROUTES = (*AUTH, *WIDGET, *REALTIME, *API, *PAGES)
