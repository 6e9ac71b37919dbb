"""Who runs the platform. Granted on the command line only: who has a shell there could do anything anyway."""

from dana.contracts.views import PlatformRole
from dana.platform.database import CatalogTx
from dana.platform.errors import Missing
from dana.services.auth import store
from dana.services.auth.models import clean_email


async def grant(tx: CatalogTx, email: str, role: PlatformRole) -> None:
    """Give a person a role on the platform; it stands in their next access token. Raises Invalid, Missing."""
    await _change(tx, email, role)


async def revoke(tx: CatalogTx, email: str) -> None:
    """Take the role away; access tokens already given out end within ten minutes. Raises Invalid, Missing."""
    await _change(tx, email, None)


async def granted(tx: CatalogTx) -> list[tuple[str, PlatformRole]]:
    """Read who has which role."""
    return await store.people.platform_roles(tx)


async def _change(tx: CatalogTx, email: str, role: PlatformRole | None) -> None:
    if not await store.people.grant_platform_role(tx, clean_email(email), role):
        raise Missing(f"Nobody has signed up as {email}. They sign up first, then you grant the role.")
