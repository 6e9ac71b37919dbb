"""HTTP in: the assistant's settings, and a box to try it out."""

import time

import msgspec
from litestar import Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation

from dana.contracts.views import Action, Citation, Role
from dana.platform.errors import Invalid
from dana.platform.http.limited import limited
from dana.platform.identity import Member, require
from dana.services.ai.actions.assistants import assistant_of, change_assistant, shown
from dana.services.ai.actions.deciding import decide
from dana.services.ai.actions.desk import Desk
from dana.services.ai.actions.inquiry import Inquiry
from dana.services.ai.models.assistant import Assistant

QUESTION_LIMIT = 2000

SignedIn = NamedDependency[SkipValidation[Member]]


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question to try the assistant with."""

    question: str


class TrialAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the assistant would do with it."""

    action: Action
    text: str
    citations: tuple[Citation, ...]
    confidence: float
    reason: str
    """Why it would hand over, or what kept the model server from answering."""
    made_by: str
    took_ms: float


def router(desk: Desk) -> Router:
    """Bind the routes to what they need."""

    @get("/")
    async def read_assistant(member: SignedIn) -> Assistant:
        """Read the assistant's settings; the API key is masked."""
        async with desk.shards.read(member.org_id) as tx:
            return shown(await assistant_of(tx, desk.secrets))

    @put("/")
    async def replace_assistant(member: SignedIn, data: JSONBody[Assistant]) -> Assistant:
        """Replace the assistant's settings; a masked or empty API key leaves the stored one."""
        require(member, Role.ADMIN)
        async with desk.shards.tx(member.org_id, member.actor) as tx:
            return await change_assistant(tx, desk.secrets, data)

    @post("/try", status_code=200, opt=limited("try", cost=10))
    async def try_assistant(member: SignedIn, data: JSONBody[Trial]) -> TrialAnswer:
        """Ask the assistant the way a customer would; nothing is stored or sent."""
        if not data.question.strip() or len(data.question) > QUESTION_LIMIT or "\0" in data.question:
            raise Invalid(f"Write a question of at most {QUESTION_LIMIT} characters.", field="question")
        started = time.perf_counter()
        async with desk.shards.read(member.org_id) as tx:
            assistant = await assistant_of(tx, desk.secrets)
        answer = await decide(desk, Inquiry(member.org_id, assistant, data.question), _unseen)
        return TrialAnswer(
            action=answer.action,
            text=answer.text,
            citations=answer.citations,
            confidence=round(answer.confidence, 4),
            reason=answer.reason,
            made_by=answer.made_by,
            took_ms=round((time.perf_counter() - started) * 1000, 1),
        )

    return Router(
        "/api/v1/assistant",
        route_handlers=[read_assistant, replace_assistant, try_assistant],
        tags=["assistant"],
    )


def _unseen(draft: str) -> None:
    """Nobody watches the draft of a trial."""
