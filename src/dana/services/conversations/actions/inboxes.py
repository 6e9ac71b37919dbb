"""Opening and changing inboxes."""

import secrets

from dana.contracts.events import InboxChanged, InboxCreated
from dana.contracts.ids import InboxId
from dana.contracts.views import InboxView
from dana.platform.database import Tx
from dana.services.conversations import store
from dana.services.conversations.models import checks

PUBLIC_KEY_BYTES = 15  # 120 bits: a public key can't be guessed, and is short enough to paste


def new_public_key() -> str:
    """Make the key by which a web page names its inbox."""
    return f"inbox_{secrets.token_urlsafe(PUBLIC_KEY_BYTES)}"


async def create_inbox(
    tx: Tx, inbox_id: InboxId, public_key: str, name: str, greeting: str, *, is_assistant_enabled: bool
) -> InboxView:
    """Open a web-widget inbox under a key whose route has been published."""
    inbox = InboxView(
        id=inbox_id,
        name=checks.checked_name(name, "The inbox's name"),
        channel="web_widget",
        public_key=public_key,
        greeting=checks.checked_greeting(greeting),
        is_assistant_enabled=is_assistant_enabled,
        created_at=tx.now,
    )
    await store.add_inbox(tx, inbox)
    tx.emit(InboxCreated(inbox=inbox))
    return inbox


async def change_inbox(
    tx: Tx, inbox_id: InboxId, *, name: str | None, greeting: str | None, is_assistant_enabled: bool | None
) -> InboxView:
    """Change an inbox's settings; None leaves one as it is."""
    before = await store.lock_inbox(tx, inbox_id)
    inbox = InboxView(
        id=before.id,
        name=before.name if name is None else checks.checked_name(name, "The inbox's name"),
        channel=before.channel,
        public_key=before.public_key,
        greeting=before.greeting if greeting is None else checks.checked_greeting(greeting),
        is_assistant_enabled=(
            before.is_assistant_enabled if is_assistant_enabled is None else is_assistant_enabled
        ),
        created_at=before.created_at,
    )
    if inbox != before:
        await store.save_inbox(tx, inbox)
        tx.emit(InboxChanged(inbox=inbox))
    return inbox


async def find_inbox(tx: Tx, inbox_id: InboxId) -> InboxView:
    """Read an inbox; raises Missing."""
    return await store.inbox(tx, inbox_id)


async def list_inboxes(tx: Tx, after: InboxId | None, limit: int) -> list[InboxView]:
    """List inboxes, oldest first."""
    return await store.inboxes(tx, after, limit)
