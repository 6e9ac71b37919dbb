"""Composing answers of quotes."""

from uuid import UUID

import pytest

from dana.contracts.ids import DocumentId
from dana.contracts.queries import Hit, Quote
from dana.services.ai.models.quoting import composed
from dana.services.ai.models.sentences import nearest_sentence, sentences

DOCUMENT = DocumentId(UUID(int=7))
SHORT = "We refund you within 5 days. The money goes back to the card you paid with."
FILLER = "Our shops and our website sell the same bags, and the prices are the same in both of them. " * 4
LIST = """To return an item:
1. Open your orders.
2. Choose the item and say why.
3. Print the label, which costs 7.90 euros from abroad."""
STEPS = f"""{LIST}

We refund you within 5 days. It costs 7.90 euros. It goes to your card, unless the card is closed. {FILLER}"""


def quote(sentence: str, confidence: float = 0.9, passage: str = STEPS) -> Quote:
    hit = Hit(document_id=DOCUMENT, title="Returns", passage=passage, score=1.0)
    return Quote(hit=hit, sentence=sentence, confidence=confidence)


def test_a_short_passage_is_quoted_whole_and_the_sentence_marked() -> None:
    text, citations = composed([quote("We refund you within 5 days.", passage=SHORT)], 0.5)
    assert text == SHORT
    assert citations[0].quote == "We refund you within 5 days."
    assert citations[0].passage == SHORT
    assert citations[0].document_id == DOCUMENT


def test_of_a_long_passage_the_sentence_is_quoted() -> None:
    sentence = "Our shops and our website sell the same bags, and the prices are the same in both of them."
    assert composed([quote(sentence)], 0.5)[0] == sentence


def test_an_announced_list_comes_with_its_announcement() -> None:
    text, _ = composed([quote("To return an item:")], 0.5)
    assert text == LIST


def test_a_point_of_a_list_brings_the_list() -> None:
    text, _ = composed([quote("Choose the item and say why.")], 0.5)
    assert text == LIST


def test_a_list_without_an_announcement_begins_with_its_first_point() -> None:
    passage = f"{FILLER}\n- Visa\n- PayPal\n{FILLER}"
    assert composed([quote("- PayPal", passage=passage)], 0.5)[0] == "- Visa\n- PayPal"


def test_a_short_sentence_brings_the_next() -> None:
    text, _ = composed([quote("We refund you within 5 days.")], 0.5)
    assert text == "We refund you within 5 days. It costs 7.90 euros."


def test_a_sentence_that_points_back_brings_the_one_before() -> None:
    text, _ = composed([quote("It goes to your card, unless the card is closed.")], 0.5)
    assert text == "It costs 7.90 euros. It goes to your card, unless the card is closed."


def test_a_second_quote_joins_only_from_elsewhere_and_when_about_as_sure() -> None:
    first = quote("Shoes can be returned within 30 days, unworn and in their box.", 0.95, "x.")
    near = quote("Orders can be returned by mail with the label in the parcel.", 0.94, "y")
    same = quote("Nothing else.", 0.95, "x.")
    back = quote("They can be returned too.", 0.95, "v")
    far = quote("Gift cards can't be returned.", 0.7, "z")
    text, citations = composed([first, same, back, far, near], 0.5)
    assert text == f"{first.sentence}\n\n{near.sentence}"
    assert len(citations) == 2
    assert len(composed([first, far], 0.5)[1]) == 1


def test_a_much_surer_quote_comes_first() -> None:
    ranked = quote("We search for a lost parcel.", 0.6, "a")
    surer = quote("Tell us about a damaged parcel.", 0.9, "b")
    assert composed([ranked, surer], 0.5)[0] == surer.sentence


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("How to return an item", "How to return an item\nThis page says how."),
        ("Return an item through these steps:", "Bags only. Return an item through these steps:"),
        ("This guide explains how to return an item.", "This guide explains how to return an item."),
        ("Learn how to return an item.", "Learn how to return an item."),
    ],
)
def test_what_only_promises_an_answer_gives_way(sentence: str, passage: str) -> None:
    promising = quote(sentence, 0.99, passage)
    telling = quote("Bring it back to a shop within 30 days.", 0.8, "z")
    assert composed([promising, telling], 0.5)[0] == telling.sentence
    assert sentence in composed([promising], 0.5)[0], "better than nothing"


def test_a_long_list_is_cut_at_a_line() -> None:
    passage = "Sizes:\n" + "\n".join(
        f"- size {n} is for feet of {n} cm, give or take a little" for n in range(40)
    )
    text, _ = composed([quote("Sizes:", passage=passage)], 0.5)
    assert len(text) <= 700
    assert text.endswith("a little")


def test_a_sentence_that_is_not_in_its_passage_is_quoted_as_it_is() -> None:
    assert composed([quote("Somewhere else.")], 0.5)[0] == "Somewhere else."


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
