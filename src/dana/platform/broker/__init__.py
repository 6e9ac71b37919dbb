"""RabbitMQ, where an installation has one: it wakes workers and lets others read along; PostgreSQL decides.

    deliveries of group `relay` ──relay──► exchange `dana.events` ─┬─► streams `dana.stream.<partition>`
                                           (confirmed, in order)   └─► queues `dana.jobs.<group>.<lane>`

Nothing that was acknowledged depends on it: while it is away lanes look by themselves, and the relay's
deliveries wait in PostgreSQL. This folder alone knows the client library.
"""

from dana.platform.broker.binding import RabbitBinding, binding_of, upkeep_of
from dana.platform.broker.connection import Connection
from dana.platform.broker.following import follow
from dana.platform.broker.streams import StreamedEvent, tail

__all__ = ["Connection", "RabbitBinding", "StreamedEvent", "binding_of", "follow", "tail", "upkeep_of"]
