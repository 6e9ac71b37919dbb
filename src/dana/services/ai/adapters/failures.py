"""How a model server can fail us."""


class ModelFailure(Exception):  # noqa: N818 - an expected failure, told as it is
    """No answer came of it. `has_started` says whether some of its words were already shown."""

    def __init__(self, reason: str, *, has_started: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.has_started = has_started


class PassingFailure(ModelFailure):
    """Nothing was written yet, and the next try may succeed, perhaps only after a pause."""

    def __init__(self, reason: str, *, after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds
