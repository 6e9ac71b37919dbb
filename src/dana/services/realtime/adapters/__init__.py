"""What carries sockets: two transports and a stream, behind the `Socket` and `Arrivals` of this service."""

from dana.services.realtime.adapters.picows import PicowsServer
from dana.services.realtime.adapters.sockets import Arrivals, SocketServer
from dana.services.realtime.adapters.websockets import WebsocketsServer

__all__ = ["TRANSPORTS", "Arrivals", "SocketServer"]

TRANSPORTS: dict[str, type[PicowsServer] | type[WebsocketsServer]] = {
    "picows": PicowsServer,
    "websockets": WebsocketsServer,
}
