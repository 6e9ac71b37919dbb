"""Files in SQuAD's format: articles, their paragraphs, and questions with their answers."""

from typing import Any

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """The words of a paragraph that answer a question."""

    text: str


class Question(msgspec.Struct, frozen=True):
    """A question on one paragraph; without an answer when it only looks as if there were one."""

    question: str
    answers: list[Answer] = []
    is_impossible: bool = False


class Paragraph(msgspec.Struct, frozen=True):
    """A paragraph and what is asked about it."""

    context: str
    qas: list[Question]


class Article(msgspec.Struct, frozen=True):
    """An article: one document."""

    title: str
    paragraphs: list[Paragraph]


class File(msgspec.Struct, frozen=True):
    """A whole file."""

    data: list[Article]
    version: Any = None


class Asked(msgspec.Struct, frozen=True):
    """An answerable question, and where its answer stands."""

    article: int
    paragraph: str
    question: str
    answers: list[str]

    def is_in(self, passage: str) -> bool:
        """Tell whether a passage is (part of) the paragraph in question."""
        found, wanted = plain(passage), plain(self.paragraph)
        return found in wanted or wanted in found

    def is_answered_by(self, passage: str, sentence: str) -> bool:
        """Tell whether a sentence of the right passage holds an answer."""
        return self.is_in(passage) and any(plain(answer) in plain(sentence) for answer in self.answers)


def answerable(articles: list[Article]) -> list[Asked]:
    """List the answerable questions of all articles."""
    return [
        Asked(number, paragraph.context, asked.question.strip(), [answer.text for answer in asked.answers])
        for number, article in enumerate(articles)
        for paragraph in article.paragraphs
        for asked in paragraph.qas
        if asked.answers and not asked.is_impossible
    ]


def plain(text: str) -> str:
    """Make texts comparable that differ in white space only."""
    return " ".join(text.split())
