"""Retention: ended sessions, invitations and attempts are kept for a while, then deleted."""

from dana.platform.database import CatalogTx
from dana.services.auth import store

KEPT_DAYS = 30


async def delete_ended(tx: CatalogTx) -> None:
    """Delete what ended long ago."""
    await store.access.sweep(tx, KEPT_DAYS)
