"""The judge of plans notices what it is there for."""

from typing import Any

import pytest

from tests.plans.judging import Explained, faults

Node = dict[str, Any]
MESSAGES: Node = {"Relation Name": "messages"}


def node(kind: str, rows: float, more: Node | None = None, *below: Node, loops: int = 1) -> Node:
    return {
        "Node Type": kind,
        "Actual Rows": rows,
        "Actual Loops": loops,
        "Plans": list(below),
        **(more or {}),
    }


@pytest.mark.parametrize(
    "plan",
    [
        node("Seq Scan", 3, MESSAGES),
        node("Seq Scan", 0, MESSAGES | {"Rows Removed by Filter": 9}),
        node("Limit", 1, None, node("Seq Scan", 3, MESSAGES)),
        node("Index Scan", 20, MESSAGES | {"Rows Removed by Filter": 900}),
        node("Index Scan", 20, MESSAGES, loops=60),
        node("Bitmap Index Scan", 4_000, {"Index Name": "messages_pkey"}),
        node("Bitmap Index Scan", 300_000, {"Index Name": "messages_search"}),
        node("Sort", 10, None, node("Index Scan", 150, MESSAGES)),
        node("Incremental Sort", 10, None, node("Index Scan", 150, MESSAGES)),
        node("Hash Join", 1, None, node("Hash", 600, None, node("Function Scan", 600))),
        node("Aggregate", 1, None, node("Function Scan", 600)),
    ],
)
def test_a_walk_a_sort_and_a_heap_are_noticed(plan: Node) -> None:
    assert list(faults(Explained("", plan)))


@pytest.mark.parametrize(
    "plan",
    [
        node("Seq Scan", 8, {"Relation Name": "subscriptions"}),
        node("Seq Scan", 0, MESSAGES),
        node("Index Scan", 101, MESSAGES),
        node("Index Scan", 1, MESSAGES, loops=101),
        node("Sort", 50, None, node("Index Scan", 101, MESSAGES)),
        node("Bitmap Index Scan", 4_000, {"Index Name": "messages_search"}),
        node("Index Scan", 0, MESSAGES, loops=0),
    ],
)
def test_a_page_from_an_index_is_fine(plan: Node) -> None:
    assert list(faults(Explained("", plan))) == []
