"""The embedded assistant: it answers by quoting, and abstains when nothing is near enough."""

from dana.contracts.queries import DEFAULT_THRESHOLD, Knowledge, Quote
from dana.contracts.views import Action
from dana.services.ai.actions.inquiry import Inquiry
from dana.services.ai.models.answer import Answer
from dana.services.ai.models.assistant import ProviderKind
from dana.services.ai.models.intents import Intent, candidates, intent_of, topic_words
from dana.services.ai.models.quoting import composed

QUOTES = 6  # the best, and what may join or replace it
NAMED_TOPICS = 3
VAGUE_WORDS = 1  # so few words of topic are too little to hand over for; ask back first
SHORT_QUESTION = 3  # words of topic
WORTH_NAMING = 0.4  # part of the threshold from which a topic is worth asking about


def answer_without_knowledge(inquiry: Inquiry) -> Answer | None:
    """Answer what needs no knowledge: a greeting, thanks, the wish for a person, a message without topic."""
    match intent_of(inquiry.question):
        case Intent.PERSON:
            text = f"{inquiry.wording.gladly} {inquiry.hand_over_text}"
            return Answer(action=Action.HAND_OVER, text=text, reason="The customer asked for a person.")
        case Intent.GREETING:
            return Answer(action=Action.REPLY, text=inquiry.wording.greeting)
        case Intent.THANKS:
            return Answer(action=Action.REPLY, text=inquiry.wording.thanks)
        case Intent.NOTHING if not inquiry.has_clarified:
            return Answer(action=Action.CLARIFY, text=inquiry.wording.clarify)
        case Intent.NOTHING | Intent.QUESTION:
            return None


async def find_quotes(knowledge: Knowledge, inquiry: Inquiry) -> list[Quote]:
    """Return the best quotes among the ways to ask the question; empty when nothing is near."""
    best: list[Quote] = []
    for question in _ways_to_ask(inquiry):
        quotes = await knowledge.quote(inquiry.org_id, question, QUOTES)
        if quotes and (not best or quotes[0].confidence > best[0].confidence):
            best = quotes
    return best


def answer_with_quotes(inquiry: Inquiry, quotes: list[Quote], *, trouble: str = "") -> Answer:
    """Quote, ask back, or hand over. `trouble` is what kept a model server from answering."""
    threshold = threshold_of(inquiry)
    confidence = quotes[0].confidence if quotes else 0.0
    if quotes and confidence >= threshold:
        text, citations = composed(quotes, threshold)
        return Answer(
            action=Action.REPLY, text=text, citations=citations, confidence=confidence, reason=trouble
        )
    is_vague = len(topic_words(inquiry.question)) <= VAGUE_WORDS
    if is_vague and not inquiry.has_clarified:
        return Answer(action=Action.CLARIFY, text=_asked_back(inquiry, quotes), confidence=confidence)
    return Answer(
        action=Action.HAND_OVER,
        text=f"{inquiry.wording.uncovered} {inquiry.hand_over_text}",
        confidence=confidence,
        reason=" ".join(filter(None, [trouble, "The knowledge does not cover the question."])),
    )


def threshold_of(inquiry: Inquiry) -> float:
    """Return the confidence below which it abstains."""
    own = inquiry.assistant.threshold
    return DEFAULT_THRESHOLD if own is None else own


def _ways_to_ask(inquiry: Inquiry) -> list[str]:
    """Return the questions to look up.

    A reply to asking back belongs to what was unclear. A short question may follow up on the one before it;
    only a model, which reads the conversation, can tell, so only for a model that is looked up too.
    """
    ways = candidates(inquiry.question)
    before = inquiry.unclear_before
    is_short = len(topic_words(inquiry.question)) <= SHORT_QUESTION
    if is_short and inquiry.assistant.provider.kind is ProviderKind.OPENAI:
        before = inquiry.question_before
    return [*ways, f"{before} {ways[0]}"] if topic_words(before) else ways


def _asked_back(inquiry: Inquiry, quotes: list[Quote]) -> str:
    """Ask back, naming what may be meant where something is at least a little near."""
    worth = threshold_of(inquiry) * WORTH_NAMING
    titles = list(dict.fromkeys(quote.hit.title for quote in quotes if quote.confidence >= worth))
    if not titles:
        return inquiry.wording.clarify
    named = " / ".join(f"“{title}”" for title in titles[:NAMED_TOPICS])
    return inquiry.wording.clarify_between.format(named)
