"""Reading and changing the settings of an organization's assistant."""

import msgspec

from dana.platform.database import Tx
from dana.platform.secrets import Secrets
from dana.services.ai import store
from dana.services.ai.models.assistant import Assistant, checked, masked

KEY_PURPOSE = "api key of a model server"


async def assistant_of(tx: Tx, secrets: Secrets) -> Assistant:
    """Return the settings with the key in clear, for use inside the service."""
    assistant, sealed = await store.read_assistant(tx)
    if sealed is None:
        return assistant
    provider = msgspec.structs.replace(assistant.provider, api_key=secrets.open(KEY_PURPOSE, sealed))
    return msgspec.structs.replace(assistant, provider=provider)


async def change_assistant(tx: Tx, secrets: Secrets, change: Assistant) -> Assistant:
    """Store new settings; returns them as others may see them. Raises Invalid."""
    assistant = checked(change, present=await assistant_of(tx, secrets))
    key = assistant.provider.api_key
    await store.write_assistant(tx, assistant, secrets.seal(KEY_PURPOSE, key) if key else None)
    return shown(assistant)


def shown(assistant: Assistant) -> Assistant:
    """Mask the key."""
    provider = msgspec.structs.replace(assistant.provider, api_key=masked(assistant.provider.api_key))
    return msgspec.structs.replace(assistant, provider=provider)
