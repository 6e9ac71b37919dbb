"""Service tokens: only this installation's, only for the service named, only for some seconds."""

import time
from pathlib import Path

import pytest

from dana.platform.errors import Unauthenticated
from dana.platform.questions.tokens import CLOCK_LEEWAY_SECONDS, LIFE_SECONDS, ServiceTokens
from dana.platform.secrets import Secrets


@pytest.fixture
def tokens(tmp_path: Path) -> ServiceTokens:
    return ServiceTokens(Secrets.load(tmp_path / "secrets"))


def test_a_token_tells_who_asks(tokens: ServiceTokens) -> None:
    assert tokens.verify(tokens.make("ai", "knowledge"), "knowledge") == "ai"


def test_it_is_for_one_service(tokens: ServiceTokens) -> None:
    with pytest.raises(Unauthenticated):
        tokens.verify(tokens.make("ai", "knowledge"), "auth")


def test_it_ends_after_some_seconds(tmp_path: Path) -> None:
    secrets = Secrets.load(tmp_path / "secrets")
    now = time.time()
    token = ServiceTokens(secrets, clock=lambda: now).make("ai", "knowledge")
    at_the_end = ServiceTokens(secrets, clock=lambda: now + LIFE_SECONDS)
    assert at_the_end.verify(token, "knowledge") == "ai"
    later = ServiceTokens(secrets, clock=lambda: now + LIFE_SECONDS + CLOCK_LEEWAY_SECONDS + 1)
    with pytest.raises(Unauthenticated):
        later.verify(token, "knowledge")


def test_another_installations_token_is_none(tokens: ServiceTokens, tmp_path: Path) -> None:
    strange = ServiceTokens(Secrets.load(tmp_path / "elsewhere"))
    with pytest.raises(Unauthenticated):
        tokens.verify(strange.make("ai", "knowledge"), "knowledge")


@pytest.mark.parametrize("change", ["", ".", "x", "é.é", "a" * 10_000])
def test_what_is_no_token_is_refused(tokens: ServiceTokens, change: str) -> None:
    with pytest.raises(Unauthenticated):
        tokens.verify(change, "knowledge")


def test_every_changed_character_is_noticed(tokens: ServiceTokens) -> None:
    token = tokens.make("ai", "knowledge")
    for place, character in enumerate(token[:-1]):  # the last one's low bits carry nothing
        changed = token[:place] + ("A" if character != "A" else "B") + token[place + 1 :]
        with pytest.raises(Unauthenticated):
            tokens.verify(changed, "knowledge")
