"""HTTP in: inboxes and conversations for members, the widget for visitors, and everybody's long jobs.

Long jobs are listed and cancelled here whichever service does them: the rows are the same for all.
"""

from litestar import Router
from litestar.di import Provide

from dana.platform.http import longjobs
from dana.platform.identity import Keys
from dana.platform.shards import Shards
from dana.services.conversations.actions.presenting import Presenting
from dana.services.conversations.api import conversations, inboxes, widget
from dana.services.conversations.api.parameters import Booth, Customer, Desk, Entrance, SignedIn


def routers(shards: Shards, keys: Keys, presenting: Presenting) -> list[Router]:
    """Build the routes of this service."""

    def desk(member: SignedIn) -> Desk:
        return Desk(member, shards)

    def booth(visitor: Customer) -> Booth:
        return Booth(visitor, shards)

    def entrance() -> Entrance:
        return Entrance(shards, keys, presenting)

    dependencies = {
        provider.__name__: Provide(provider, sync_to_thread=False) for provider in (desk, booth, entrance)
    }
    own = [
        Router(f"/api/v1/{name}", route_handlers=module.ROUTES, dependencies=dependencies, tags=[name])
        for name, module in (("inboxes", inboxes), ("conversations", conversations), ("widget", widget))
    ]
    return [*own, longjobs.router(shards)]
