"""Who is there: between the hub, which knows this node's sockets, and what all nodes know together."""

from dana.platform.fanout import Fanout
from dana.platform.valkey import Valkey
from dana.services.realtime.actions.feed import Feed
from dana.services.realtime.models import Channel, Client


class Presence:
    """Is told of everybody who comes, goes, looks at something or turns away; never waits in these calls.

    To tell the sockets of a channel something: `feed.tell(channel, frame)`.
    """

    def __init__(self, valkey: Valkey, fanout: Fanout) -> None:
        self._valkey = valkey
        self._fanout = fanout

    async def start(self) -> None:
        """Begin to give signs of life."""

    async def stop(self) -> None:
        """Give no more, and take back what this node has said."""

    def arrive(self, feed: Feed, client: Client) -> None:
        """Note that a client follows its channels (`client.channels`) from now on; its `hello` has left."""

    def follow(self, feed: Feed, client: Client, channel: Channel) -> None:
        """Note that it follows one more; its `subscribed` has left."""

    def unfollow(self, feed: Feed, client: Client, channel: Channel) -> None:
        """Note that it follows one less."""

    def state(self, feed: Feed, client: Client, *, is_away: bool) -> None:
        """Note that the person has turned away from the screen, or is back."""

    def leave(self, feed: Feed, client: Client) -> None:
        """Note that it is gone; only for who had arrived."""

    def changed(self, feed: Feed, channel: str) -> None:
        """Note that some node has changed who is in a channel."""

    def gap(self, feed: Feed) -> None:
        """Note that changes may have been missed, and that Valkey may have forgotten everything."""
