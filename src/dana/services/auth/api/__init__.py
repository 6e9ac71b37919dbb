"""HTTP in: sessions, members and invitations."""

from litestar import Router
from litestar.di import Provide

from dana.platform.identity import Keys
from dana.services.auth.actions.desk import Desk
from dana.services.auth.api.entrance import Entrance
from dana.services.auth.api.members import member_routers
from dana.services.auth.api.sessions import session_routers


def routers(desk: Desk, keys: Keys, public_url: str) -> list[Router]:
    """Make the routers of auth."""
    entrance = Entrance(desk, keys, public_url)
    dependencies = {"entrance": Provide(lambda: entrance, sync_to_thread=False)}
    return [*session_routers(dependencies), *member_routers(dependencies)]


__all__ = ["routers"]
