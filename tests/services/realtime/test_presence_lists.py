"""Lists of who is there, put together from what nodes say."""

import json
from itertools import permutations

from dana.services.realtime.models import MAX_PEOPLE, People, add_people, presence


def entry(state: str, name: str = "Ana") -> bytes:
    return json.dumps({"kind": "member", "name": name, "state": state}).encode()


def test_who_is_online_at_any_node_is_online_whoever_says_it_first() -> None:
    for said in permutations(["away", "online", "away"]):
        people: People = {}
        for state in said:
            add_people(people, {"1": entry(state), "2": entry("away", "Ben"), "3": b"of another version"})
        frame = json.loads(presence("organization", people))
        assert [(person["id"], person["state"]) for person in frame["people"]] == [
            ("1", "online"),
            ("2", "away"),
        ]
        assert "count" not in frame


def test_a_list_ends_and_says_how_many_there_are() -> None:
    people: People = {}
    add_people(people, {str(number): entry("away", f"{number:04}") for number in range(MAX_PEOPLE + 5)})
    add_people(people, {"x": entry("online", "z")})
    frame = json.loads(presence("organization", people))
    assert (len(frame["people"]), frame["count"]) == (MAX_PEOPLE, MAX_PEOPLE + 6)
    assert frame["people"][0]["id"] == "x", "whoever is online comes first"
