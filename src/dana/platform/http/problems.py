"""Every failure leaves as problem+json (RFC 9457) with the request's id, to be found in the logs."""

from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from dana.platform.errors import PROBLEMS, Invalid, Limited, Problem, Unavailable

log = structlog.get_logger(__name__)


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True):
    """An error, for people (`title`, `detail`) and for programs (`type`)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[dict[str, Any]] = []


PROBLEM_RESPONSES: dict[int, ResponseSpec] = {
    problem.status: ResponseSpec(
        data_container=ProblemDetails,
        description=problem.title,
        media_type="application/problem+json",
        generate_examples=False,
    )
    for problem in PROBLEMS
}


def on_problem(request: Request[Any, Any, Any], problem: Problem) -> Response[bytes]:
    """Answer an expected failure."""
    headers = {}
    if isinstance(problem, Limited | Unavailable):
        headers["Retry-After"] = str(max(1, round(problem.retry_after_seconds)))
    body = {
        "type": problem.type(),
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        **problem.extra,
    }
    return _answer(request, problem.status, body, headers)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what the framework refused: a wrong route, method, or body."""
    status = error.status_code
    body: dict[str, Any] = {
        "type": f"urn:dana:problem:http-{status}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.detail,
    }
    if isinstance(error, ValidationException) or status == HTTPStatus.BAD_REQUEST:
        body |= {"type": Invalid.type(), "title": Invalid.title, "status": Invalid.status}
        if isinstance(error.extra, list):
            body["errors"] = error.extra
    return _answer(request, body["status"], body, dict(error.headers or {}))


def on_garbled(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a body that is no text, or endlessly nested; the framework lets the decoder's error pass."""
    return on_problem(request, Invalid("The request is not valid UTF-8, or is nested too deep."))


def on_bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a bug without its insides; those go to the log."""
    log.error("unexpected_error", path=request.url.path, exc_info=error)
    body = {
        "type": "urn:dana:problem:internal",
        "title": "Something went wrong on our side",
        "status": 500,
        "detail": "The error was logged under this request's id.",
    }
    return _answer(request, 500, body, {})


def _answer(
    request: Request[Any, Any, Any], status: int, body: dict[str, Any], headers: dict[str, str]
) -> Response[bytes]:
    body["request_id"] = request.scope.get("state", {}).get("request_id", "")
    return Response(
        msgspec.json.encode(body, enc_hook=str),
        status_code=status,
        media_type="application/problem+json",
        headers=headers | {"Cache-Control": "no-store"},  # or a proxy would keep it by habit
    )
