"""The wiring of auth."""

from dana.platform.service import Platform, Service
from dana.services.auth.actions.desk import Desk
from dana.services.auth.adapters import Passwords, TokenKey
from dana.services.auth.api import routers
from dana.services.auth.jobs import jobs


def build(platform: Platform) -> Service:
    """Build the service."""
    secrets = platform.settings.secrets
    passwords = Passwords()
    desk = Desk(
        shards=platform.shards,
        passwords=passwords,
        refresh_tokens=TokenKey(secrets.derive("auth refresh tokens")),
        invitation_tokens=TokenKey(secrets.derive("auth invitation tokens")),
        attempt_key=secrets.derive("auth attempts"),
    )

    async def stop() -> None:
        passwords.close()

    return Service(
        name="auth",
        routers=routers(desk, platform.keys, platform.settings.public_url),
        jobs=jobs(platform.shards),
        stop=stop,
    )
