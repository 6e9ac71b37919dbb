"""By which numbers texts are found, and what is shown of them."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dana.contracts.ids import OrgId, new_id
from dana.contracts.views import Author, ContactView
from dana.platform.errors import Invalid
from dana.services.conversations.models import finding
from dana.services.conversations.models.excerpts import EXCERPT_CHARACTERS, Piece, excerpt, marked

ORG = OrgId(new_id())
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=80)


def finds(query: str, text: str) -> bool:
    """Ask as the search does: by the keys, then by the words."""
    asked = finding.asked_terms(query)
    has_keys = set(finding.asked_keys(ORG, asked)) <= set(finding.search_keys(ORG, text))
    assert has_keys or not finding.has_all(asked, text), "the index would leave out what matches"
    return has_keys and finding.has_all(asked, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("refund", "When will I be refunded?"),
        ("REFUND when", "When will I be refunded?"),
        ("refunded", "When will I be refunded?"),
        ("be", "When will I be refunded?"),
        ("munchen", "Ich wohne in München."),
        ("MÜNCHEN", "Ich wohne in Mu\u0308nchen."),
        ("straße", "Die STRASSE ist lang"),
        ("café", "a cafe"),
        ("4711", "order #A-4711/22"),
        ("A-4711", "order #A-4711/22"),
        ("ana.lopez@example.org", "Ana <Ana.Lopez@Example.org>"),
        ("example.org", "Ana <Ana.Lopez@Example.org>"),
        ("返金", "昨日の返金したいです"),
        ("返金 iphone", "iPhone用ケースの返金"),
        ("환불", "환불을 요청합니다"),
        ("요청", "환불을 요청합니다"),
        ("สวัสดี", "สวัสดีครับ"),
        ("नमस्ते", "नमस्ते दुनिया"),
        ("возврат", "Хочу возврата денег"),
        ("\uff46\uff55\uff4c\uff4c", "full width"),
    ],
)
def test_what_reads_the_same_is_found(query: str, text: str) -> None:
    assert finds(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("fund", "refund"),
        ("re", "refund"),
        ("can", "cancel"),
        ("refunds", "refund"),
        ("contreras", "contrary"),
        ("refund order", "refund"),
        ("金返", "返金"),
    ],
)
def test_what_reads_otherwise_is_not(query: str, text: str) -> None:
    assert not finds(query, text)


@given(TEXTS, st.data())
def test_every_text_is_found_by_each_of_its_words_and_their_beginnings(
    text: str, data: st.DataObject
) -> None:
    words = finding.terms(text)
    if not words:
        return
    word = data.draw(st.sampled_from(words))
    assert finds(word, text)
    if len(word) > finding.WHOLE_UP_TO and not finding.is_dense(word):
        beginning = word[: data.draw(st.integers(4, len(word)))]
        if finding.terms(beginning) == [beginning]:
            assert finds(beginning, text)


@given(TEXTS, TEXTS)
def test_an_excerpt_is_a_part_of_the_text(text: str, query: str) -> None:
    pieces = excerpt(text, finding.asked_terms(query[:10]))
    shown = "".join(piece.text for piece in pieces if piece.text != "…")
    assert shown in " ".join(text.split())
    assert "".join(piece.text for piece in marked(text, ["word"])) == text


def test_an_excerpt_begins_shortly_before_the_first_word_that_matches() -> None:
    text = f"{'lorem ipsum ' * 40}the REFUNDS came{' dolor sit' * 40}"
    pieces = excerpt(text, ["refund"])
    assert pieces[0].text == pieces[-1].text == "…"
    assert [piece.text for piece in pieces if piece.is_match] == ["REFUNDS"]
    assert pieces[1].text.endswith("lorem ipsum the ")
    assert sum(len(piece.text) for piece in pieces) == EXCERPT_CHARACTERS + 2


def test_of_a_run_without_spaces_only_what_was_asked_for_is_marked() -> None:
    assert excerpt("昨日の返金です", ["返金"]) == [
        Piece(text="昨日の"),
        Piece(text="返金", is_match=True),
        Piece(text="です"),
    ]


def test_each_organization_has_its_own_numbers() -> None:
    one, other = (OrgId(UUID(int=number)) for number in (1, 2))
    assert not set(finding.search_keys(one, "refund")) & set(finding.search_keys(other, "refund"))


def test_the_contact_is_found_by_the_first_message_and_an_activity_line_by_nothing_it_says() -> None:
    contact = ContactView(id=new_id(), name="Carla", email=None, created_at=None)  # type: ignore[arg-type]
    assert finding.findable_texts(1, Author.CUSTOMER, "hi", contact) == ["hi", "Carla", ""]
    assert finding.findable_texts(2, Author.CUSTOMER, "hi", contact) == ["hi"]
    assert finding.findable_texts(1, Author.SYSTEM, "joined", contact) == ["Carla", ""]
    assert finding.findable_texts(2, Author.SYSTEM, "joined", contact) == []


def test_writing_is_bounded() -> None:
    assert len(finding.search_keys(ORG, " ".join(f"{n:07d}" for n in range(3_000)))) == finding.MAX_KEYS


@pytest.mark.parametrize("query", ["x" * 201, "a b c d e f g h i j k"])
def test_too_much_is_refused(query: str) -> None:
    with pytest.raises(Invalid):
        finding.asked_terms(query)
