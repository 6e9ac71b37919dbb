"""Deciding what to do with a question: the same function for customers and for the test box.

greeting, thanks, wish for a person ──► own words
question ──► knowledge ──► nothing near ──────────────► ask back or hand over
                     └───► near: quotes, or a model server ──► checked against its sources
                                              └─ failed or unsupported ──► quotes or hand over
"""

from collections.abc import Callable

from dana.contracts.queries import Hit, Quote
from dana.contracts.views import Action, Citation
from dana.services.ai.actions.desk import Desk
from dana.services.ai.actions.inquiry import Inquiry
from dana.services.ai.actions.quotes import (
    answer_with_quotes,
    answer_without_knowledge,
    find_quotes,
    threshold_of,
)
from dana.services.ai.adapters.failures import ModelFailure
from dana.services.ai.models.answer import MODEL_SERVER, Answer
from dana.services.ai.models.assistant import ProviderKind
from dana.services.ai.models.drafts import (
    DECISION_SCHEMA,
    Decision,
    UnreadableDecisionError,
    read_decision,
    read_draft,
)
from dana.services.ai.models.grounding import Sources, supported_beginning, unsupported, without_marks
from dana.services.ai.models.prompt import prompt
from dana.services.ai.models.redaction import Redaction
from dana.services.ai.models.sentences import nearest_sentence

PASSAGES = 6
LOOK_CHARACTERS = 12  # a growing answer is checked and shown every two words or so
NEAR_ENOUGH_FOR_A_MODEL = 0.5  # part of the threshold; farther off, a model could only make something up

OnDraft = Callable[[str], None]
"""Takes the whole text of a growing answer, each time it has grown."""


async def decide(desk: Desk, inquiry: Inquiry, on_draft: OnDraft) -> Answer:
    """Return what to do and say. Raises nothing that a model server can cause."""
    answer = answer_without_knowledge(inquiry)
    if answer is not None:
        return answer
    quotes = await find_quotes(desk.knowledge, inquiry)
    is_near = bool(quotes) and quotes[0].confidence >= threshold_of(inquiry) * NEAR_ENOUGH_FOR_A_MODEL
    if inquiry.assistant.provider.kind is ProviderKind.EXTRACTIVE or not is_near:
        return answer_with_quotes(inquiry, quotes)
    try:
        return await _answer_with_model(desk, inquiry, quotes, on_draft)
    except ModelFailure as failure:
        if failure.has_started:
            return _broken_off(inquiry, failure.reason)
        return answer_with_quotes(inquiry, quotes, trouble=failure.reason)


async def _answer_with_model(desk: Desk, inquiry: Inquiry, quotes: list[Quote], on_draft: OnDraft) -> Answer:
    found = await desk.knowledge.search(inquiry.org_id, inquiry.question, PASSAGES)
    passages = _without_repeats([quote.hit for quote in quotes] + found)[:PASSAGES]
    redaction = Redaction()
    writing = _Writing(inquiry, passages, redaction, on_draft)
    content = await desk.models.complete(
        inquiry.assistant.provider,
        prompt(inquiry.assistant, inquiry.question, inquiry.history, passages, redaction),
        DECISION_SCHEMA,
        writing.add,
    )
    try:
        decision = read_decision(content)
    except UnreadableDecisionError:
        return answer_with_quotes(inquiry, quotes, trouble="The model server's answer can't be read.")
    return _checked(inquiry, decision, passages, quotes, redaction)


def _checked(
    inquiry: Inquiry, decision: Decision, passages: list[Hit], quotes: list[Quote], redaction: Redaction
) -> Answer:
    """Keep a model's answer only if its facts stand in the passages it names."""
    cited = _cited(decision, passages)
    if decision.action is Action.HAND_OVER or (decision.action is Action.CLARIFY and inquiry.has_clarified):
        return _handed_over(inquiry, quotes, redaction.show(decision.text))
    is_reply = decision.action is Action.REPLY
    sources = _sources(inquiry, cited if is_reply else passages)
    if (is_reply and not cited) or unsupported(decision.text, sources):
        return answer_with_quotes(
            inquiry, quotes, trouble="The model's answer did not stand on the knowledge."
        )
    text = redaction.show(without_marks(decision.text)).strip()
    return Answer(
        action=decision.action,
        text=text,
        citations=tuple(_citation(hit, text) for hit in cited) if is_reply else (),
        confidence=quotes[0].confidence,
        made_by=MODEL_SERVER,
    )


class _Writing:
    """A model's answer while it is written; only what has passed the check is shown."""

    def __init__(
        self, inquiry: Inquiry, passages: list[Hit], redaction: Redaction, on_draft: OnDraft
    ) -> None:
        self._inquiry = inquiry
        self._passages = passages
        self._redaction = redaction
        self._on_draft = on_draft
        self._content = ""
        self._shown = ""
        self._sources: Sources | None = None
        self._next_look = 0

    def add(self, words: str) -> None:
        """Take the next piece, and now and then show what is new and supported."""
        self._content += words
        if len(self._content) < self._next_look:
            return
        self._next_look = len(self._content) + LOOK_CHARACTERS
        draft = read_draft(self._content)
        if draft is None or draft.action is Action.HAND_OVER:
            return
        if self._sources is None:  # they stand before the text, so they are complete when it begins
            is_reply = draft.action is Action.REPLY
            cited = _cited(draft, self._passages) if is_reply else self._passages
            self._sources = _sources(self._inquiry, cited)
        beginning = supported_beginning(draft.text, self._sources)
        if len(beginning) > len(self._shown):
            self._shown = beginning
            self._on_draft(self._redaction.show(without_marks(beginning)))


def _handed_over(inquiry: Inquiry, quotes: list[Quote], summary: str) -> Answer:
    reason = f"The assistant found no answer. {summary}".strip()
    return Answer(
        action=Action.HAND_OVER,
        text=f"{inquiry.wording.uncovered} {inquiry.hand_over_text}",
        confidence=quotes[0].confidence,
        reason=reason[:500],
        made_by=MODEL_SERVER,
    )


def _broken_off(inquiry: Inquiry, reason: str) -> Answer:
    text = f"{inquiry.wording.failed} {inquiry.hand_over_text}"
    return Answer(action=Action.HAND_OVER, text=text, reason=reason, made_by=MODEL_SERVER)


def _without_repeats(passages: list[Hit]) -> list[Hit]:
    return list({(hit.document_id, hit.passage): hit for hit in passages}.values())


def _cited(decision: Decision, passages: list[Hit]) -> list[Hit]:
    numbers = dict.fromkeys(decision.sources)
    return [passages[number - 1] for number in numbers if 1 <= number <= len(passages)]


def _citation(hit: Hit, text: str) -> Citation:
    quote = nearest_sentence(text, hit.passage)
    return Citation(document_id=hit.document_id, title=hit.title, passage=hit.passage, quote=quote)


def _sources(inquiry: Inquiry, passages: list[Hit]) -> Sources:
    """Return what an answer may state; its names may also be the customer's or the assistant's."""
    text = "\n".join(f"{hit.title}\n{hit.passage}" for hit in passages)
    return Sources.of(text, known=f"{inquiry.question} {inquiry.assistant.name}")
