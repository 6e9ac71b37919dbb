"""The rules of the assistant's settings."""

import msgspec
import pytest

from dana.platform.errors import Invalid
from dana.services.ai.models.assistant import Assistant, Provider, ProviderKind, checked, masked

KEY = "sk-0123456789abcdefghij"
STORED = Assistant(
    provider=Provider(
        kind=ProviderKind.OPENAI, base_url="https://models.example/v1", model="small", api_key=KEY
    )
)


def with_provider(**changes: object) -> Assistant:
    return msgspec.structs.replace(STORED, provider=msgspec.structs.replace(STORED.provider, **changes))


@pytest.mark.parametrize("sent", ["", masked(KEY)])
def test_a_masked_or_missing_key_stays(sent: str) -> None:
    change = with_provider(api_key=sent, model="large", base_url="https://models.example/v2")
    assert checked(change, present=STORED).provider.api_key == KEY


def test_a_key_is_never_sent_to_another_address() -> None:
    change = with_provider(api_key=masked(KEY), base_url="https://evil.example/v1")
    with pytest.raises(Invalid, match="enter its API key again"):
        checked(change, present=STORED)


def test_a_new_key_replaces_the_old() -> None:
    change = with_provider(api_key="other", base_url="https://elsewhere.example/v1")
    assert checked(change, present=STORED).provider.api_key == "other"


def test_going_back_to_quotes_keeps_the_server_for_later() -> None:
    change = with_provider(kind=ProviderKind.EXTRACTIVE, api_key=masked(KEY))
    assert checked(change, present=STORED).provider.api_key == KEY


def test_a_mask_without_a_stored_key_is_no_key() -> None:
    assert checked(with_provider(api_key=masked(KEY)), present=Assistant()).provider.api_key == ""


@pytest.mark.parametrize(
    "change",
    [
        with_provider(base_url="ftp://models.example"),
        with_provider(base_url="models.example/v1"),
        with_provider(base_url="https://user:secret@models.example/v1", api_key="k"),
        with_provider(base_url="https://models.example/v1?key=1"),
        with_provider(base_url="http://[::1", api_key="k"),
        with_provider(base_url="http://models.example:99999/v1", api_key="k"),
        with_provider(model=" "),
        with_provider(api_key="schlüssel"),
        with_provider(api_key="two\nlines"),
        Assistant(name=" "),
        Assistant(name="x" * 61),
        Assistant(name="a\nb"),
        Assistant(tone="x" * 301),
        Assistant(tone="a\0b"),
        Assistant(threshold=1.5),
        Assistant(threshold=float("nan")),
        Assistant(hand_over_text=""),
        Assistant(language="x" * 61),
    ],
)
def test_what_is_refused(change: Assistant) -> None:
    with pytest.raises(Invalid):
        checked(change, present=STORED)


def test_a_key_is_shown_by_its_end_only() -> None:
    assert masked(KEY) == "••••ghij"
    assert masked("short") == "••••"
    assert masked("") == ""


def test_a_key_is_in_no_representation() -> None:
    assert KEY not in repr(STORED)
