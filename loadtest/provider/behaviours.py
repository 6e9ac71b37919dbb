"""The ways in which a model server behaves, by the part of the model's name after the colon."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One way to answer; all zero means well."""

    about: str
    refusals: int = 0
    """How many requests are refused before one is answered; -1 means all."""
    refusal_status: int = 0
    retry_after_seconds: str = ""
    silent_seconds: float = 0.0
    """How long nothing comes, not even a header."""
    stall_seconds: float = 0.0
    """How long nothing comes in the middle of an answer."""
    slowness: float = 1.0
    """Factor on the pause between two pieces."""
    is_broken: bool = False
    is_cut: bool = False
    is_whole: bool = False
    is_prose: bool = False
    is_error_in_stream: bool = False
    has_schema: bool = True
    finish_reason: str = "stop"
    invents: str = ""
    """What it makes up: a "number", a "name" or an "address"."""


FOREVER = 600.0

BEHAVIOURS = {
    "": Behaviour("answers well"),
    "slow": Behaviour("writes slowly", slowness=8),
    "silent": Behaviour("accepts the request and says nothing", silent_seconds=FOREVER),
    "stall": Behaviour("stops in the middle and keeps the connection", stall_seconds=FOREVER),
    "busy": Behaviour("always answers 429", refusals=-1, refusal_status=429, retry_after_seconds="30"),
    "busy-twice": Behaviour(
        "answers 429 twice, then well", refusals=2, refusal_status=429, retry_after_seconds="0.1"
    ),
    "failing": Behaviour("always answers 500", refusals=-1, refusal_status=500),
    "failing-once": Behaviour("answers 503 once, then well", refusals=1, refusal_status=503),
    "broken": Behaviour("sends JSON that isn't, in the middle", is_broken=True),
    "error": Behaviour("reports an error in the middle of the stream", is_error_in_stream=True),
    "cut": Behaviour("closes the stream in the middle", is_cut=True),
    "lengthy": Behaviour("reaches its token limit", finish_reason="length"),
    "prose": Behaviour("writes prose instead of the structure asked for", is_prose=True),
    "no-schema": Behaviour("refuses response_format with 400", has_schema=False),
    "whole": Behaviour("ignores `stream` and answers in one piece", is_whole=True),
    "wrong-number": Behaviour("changes a number of the passage", invents="number"),
    "wrong-name": Behaviour("adds a name that no passage has", invents="name"),
    "wrong-address": Behaviour("adds a web address that no passage has", invents="address"),
}
