"""A simulator of a model server: it speaks OpenAI's protocol truly, and can misbehave in every way we know.

How it behaves is said by the model's name, so that the settings page alone can choose it:
`dana-sim` answers well, `dana-sim:stall` stops in the middle, and so on (see behaviours.py).
"""

from loadtest.provider.server import Simulator, running

__all__ = ["Simulator", "running"]
