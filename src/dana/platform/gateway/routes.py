"""Dana's routes, first match first. A path that isn't named here needs a member's token below /api."""

from dana.platform.gateway.model import KIB, MIB, Auth, Route, Sticky, Upstream, UpstreamPolicy

UPLOAD_BYTES = 26 * MIB  # 25 MiB for a document, the rest for the multipart frame around it
MESSAGE_BYTES = 256 * KIB
SMALL_BYTES = 64 * KIB

CLOSED_PATHS = ("/internal", "/metrics")
"""What services ask each other, and what they tell the people who run them."""
SECRET_PATHS = ("/invite", "/api/v1/auth/invitations")
"""Invitations: the link is the proof."""

AUTH = (
    Route("/api/v1/auth/me", Upstream.AUTH, is_exact=True, auth=Auth.MEMBER),
    Route("/api/v1/auth/logout-everywhere", Upstream.AUTH, is_exact=True, auth=Auth.MEMBER),
    Route("/api/v1/auth", Upstream.AUTH, body_bytes=SMALL_BYTES),
    Route("/api/v1/members", Upstream.AUTH, auth=Auth.MEMBER, body_bytes=SMALL_BYTES),
    Route("/api/v1/invitations", Upstream.AUTH, auth=Auth.MEMBER, body_bytes=SMALL_BYTES),
    Route("/.well-known/jwks.json", Upstream.AUTH, is_exact=True, body_bytes=KIB),
)

WIDGET = (
    Route(
        "/api/v1/widget/conversations/*/messages",
        Upstream.CONVERSATIONS,
        auth=Auth.VISITOR,
        body_bytes=MESSAGE_BYTES,
        is_cross_origin=True,
        honours_keys=True,
    ),
    Route(
        "/api/v1/widget/conversations",
        Upstream.CONVERSATIONS,
        auth=Auth.VISITOR,
        body_bytes=MESSAGE_BYTES,
        is_cross_origin=True,
    ),
    Route(
        "/api/v1/widget/*/conversations",
        Upstream.CONVERSATIONS,
        body_bytes=MESSAGE_BYTES,
        is_cross_origin=True,
        honours_keys=True,
    ),
    Route("/api/v1/widget", Upstream.CONVERSATIONS, body_bytes=MESSAGE_BYTES, is_cross_origin=True),
)

REALTIME = (
    Route("/api/v1/realtime", Upstream.REALTIME, is_exact=True, auth=Auth.REALTIME, is_websocket=True),
    Route(
        "/api/v1/realtime/stream",
        Upstream.REALTIME,
        is_exact=True,
        auth=Auth.REALTIME,
        body_bytes=KIB,
        is_stream=True,
        is_cross_origin=True,
    ),
    *(
        Route(
            f"/api/v1/realtime/{name}",
            Upstream.REALTIME,
            is_exact=True,
            auth=Auth.PERSON,
            body_bytes=4 * KIB,
            is_cross_origin=True,
        )
        for name in ("token", "typing")
    ),
)

CONVERSATIONS = (
    Route(
        "/api/v1/conversations/*/messages",
        Upstream.CONVERSATIONS,
        auth=Auth.MEMBER,
        body_bytes=MESSAGE_BYTES,
        honours_keys=True,
    ),
    Route(
        "/api/v1/conversations/deletions",
        Upstream.CONVERSATIONS,
        auth=Auth.MEMBER,
        body_bytes=SMALL_BYTES,
        honours_keys=True,
    ),
    Route(
        "/api/v1/conversations/exports",
        Upstream.CONVERSATIONS,
        auth=Auth.MEMBER,
        body_bytes=SMALL_BYTES,
        timeout_seconds=600,  # the file of an export may be large, and the line slow
        honours_keys=True,
    ),
    Route(
        "/api/v1/conversations/imports",
        Upstream.CONVERSATIONS,
        auth=Auth.MEMBER,
        body_bytes=UPLOAD_BYTES,
        timeout_seconds=120,
        honours_keys=True,  # a file larger than Envoy keeps isn't repeated, whatever its key
    ),
    Route("/api/v1/conversations", Upstream.CONVERSATIONS, auth=Auth.MEMBER, body_bytes=MESSAGE_BYTES),
    Route("/api/v1/jobs", Upstream.CONVERSATIONS, auth=Auth.MEMBER, body_bytes=SMALL_BYTES),
    Route("/api/v1/inboxes", Upstream.CONVERSATIONS, auth=Auth.MEMBER),
)

KNOWLEDGE = (
    Route(
        "/api/v1/knowledge/documents",
        Upstream.KNOWLEDGE,
        auth=Auth.MEMBER,
        body_bytes=UPLOAD_BYTES,
        timeout_seconds=120,
    ),
    Route(
        "/api/v1/knowledge/reindex",
        Upstream.KNOWLEDGE,
        is_exact=True,
        auth=Auth.MEMBER,
        body_bytes=SMALL_BYTES,
        honours_keys=True,
    ),
    Route("/api/v1/knowledge", Upstream.KNOWLEDGE, auth=Auth.MEMBER),
)

ASSISTANT = (
    Route("/api/v1/assistant/try", Upstream.AI, is_exact=True, auth=Auth.MEMBER, timeout_seconds=90),
    Route("/api/v1/assistant", Upstream.AI, auth=Auth.MEMBER),
)

PLATFORM = (
    *(
        Route(
            f"/api/v1/platform/{name}",
            Upstream.PLACEMENT,
            auth=Auth.MEMBER,
            body_bytes=SMALL_BYTES,
            timeout_seconds=120,
        )
        for name in ("shards", "places", "rebalance", "moves")
    ),
    Route("/api/v1/platform", Upstream.WEB, auth=Auth.MEMBER, body_bytes=SMALL_BYTES, timeout_seconds=120),
)

REST = (
    Route("/api", Upstream.WEB, auth=Auth.MEMBER),
    Route("/", Upstream.WEB, body_bytes=KIB),
)

ROUTES = (*AUTH, *WIDGET, *REALTIME, *CONVERSATIONS, *KNOWLEDGE, *ASSISTANT, *PLATFORM, *REST)

POLICIES = {
    # One organization's sockets and streams on one node: fewer nodes have to follow its events.
    Upstream.REALTIME: UpstreamPolicy(sticky=Sticky.ORGANIZATION),
    # Its vectors are in the memory of the process that searched for it last.
    Upstream.KNOWLEDGE: UpstreamPolicy(sticky=Sticky.ORGANIZATION),
}
"""How upstreams are called that want it otherwise than the rest."""
