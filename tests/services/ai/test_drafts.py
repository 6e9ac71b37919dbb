"""Reading a model's structured answer, whole and in the making."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dana.contracts.views import Action
from dana.services.ai.models.drafts import UnreadableDecisionError, read_decision, read_draft


def test_a_whole_answer() -> None:
    decision = read_decision('```json\n{"action": "reply", "sources": [1, 2], "text": "Yes."}\n```')
    assert (decision.action, decision.sources, decision.text) == (Action.REPLY, (1, 2), "Yes.")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "Sure, here is the answer.",
        '{"action": "dance", "sources": [], "text": "x"}',
        '{"action": "reply", "text": "x"}',
        '{"action": "reply", "sources": [1], "text": "  "}',
        '{"action": "reply", "sources": [1], "text": "cut',
        '{"action": "reply", "sources": ["one"], "text": "x"}',
        json.dumps({"action": "reply", "sources": [1], "text": "x" * 5000}),
        "[]",
        "null",
    ],
)
def test_what_is_no_answer(content: str) -> None:
    with pytest.raises(UnreadableDecisionError):
        read_decision(content)


@given(st.text(max_size=120), st.integers(min_value=0, max_value=400), st.booleans())
def test_every_beginning_reads_as_a_beginning(text: str, cut: int, is_ascii: bool) -> None:
    content = json.dumps({"action": "clarify", "sources": [2], "text": text}, ensure_ascii=is_ascii)
    draft = read_draft(content[:cut])
    if draft is not None:
        assert draft.action is Action.CLARIFY
        assert draft.sources == (2,)
        is_half_a_pair = draft.text and 0xD800 <= ord(draft.text[-1]) < 0xDC00
        assert text.startswith(draft.text[:-1] if is_half_a_pair else draft.text)
    assert read_draft(content) is not None


def test_a_draft_begins_when_its_text_does() -> None:
    assert read_draft('{"action": "reply", "sources": [1]') is None
    draft = read_draft('{"action": "reply", "sources": [1], "text": "Yes \\"it\\" is \\u00')
    assert draft is not None
    assert draft.text == 'Yes "it" is '
