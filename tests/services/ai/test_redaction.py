"""Personal details a model server never gets to read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dana.services.ai.models.redaction import Redaction, is_card, is_iban


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("write to ana.b+x@mail.example.org now", "write to [email 1] now"),
        ("call +49 30 1234567 or (030) 123-4567", "call [phone 1] or [phone 2]"),
        ("my card is 4111 1111 1111 1111.", "my card is [card 1]."),
        ("card 4111111111111111", "card [card 1]"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN [iban 1] please"),
        ("DE89370400440532013000", "[iban 1]"),
        (
            "a@b.example and again a@b.example, then c@b.example",
            "[email 1] and again [email 1], then [email 2]",
        ),
        ("phone 0171-5551234", "phone [phone 1]"),
    ],
)
def test_details_are_hidden(text: str, hidden: str) -> None:
    redaction = Redaction()
    assert redaction.hide(text) == hidden
    assert redaction.show(hidden) == text


@pytest.mark.parametrize(
    "text",
    [
        "order 4711234567 of 2026-11-23",
        "it costs 1,299.00 and weighs 2.5 kg",
        "within 30 days, from 9 to 17",
        "reference 4111111111111112",
        "on 23.11.2026 at 10:30:15",
        "version 18.4.2 of build 20261123",
        "see https://shop.example/orders/12345678",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert Redaction().hide(text) == text


def test_check_digits() -> None:
    assert is_card("4242 4242 4242 4242")
    assert not is_card("4242 4242 4242 4241")
    assert not is_card("0000 0000 0000 0000")
    assert is_iban("GB82 WEST 1234 5698 7654 32")
    assert not is_iban("GB82 WEST 1234 5698 7654 33")


@given(st.text(max_size=300))
def test_what_was_hidden_comes_back(text: str) -> None:
    redaction = Redaction()
    if "[" not in text:
        assert redaction.show(redaction.hide(text)) == text
