"""What carries sockets: a transport behind the `Socket` and `Arrivals` of this service."""

from dana.services.realtime.adapters.picows import Arrivals, SocketServer

__all__ = ["Arrivals", "SocketServer"]
