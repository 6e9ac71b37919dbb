"""Facts that an answer must share with its sources."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dana.services.ai.models.grounding import Sources, supported_beginning, unsupported, without_marks

SOURCE = (
    "Returns and refunds\nYou can return any item within 30 days. Refunds take 5 business days and are paid "
    "by Visa or PayPal. Orders above €1,000.50 ship free with DHL. Write to help@shop.example or see "
    "https://shop.example/returns. Ana's team works from Monday to Friday."
)

SOURCES = Sources.of(SOURCE)


@pytest.mark.parametrize(
    "text",
    [
        "You can return any item within 30 days.",
        "Sure! Refunds take five business days.",
        "Refunds take 5 days [1] and come by PayPal.",
        "Orders above €1000.50 ship free.",
        "Write to help@shop.example, or see shop.example/returns.",
        "1. Pack the item.\n2. Send it within 30 days.",
        "Ask Ana; the team works until Friday.",
        "We sent it to [email 1].",
    ],
)
def test_supported_facts(text: str) -> None:
    assert unsupported(text, SOURCES) == []


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("You can return any item within 90 days.", "90"),
        ("Refunds take seven business days.", "7"),
        ("Refunds are paid by Mastercard.", "Mastercard"),
        ("Orders above €100 ship free.", "100"),
        ("Orders ship free with UPS.", "UPS"),
        ("Write to help@evil.example for more.", "help@evil.example"),
        ("See https://evil.example/returns for more.", "https://evil.example/returns"),
        ("Ana works until Sunday.", "Sunday"),
    ],
)
def test_unsupported_facts(text: str, fact: str) -> None:
    assert fact in unsupported(text, SOURCES)


def test_names_of_the_question_are_known_but_its_numbers_are_not() -> None:
    question = "I'm Maria. Can I return it after 60 days?"
    assert unsupported("Hello Maria, within 30 days.", Sources.of(SOURCE, question)) == []
    assert unsupported("Yes, you can return it after 60 days.", Sources.of(SOURCE, question)) == ["60"]


def test_a_language_that_writes_all_nouns_large_is_checked_by_numbers_only() -> None:
    source = "Sie können den Artikel innerhalb von 30 Tagen ohne Angabe von Gründen im Laden zurückgeben."
    assert unsupported("Die Rückgabe im Geschäft geht 30 Tage lang.", Sources.of(source)) == []
    assert unsupported("Die Rückgabe geht 40 Tage lang.", Sources.of(source)) == ["40"]


def test_the_beginning_of_a_draft_ends_before_the_first_made_up_fact() -> None:
    draft = "You can return any item within 90 days of purchase, of cour"
    assert supported_beginning(draft, SOURCES) == "You can return any item within"


def test_the_last_word_of_a_draft_may_still_grow() -> None:
    assert supported_beginning("You can return any item within 3", SOURCES).endswith("within")
    assert supported_beginning("You", SOURCES) == ""


def test_marks_are_left_out() -> None:
    assert without_marks("Within 30 days [1]. See [2][3].") == "Within 30 days. See."


@given(st.text(max_size=300))
def test_a_source_supports_itself_whatever_it_is(text: str) -> None:
    assert unsupported(text, Sources.of(text)) == []


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_beginning_is_a_beginning(text: str, source: str) -> None:
    beginning = supported_beginning(text, Sources.of(source))
    assert text.startswith(beginning)
    assert unsupported(beginning, Sources.of(source)) == []
