"""All SQL of the assistant. The organization comes from the transaction."""

from collections.abc import Sequence

from dana.contracts.ids import ConversationId, new_id
from dana.platform.database import Tx
from dana.services.ai.models.assistant import Assistant, Provider, ProviderKind

_RAISE_FENCE = """
insert into ai.turns (id, fence_cursor) values ($1, $2)
on conflict (org_id, id) do update set fence_cursor = greatest(turns.fence_cursor, excluded.fence_cursor)
returning fence_cursor = $2 and answered_cursor < $2"""

_FINISH_TURN = """
update ai.turns set answered_cursor = $2
 where id = $1 and fence_cursor = $2 and answered_cursor < $2
returning true"""

_READ_ASSISTANT = """
select name, language, tone, threshold, hand_over_text, provider_kind, base_url, model, sealed_key
  from ai.assistants"""

_WRITE_ASSISTANT = """
insert into ai.assistants
  (id, name, language, tone, threshold, hand_over_text, provider_kind, base_url, model, sealed_key)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (org_id) do update
   set name = excluded.name, language = excluded.language, tone = excluded.tone,
       threshold = excluded.threshold, hand_over_text = excluded.hand_over_text,
       provider_kind = excluded.provider_kind, base_url = excluded.base_url, model = excluded.model,
       sealed_key = excluded.sealed_key, updated_at = now()"""


async def raise_fence(tx: Tx, conversation_id: ConversationId, cursor: int) -> bool:
    """Let the event at this cursor settle who may answer; false if a newer one has, or it is answered."""
    return bool(await tx.fetchval(_RAISE_FENCE, conversation_id, cursor))


async def finish_turn(tx: Tx, conversation_id: ConversationId, cursor: int) -> bool:
    """Mark the request at this cursor as answered; false if it no longer may be."""
    return bool(await tx.fetchval(_FINISH_TURN, conversation_id, cursor))


async def read_fence(tx: Tx, conversation_id: ConversationId) -> int:
    """Return the cursor of the newest event that settled who may answer; 0 before the first."""
    return int(await tx.fetchval("select fence_cursor from ai.turns where id = $1", conversation_id) or 0)


async def forget_turns(tx: Tx, conversation_ids: Sequence[ConversationId]) -> None:
    """Forget who may answer in conversations that are gone."""
    await tx.execute("delete from ai.turns where id = any ($1::uuid[])", conversation_ids)


async def read_assistant(tx: Tx) -> tuple[Assistant, bytes | None]:
    """Return the settings, without the key, and the sealed key; the defaults where none are stored."""
    row = await tx.fetchrow(_READ_ASSISTANT)
    if row is None:
        return Assistant(), None
    provider = Provider(kind=ProviderKind(row["provider_kind"]), base_url=row["base_url"], model=row["model"])
    assistant = Assistant(
        name=row["name"],
        language=row["language"],
        tone=row["tone"],
        threshold=row["threshold"],
        hand_over_text=row["hand_over_text"],
        provider=provider,
    )
    return assistant, row["sealed_key"]


async def write_assistant(tx: Tx, assistant: Assistant, sealed_key: bytes | None) -> None:
    """Store the settings and the sealed key."""
    provider = assistant.provider
    words = [getattr(assistant, name) for name in ("name", "language", "tone", "threshold", "hand_over_text")]
    await tx.execute(
        _WRITE_ASSISTANT, new_id(), *words, provider.kind.value, provider.base_url, provider.model, sealed_key
    )
