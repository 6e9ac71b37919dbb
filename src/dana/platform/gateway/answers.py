"""What the gateway answers by itself, as problem+json like everything else (RFC 9457)."""

from dataclasses import dataclass
from http import HTTPStatus

from dana.platform.errors import Forbidden, Limited, Missing, Problem, Unauthenticated, Unavailable

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """One status, as a problem."""

    status: HTTPStatus
    type: str
    title: str
    detail: str

    @property
    def may_be_repeated(self) -> bool:
        """Whether the client is told after how many seconds to come again."""
        return self.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


def _known(status: HTTPStatus, problem: type[Problem], detail: str) -> Answer:
    return Answer(status, problem.type(), problem.title, detail)


def _other(status: HTTPStatus, detail: str) -> Answer:
    return Answer(status, f"urn:dana:problem:http-{status.value}", status.phrase, detail)


ANSWERS = (
    _known(HTTPStatus.UNAUTHORIZED, Unauthenticated, "The token is missing, has expired, or is no good."),
    _known(HTTPStatus.FORBIDDEN, Forbidden, "This may not be done from here."),
    _known(HTTPStatus.NOT_FOUND, Missing, "There is nothing at this address."),
    _known(HTTPStatus.TOO_MANY_REQUESTS, Limited, "Too many requests at once; wait a second."),
    _known(
        HTTPStatus.SERVICE_UNAVAILABLE, Unavailable, "Dana is starting or very busy; try again in a moment."
    ),
    _known(HTTPStatus.GATEWAY_TIMEOUT, Unavailable, "This took too long; try again in a moment."),
    _other(HTTPStatus.BAD_REQUEST, "The request is not valid HTTP, or its address is not plain."),
    _other(HTTPStatus.METHOD_NOT_ALLOWED, "This method leads nowhere."),
    _other(HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time."),
    _other(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is larger than this address accepts."),
    _other(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are larger than Dana accepts."),
)
