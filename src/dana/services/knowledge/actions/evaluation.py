"""Measure retrieval and answers on a SQuAD-format file, through the path that documents and questions take.

Each article is uploaded as a document of an organization made for the purpose, and deleted at the end.
Off-topic questions are those whose article isn't indexed: half of the articles is deleted, and what was asked
about them is asked of the other half.
"""

import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from dana.contracts.ids import DocumentId, OrgId, new_id
from dana.contracts.queries import DEFAULT_THRESHOLD, Hit, Quote
from dana.contracts.views import DocumentStatus
from dana.platform.errors import Invalid
from dana.platform.identity import SYSTEM
from dana.platform.settings import Settings
from dana.platform.shards import Shards
from dana.services.knowledge.actions import documents
from dana.services.knowledge.actions.indexing import Indexer
from dana.services.knowledge.actions.searching import Search
from dana.services.knowledge.adapters.embedding.loading import load_meaning
from dana.services.knowledge.models.squad import Article, Asked, File, answerable

RANKS = 10
Say = Callable[[str], None]
T = TypeVar("T")


class RetrievalScore(msgspec.Struct, frozen=True, kw_only=True):
    """How often the right paragraph is found, and how fast."""

    questions: int
    recall_at_1: float
    recall_at_5: float
    mrr_at_10: float
    p50_ms: float
    p95_ms: float


class AnswerScore(msgspec.Struct, frozen=True, kw_only=True):
    """How often the right sentence is quoted, how well off-topic questions are told apart, and how fast."""

    questions: int
    answered: int
    """Answerable questions on which it would not abstain."""
    sentence_accuracy: float
    """Of all answerable questions, those whose first quote holds the answer."""
    off_topic_auroc: float | None
    abstain_f1: float | None
    p50_ms: float
    p95_ms: float


async def eval_retrieval(settings: Settings, file: Path, say: Say) -> RetrievalScore:
    """Measure how well passages are found."""
    articles = _read(file)
    async with _bench(settings, articles, say) as bench:
        await bench.index(range(len(articles)))
        ranks: list[int | None] = []
        for asked in bench.asked():
            hits = await bench.timed(bench.search.search(bench.org_id, asked.question, RANKS))
            ranks.append(_rank(asked, hits))
    return RetrievalScore(
        questions=len(ranks),
        recall_at_1=_share(rank == 1 for rank in ranks),
        recall_at_5=_share(rank is not None and rank <= 5 for rank in ranks),  # noqa: PLR2004 - its name
        mrr_at_10=round(sum(1 / rank for rank in ranks if rank) / max(len(ranks), 1), 4),
        p50_ms=bench.percentile(50),
        p95_ms=bench.percentile(95),
    )


async def eval_answers(settings: Settings, file: Path, say: Say) -> AnswerScore:
    """Measure how well sentences answer, and how well it abstains."""
    articles = _read(file)
    async with _bench(settings, articles, say) as bench:
        await bench.index(range(len(articles)))
        quoted = [(asked, await bench.quote(asked)) for asked in bench.asked()]
        covered = [quotes[0].confidence if quotes else 0.0 for _, quotes in quoted]
        latencies = bench.percentile(50), bench.percentile(95)
        uncovered: list[float] = []
        for half in (0, 1) if len(articles) > 1 else ():
            away = [number for number in range(len(articles)) if number % 2 == half]
            await bench.remove(away)
            for asked in bench.asked(away):
                quotes = await bench.quote(asked)
                uncovered.append(quotes[0].confidence if quotes else 0.0)
            await bench.index(away)
    return AnswerScore(
        questions=len(quoted),
        answered=sum(confidence >= DEFAULT_THRESHOLD for confidence in covered),
        sentence_accuracy=_share(_is_right(asked, quotes) for asked, quotes in quoted),
        off_topic_auroc=auroc(covered, uncovered),
        abstain_f1=abstain_f1(covered, uncovered, DEFAULT_THRESHOLD),
        p50_ms=latencies[0],
        p95_ms=latencies[1],
    )


def auroc(above: list[float], below: list[float]) -> float | None:
    """Return how likely one of the first is greater than one of the second; ties count half."""
    if not above or not below:
        return None
    order = sorted([(value, 1) for value in above] + [(value, 0) for value in below])
    wins, seen_below, at = 0.0, 0, 0
    while at < len(order):
        end = at
        while end < len(order) and order[end][0] == order[at][0]:
            end += 1
        tied_above = sum(side for _, side in order[at:end])
        tied_below = end - at - tied_above
        wins += tied_above * (seen_below + tied_below / 2)
        seen_below += tied_below
        at = end
    return round(wins / (len(above) * len(below)), 4)


def abstain_f1(covered: list[float], uncovered: list[float], threshold: float) -> float | None:
    """Return the F1 score of abstaining from what isn't covered."""
    right = sum(confidence < threshold for confidence in uncovered)
    wrong = sum(confidence < threshold for confidence in covered)
    return round(2 * right / (right + wrong + len(uncovered)), 4) if uncovered else None


class _Bench:
    """An organization with some of the articles indexed."""

    def __init__(self, shards: Shards, org_id: OrgId, articles: list[Article], say: Say) -> None:
        meaning = load_meaning()
        self.org_id = org_id
        self.search = Search(shards, meaning)
        self._indexer = Indexer(shards, meaning)
        self._shards = shards
        self._articles = articles
        self._say = say
        self._indexed: dict[int, DocumentId] = {}
        self._latencies_ms: list[float] = []

    def asked(self, articles: Iterable[int] | None = None) -> list[Asked]:
        """List the answerable questions, of all articles or of some."""
        wanted = set(range(len(self._articles)) if articles is None else articles)
        questions = [asked for asked in answerable(self._articles) if asked.article in wanted]
        self._say(f"Asking {len(questions)} questions …")
        return questions

    async def index(self, articles: Iterable[int]) -> None:
        """Upload and index articles that aren't there."""
        for number in articles:
            article = self._articles[number]
            self._say(f"Indexing {article.title} …")
            text = "\n\n".join(paragraph.context for paragraph in article.paragraphs)
            async with self._shards.tx(self.org_id, SYSTEM) as tx:
                document = await documents.upload(tx, f"{_filename(article.title)}.txt", text.encode())
            self._indexed[number] = document.id
            await self._indexer.index(self.org_id, document.id)
            async with self._shards.read(self.org_id) as tx:
                document = await documents.find_document(tx, document.id)
            if document.status is not DocumentStatus.SEARCHABLE:
                raise Invalid(f"{article.title} can't be indexed: {document.error}")

    async def remove(self, articles: Iterable[int]) -> None:
        """Delete articles."""
        for number in articles:
            async with self._shards.tx(self.org_id, SYSTEM) as tx:
                await documents.delete(tx, self._indexed.pop(number))

    async def clear(self) -> None:
        """Delete whatever is left."""
        await self.remove(list(self._indexed))

    async def quote(self, asked: Asked) -> list[Quote]:
        """Quote, and note how long it took."""
        return await self.timed(self.search.quote(self.org_id, asked.question, 1))

    async def timed(self, answer: Awaitable[T]) -> T:
        """Wait for an answer, and note how long it took."""
        started = time.perf_counter()
        result = await answer
        self._latencies_ms.append((time.perf_counter() - started) * 1000)
        return result

    def percentile(self, percent: int) -> float:
        """Return a percentile of the latencies so far."""
        if len(self._latencies_ms) < 2:  # noqa: PLR2004 - quantiles need two
            return round(sum(self._latencies_ms), 1)
        return round(statistics.quantiles(self._latencies_ms, n=100)[percent - 1], 1)


@asynccontextmanager
async def _bench(settings: Settings, articles: list[Article], say: Say) -> AsyncIterator[_Bench]:
    founder, shards = Shards(settings, "auth"), Shards(settings, "knowledge")
    org_id = OrgId(new_id())
    try:
        await founder.place(org_id)
        bench = _Bench(shards, org_id, articles, say)
        try:
            yield bench
        finally:
            await bench.clear()
    finally:
        await founder.close()
        await shards.close()


def _read(file: Path) -> list[Article]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=File).data
    except (OSError, msgspec.DecodeError) as error:
        raise Invalid(f"{file} is no file in SQuAD's format: {error}") from None


def _filename(title: str) -> str:
    return title.replace("/", " ").replace("\\", " ").strip(" .") or "article"


def _rank(asked: Asked, hits: list[Hit]) -> int | None:
    return next((rank for rank, hit in enumerate(hits, 1) if asked.is_in(hit.passage)), None)


def _is_right(asked: Asked, quotes: list[Quote]) -> bool:
    return bool(quotes) and asked.is_answered_by(quotes[0].hit.passage, quotes[0].sentence)


def _share(hits: Iterable[bool]) -> float:
    found = list(hits)
    return round(sum(found) / max(len(found), 1), 4)
