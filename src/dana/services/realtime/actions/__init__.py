"""The verbs of real-time: follow an organization, join and leave with a socket, replay what was missed."""

from dana.services.realtime.actions.hub import Hub
from dana.services.realtime.actions.presence import Presence

__all__ = ["Hub", "Presence"]
