"""Expected failures, as types. The HTTP edge turns each into problem+json with a stable `type`.

Problem
├── Invalid          422  the request can't mean anything; change it
├── Unauthenticated  401  sign in, or renew the token
├── Forbidden        403  signed in, but not allowed
├── Missing          404  not there, or not yours to see
├── Conflict         409  true, but not now; look at the state again
├── Limited          429  too much at once; wait `retry_after_seconds`
└── Unavailable      503  a part is down; the same request may be sent again
"""

from typing import Any, ClassVar


class Problem(Exception):  # noqa: N818 - the name on the wire, RFC 9457
    """An expected failure, told to the caller as it is."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra

    @classmethod
    def type(cls) -> str:
        """Name the problem on the wire; never changes."""
        return f"urn:dana:problem:{cls.__name__.lower()}"


class Invalid(Problem):
    """The request can't mean anything."""

    status = 422
    title = "The request is not valid"


class Unauthenticated(Problem):
    """Nobody, or somebody whose proof has expired."""

    status = 401
    title = "Sign in first"


class Forbidden(Problem):
    """Somebody, but not allowed to."""

    status = 403
    title = "Not allowed"


class Missing(Problem):
    """Not there, or not theirs to see."""

    status = 404
    title = "Not found"


class Conflict(Problem):
    """Not possible in the present state."""

    status = 409
    title = "Not possible now"


class Limited(Problem):
    """Too much at once."""

    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, retry_after_seconds: float, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(Problem):
    """A part is down for the moment."""

    status = 503
    title = "Try again in a moment"

    def __init__(self, detail: str, retry_after_seconds: float = 1.0, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.retry_after_seconds = retry_after_seconds


PROBLEMS: tuple[type[Problem], ...] = (
    Invalid,
    Unauthenticated,
    Forbidden,
    Missing,
    Conflict,
    Limited,
    Unavailable,
)
