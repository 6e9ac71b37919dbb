"""HTTPRoutes: one for each manner of each route, because policies are attached to them.

The Gateway API takes the most special path, then the most special match; the model takes the first. Both find
the same, because the model names what is special before what is general; a test compares them.
"""

import json

from dana.platform.gateway import headers
from dana.platform.gateway.answers import ANSWERS, MEDIA_TYPE, Answer
from dana.platform.gateway.kubernetes.cluster import (
    AUTH_LABEL,
    ENVOY_GATEWAY,
    HTTP,
    HTTPS,
    NAME,
    TRAFFIC_LABEL,
    V1,
    V1ALPHA1,
    Cluster,
    Config,
    auth_group,
    resource,
    route_name,
    seconds,
    traffic_group,
)
from dana.platform.gateway.model import Gateway, Manner, Route

CLOSED = "closed"
NOT_FOUND = 404
MOVED_PERMANENTLY = 301


def routes(gateway: Gateway, cluster: Cluster) -> list[Config]:
    """Return all HTTPRoutes, and the filter of those that lead nowhere."""
    written = [_route(route, manner, cluster) for route in gateway.routes for manner in route.manners]
    if gateway.closed_paths:
        written += _closed(gateway.closed_paths, cluster)
    if gateway.tls and gateway.tls.redirect_port:
        written.append(_redirect(cluster))
    return written


def body_of(answer: Answer) -> str:
    """Write an answer of the gateway itself."""
    problem = {
        "type": answer.type,
        "title": answer.title,
        "status": answer.status.value,
        "detail": answer.detail,
        "request_id": "%REQ(X-REQUEST-ID)%",
    }
    return json.dumps(problem)


def _route(route: Route, manner: Manner, cluster: Cluster) -> Config:
    labels = {AUTH_LABEL: auth_group(route), TRAFFIC_LABEL: traffic_group(route, manner)}
    timeout = seconds(0 if route.stays_open else route.timeout_seconds)
    rule = {
        "matches": _matches(route, manner),
        "filters": [
            _set_headers("Request", {headers.ADDRESS: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}),
            _set_headers("Response", {headers.REQUEST_ID: "%REQ(X-REQUEST-ID)%"}),
        ],
        "timeouts": {"request": timeout},
        "backendRefs": [cluster.backend(route)],
    }
    return resource(V1, "HTTPRoute", route_name(route, manner), cluster, labels) | {
        "spec": {**_attached(HTTPS, cluster), "rules": [rule]}
    }


def _attached(listener: str, cluster: Cluster) -> Config:
    host = {"hostnames": [cluster.host]} if cluster.host else {}
    return {"parentRefs": [{"name": NAME, "sectionName": listener}], **host}


def _matches(route: Route, manner: Manner) -> list[Config]:
    match: Config = {"path": _path(route)}
    if manner.needs_key:
        match["headers"] = [
            {
                "type": "RegularExpression",
                "name": headers.IDEMPOTENCY_KEY,
                "value": headers.IDEMPOTENCY_KEY_PATTERN,
            }
        ]
    return [match | {"method": method} for method in manner.methods] or [match]


def _path(route: Route) -> Config:
    if route.pattern:
        return {"type": "RegularExpression", "value": route.pattern}
    return {"type": "Exact" if route.is_exact else "PathPrefix", "value": route.path}


def _set_headers(side: str, values: dict[str, str]) -> Config:
    settings = {"set": [{"name": name, "value": value} for name, value in values.items()]}
    return {"type": f"{side}HeaderModifier", f"{side.lower()}HeaderModifier": settings}


def _closed(paths: tuple[str, ...], cluster: Cluster) -> list[Config]:
    answer = next(answer for answer in ANSWERS if answer.status == NOT_FOUND)
    response = {
        "statusCode": NOT_FOUND,
        "contentType": MEDIA_TYPE,
        "body": {"type": "Inline", "inline": body_of(answer)},
    }
    reference = {"group": ENVOY_GATEWAY, "kind": "HTTPRouteFilter", "name": CLOSED}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": path}} for path in paths],
        "filters": [{"type": "ExtensionRef", "extensionRef": reference}],
    }
    return [
        resource(V1ALPHA1, "HTTPRouteFilter", CLOSED, cluster) | {"spec": {"directResponse": response}},
        resource(V1, "HTTPRoute", CLOSED, cluster) | {"spec": {**_attached(HTTPS, cluster), "rules": [rule]}},
    ]


def _redirect(cluster: Cluster) -> Config:
    redirect = {"scheme": "https", "statusCode": MOVED_PERMANENTLY}
    rule = {"filters": [{"type": "RequestRedirect", "requestRedirect": redirect}]}
    return resource(V1, "HTTPRoute", "redirect", cluster) | {
        "spec": {**_attached(HTTP, cluster), "rules": [rule]}
    }
