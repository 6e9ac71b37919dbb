"""What the gateway answers by itself, as problem+json like everything else (RFC 9457)."""

from http import HTTPStatus
from typing import Any

from dana.platform.errors import Forbidden, Limited, Missing, Problem, Unauthenticated, Unavailable

Config = dict[str, Any]

KNOWN: dict[HTTPStatus, tuple[type[Problem], str]] = {
    HTTPStatus.UNAUTHORIZED: (Unauthenticated, "%LOCAL_REPLY_BODY%."),
    HTTPStatus.FORBIDDEN: (Forbidden, "This may not be done from here."),
    HTTPStatus.NOT_FOUND: (Missing, "There is nothing at this address."),
    HTTPStatus.TOO_MANY_REQUESTS: (Limited, "Too many requests at once; wait a second."),
    HTTPStatus.SERVICE_UNAVAILABLE: (Unavailable, "Dana is starting or very busy; try again in a moment."),
    HTTPStatus.GATEWAY_TIMEOUT: (Unavailable, "This took too long; try again in a moment."),
}
OTHER = {
    HTTPStatus.BAD_REQUEST: "The request is not valid HTTP, or its address is not plain.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This method leads nowhere.",
    HTTPStatus.REQUEST_TIMEOUT: "The request did not arrive in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request is larger than this address accepts.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The headers are larger than Dana accepts.",
}


def local_replies() -> Config:
    """Return a mapper for each status that Envoy may answer on its own."""
    replies = [
        _mapper(status, problem.type(), problem.title, detail) for status, (problem, detail) in KNOWN.items()
    ]
    replies += [
        _mapper(status, f"urn:dana:problem:http-{status.value}", status.phrase, detail)
        for status, detail in OTHER.items()
    ]
    return {"mappers": replies}


def _mapper(status: HTTPStatus, kind: str, title: str, detail: str) -> Config:
    body = {
        "type": kind,
        "title": title,
        "status": "%RESPONSE_CODE%",
        "detail": detail,
        "request_id": "%REQ(X-REQUEST-ID)%",
    }
    comparison = {
        "op": "EQ",
        "value": {"default_value": status.value, "runtime_key": f"reply_{status.value}"},
    }
    mapper: Config = {
        "filter": {"status_code_filter": {"comparison": comparison}},
        "body_format_override": {"json_format": body, "content_type": "application/problem+json"},
    }
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        mapper["headers_to_add"] = [{"header": {"key": "retry-after", "value": "1"}}]
    return mapper
