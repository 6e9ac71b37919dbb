"""The judge of plans notices what it is there for."""

from typing import Any

import pytest

from tests.plans.judging import Explained, faults


def node(kind: str, rows: float = 1, loops: int = 1, *below: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Node Type": kind, "Actual Rows": rows, "Actual Loops": loops, "Plans": list(below), **more}


MESSAGES = {"Relation Name": "messages"}


@pytest.mark.parametrize(
    "plan",
    [
        node("Seq Scan", 3, **MESSAGES),
        node("Seq Scan", 0, **MESSAGES, **{"Rows Removed by Filter": 9}),
        node("Limit", 1, 1, node("Seq Scan", 3, **MESSAGES)),
        node("Index Scan", 20, **MESSAGES, **{"Rows Removed by Filter": 900}),
        node("Index Scan", 20, 60, **MESSAGES),
        node("Bitmap Index Scan", 4_000, **{"Index Name": "messages_pkey"}),
        node("Bitmap Index Scan", 300_000, **{"Index Name": "messages_search"}),
        node("Sort", 10, 1, node("Index Scan", 150, **MESSAGES)),
        node("Incremental Sort", 10, 1, node("Index Scan", 150, **MESSAGES)),
        node("Hash Join", 1, 1, node("Hash", 600, 1, node("Function Scan", 600))),
        node("Aggregate", 1, 1, node("Function Scan", 600)),
    ],
)
def test_a_walk_a_sort_and_a_heap_are_noticed(plan: dict[str, Any]) -> None:
    assert list(faults(Explained("", plan)))


@pytest.mark.parametrize(
    "plan",
    [
        node("Seq Scan", 8, **{"Relation Name": "subscriptions"}),
        node("Seq Scan", 0, **MESSAGES),
        node("Index Scan", 101, **MESSAGES),
        node("Index Scan", 1, 101, **MESSAGES),
        node("Sort", 50, 1, node("Index Scan", 101, **MESSAGES)),
        node("Bitmap Index Scan", 4_000, **{"Index Name": "messages_search"}),
        node("Index Scan", 0, 0, **MESSAGES),
    ],
)
def test_a_page_from_an_index_is_fine(plan: dict[str, Any]) -> None:
    assert list(faults(Explained("", plan))) == []
