"""Composing answers of quotes."""

from uuid import UUID

from dana.contracts.ids import DocumentId
from dana.contracts.queries import Hit, Quote
from dana.services.ai.models.quoting import composed
from dana.services.ai.models.sentences import nearest_sentence, sentences

DOCUMENT = DocumentId(UUID(int=7))
STEPS = """To return an item:
1. Open your orders.
2. Choose the item.
3. Print the label.

We refund you within 5 days. The money goes back to the card you paid with."""


def quote(sentence: str, confidence: float = 0.9, passage: str = STEPS) -> Quote:
    hit = Hit(document_id=DOCUMENT, title="Returns", passage=passage, score=1.0)
    return Quote(hit=hit, sentence=sentence, confidence=confidence)


def test_a_sentence_is_quoted_with_its_source() -> None:
    text, citations = composed([quote("The money goes back to the card you paid with.")], 0.5)
    assert text == "The money goes back to the card you paid with."
    assert citations[0].quote == text
    assert citations[0].passage == STEPS
    assert citations[0].document_id == DOCUMENT


def test_an_announced_list_comes_with_its_announcement() -> None:
    text, _ = composed([quote("To return an item:")], 0.5)
    assert text == "To return an item:\n1. Open your orders.\n2. Choose the item.\n3. Print the label."


def test_a_point_of_a_list_brings_the_list() -> None:
    text, _ = composed([quote("2. Choose the item.")], 0.5)
    assert text == "To return an item:\n1. Open your orders.\n2. Choose the item.\n3. Print the label."


def test_a_short_sentence_brings_the_next() -> None:
    text, _ = composed([quote("We refund you within 5 days.")], 0.5)
    assert text == "We refund you within 5 days. The money goes back to the card you paid with."


def test_a_second_quote_joins_only_when_it_is_as_good() -> None:
    first = quote(
        "Shoes can be returned within 30 days, unworn and in their box, in every shop of ours.", 0.9, "x"
    )
    near = quote("Online orders can be returned by mail with the label that came in the parcel.", 0.88, "y")
    far = quote("Gift cards can't be returned, whatever the reason may be, in any of our shops.", 0.6, "z")
    text, citations = composed([first, near, far], 0.5)
    assert text == f"{first.sentence}\n\n{near.sentence}"
    assert len(citations) == 2
    assert len(composed([first, far], 0.5)[1]) == 1


def test_what_is_quoted_twice_is_said_once() -> None:
    text, citations = composed([quote("To return an item:"), quote("2. Choose the item.")], 0.5)
    assert text.count("Choose the item") == 1
    assert len(citations) == 1


def test_a_long_list_is_cut_at_a_line() -> None:
    passage = "Sizes:\n" + "\n".join(
        f"- size {n} is for feet of {n} cm, give or take a little" for n in range(40)
    )
    text, _ = composed([quote("Sizes:", passage=passage)], 0.5)
    assert len(text) <= 700
    assert text.endswith("a little")


def test_sentences_stand_in_the_text_letter_for_letter() -> None:
    text = 'We ship by DHL, e.g. overnight. "Really?" Yes! See No. 5 on the list.\nNext line without an end'
    found = sentences(text)
    assert found == [
        "We ship by DHL, e.g. overnight.",
        '"Really?"',
        "Yes!",
        "See No. 5 on the list.",
        "Next line without an end",
    ]
    assert all(sentence in text for sentence in found)


def test_the_nearest_sentence() -> None:
    assert nearest_sentence("The refund takes five days", STEPS) == "We refund you within 5 days."
