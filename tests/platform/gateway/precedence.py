"""Which route a request takes: by the model's order, and by the Gateway API's precedence."""

import re
from typing import Any

from dana.platform.gateway.kubernetes.cluster import route_name
from dana.platform.gateway.model import Gateway, Route

Resource = dict[str, Any]
KINDS = ("PathPrefix", "RegularExpression", "Exact")  # Envoy Gateway's order, the last wins


def first_match(model: Gateway, path: str, method: str, *, has_key: bool) -> str:
    """Return the name of the HTTPRoute that the model means."""
    route = route_of(model, path)
    if route is None:
        return "closed"
    for manner in route.manners:
        if (not manner.methods or method in manner.methods) and (has_key or not manner.needs_key):
            return route_name(route, manner)
    raise AssertionError(path)


def route_of(model: Gateway, path: str) -> Route | None:
    """Return the route that the model means; None where it is closed."""
    if any(_is_below(path, closed) for closed in model.closed_paths):
        return None
    for route in model.routes:
        if route.pattern:
            is_match = re.fullmatch(route.pattern, path) is not None
        else:
            is_match = path == route.path if route.is_exact else _is_below(path, route.path)
        if is_match:
            return route
    raise AssertionError(path)


def most_special_match(routes: list[Resource], path: str, method: str, *, has_key: bool) -> str:
    """Return the name of the HTTPRoute that wins: by kind of path, its length, method, number of headers."""
    found = [
        (_rank(match), route["metadata"]["name"])
        for route in routes
        if route["spec"]["parentRefs"][0]["sectionName"] == "https"
        for rule in route["spec"]["rules"]
        for match in rule["matches"]
        if _matches(match, path, method, has_key=has_key)
    ]
    highest, name = max(found)
    assert [rank for rank, _ in found].count(highest) == 1, f"{path} is undecided"
    return str(name)


def _rank(match: Resource) -> tuple[int, int, bool, int]:
    path = match["path"]
    return (
        KINDS.index(path["type"]),
        len(path["value"].rstrip("/")),
        "method" in match,
        len(match.get("headers", [])),
    )


def _matches(match: Resource, path: str, method: str, *, has_key: bool) -> bool:
    kind, value = match["path"]["type"], match["path"]["value"]
    if kind == "Exact":
        is_match = path == value
    elif kind == "RegularExpression":
        is_match = re.fullmatch(value, path) is not None
    else:
        is_match = _is_below(path, value)
    return is_match and match.get("method", method) == method and (has_key or "headers" not in match)


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")
