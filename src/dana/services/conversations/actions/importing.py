"""Importing conversations, as a long job: a hundred lines at a time; a bad line stops no other.

What was imported before, by the external ids of its lines, is left as it is: one file twice is one import.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from dana.contracts.events import ConversationsJobAdvanced, ConversationStarted
from dana.contracts.ids import ContactId, ConversationId, InboxId, MessageId, new_id
from dana.contracts.views import ContactView, ConversationView, LongJobView, MessageView
from dana.platform.database import Tx
from dana.platform.errors import Invalid
from dana.platform.longjobs import Advance, JobProblem, Kind, LongJob, Request, request
from dana.services.conversations import store
from dana.services.conversations.models import checks, files, transfer
from dana.services.conversations.models.acts import Change
from dana.services.conversations.models.bulk import Import, Part
from dana.services.conversations.models.transfer import ConversationLine, Line, MessageLine

MAX_FILE_BYTES = 25 * 1024 * 1024
MAX_NAME_CHARACTERS = 200


def cut_file(content: bytes) -> tuple[str, list[Part]]:
    """Check a file, and cut it into parts; takes a second for the largest. Raises Invalid."""
    if len(content) > MAX_FILE_BYTES:
        raise Invalid(
            f"The file is larger than {MAX_FILE_BYTES // 2**20} MB; pack it with gzip, or split it.",
            field="file",
        )
    parts = files.cut(content)
    if not parts:
        raise Invalid("The file is empty.", field="file")
    return hashlib.sha256(content).hexdigest(), parts


async def request_import(
    tx: Tx, inbox_id: InboxId, filename: str, cut: tuple[str, list[Part]], key: str | None
) -> tuple[LongJobView, bool]:
    """Ask for a file's conversations to be taken into an inbox; raises Missing when there is none."""
    inbox = await store.inbox(tx, inbox_id)
    sha256, parts = cut
    asked = Import(
        inbox_id=inbox.id, sha256=sha256, parts=len(parts), lines=sum(part.lines for part in parts)
    )
    about = f"{_shown(filename)} into “{inbox.name}”"
    job, is_repeat = await request(
        tx, ConversationsJobAdvanced, Request("import_conversations", about, asked, key)
    )
    if not is_repeat:
        await store.add_parts(tx, job.id, parts)
    return job, is_repeat


async def _import_some(tx: Tx, job: LongJob, _: Any) -> Advance:
    asked = msgspec.convert(job.arguments, Import)
    number = int(job.resume or 0)
    part = await store.part(tx, job.view.id, number)
    if part is None:
        raise LookupError(f"part {number} of a file is gone")
    arrival = _Arrival(asked.inbox_id)
    await arrival.take_in(tx, files.unpacked(part))
    await store.delete_part(tx, job.view.id, number)
    return Advance(
        more=part.lines,
        total=asked.lines,
        resume=number + 1,
        is_finished=number + 1 == asked.parts,
        problems=arrival.problems,
    )


@dataclass(slots=True)
class _Arrival:
    """Some lines on their way in."""

    inbox_id: InboxId
    problems: list[JobProblem] = field(default_factory=list)
    conversations: dict[str, ConversationId] = field(default_factory=dict)
    """By their external ids: those that were there before, and those that have just come."""
    changes: dict[ConversationId, Change] = field(default_factory=dict)
    keys: dict[ConversationId, dict[int, str]] = field(default_factory=dict)
    """By their sequence numbers: the keys under which messages are known again."""
    known: set[tuple[ConversationId, str]] = field(default_factory=set)
    taken: set[MessageId] = field(default_factory=set)

    async def take_in(self, tx: Tx, numbered: list[tuple[int, bytes]]) -> None:
        """Write what is new; note what can't be written."""
        good = self._read(tx, numbered)
        await self._look_up(tx, [line for _, line in good])
        for number, line in good:
            try:
                if isinstance(line, ConversationLine):
                    await self._start(tx, line)
                else:
                    await self._append(tx, line)
            except Invalid as problem:
                self.problems.append(JobProblem(number=number, reason=problem.detail))
        for conversation_id, change in self.changes.items():
            if change.events:
                await store.save(tx, change, imported_as=self.keys[conversation_id])
            for event in change.events:
                tx.emit(event)
        self.problems.sort(key=lambda problem: problem.number)

    def _read(self, tx: Tx, numbered: list[tuple[int, bytes]]) -> list[tuple[int, Line]]:
        good: list[tuple[int, Line]] = []
        for number, raw in numbered:
            if not raw.strip():
                continue
            try:
                files.check_length(raw)
                good.append((number, transfer.parsed(raw, tx.now)))
            except Invalid as problem:
                self.problems.append(JobProblem(number=number, reason=problem.detail))
        return good

    async def _look_up(self, tx: Tx, lines: list[Line]) -> None:
        messages = [line for line in lines if isinstance(line, MessageLine)]
        wanted = {line.external_id for line in lines if isinstance(line, ConversationLine)}
        wanted |= {line.conversation_external_id for line in messages}
        keys = {transfer.start_key(external_id): external_id for external_id in wanted}
        keyed, own = await store.imported_conversations(tx, self.inbox_id, list(keys), _uuids(wanted))
        self.conversations = {keys[key]: found for key, found in keyed.items()}
        self.conversations |= {name: ConversationId(UUID(name)) for name in wanted if _uuid(name) in own}
        ids = {line.external_id for line in messages}
        self.known, self.taken = await store.imported_messages(
            tx,
            list(self.conversations.values()),
            [transfer.start_key(external_id) for external_id in ids],
            _uuids(ids),
        )

    async def _start(self, tx: Tx, line: ConversationLine) -> None:
        if line.external_id in self.conversations:
            return
        view = _new_conversation(line, self.inbox_id)
        await store.add_conversation(tx, view, transfer.start_key(line.external_id))
        tx.emit(ConversationStarted(conversation=view))
        self.conversations[line.external_id] = view.id

    async def _append(self, tx: Tx, line: MessageLine) -> None:
        conversation_id = self.conversations.get(line.conversation_external_id)
        if conversation_id is None:
            raise Invalid(
                f"No line before this one has the conversation “{line.conversation_external_id}”, and it was"
                " not imported into this inbox earlier."
            )
        key = transfer.start_key(line.external_id)
        if (conversation_id, key) in self.known or _uuid(line.external_id) in self.taken:
            return
        self.known.add((conversation_id, key))
        change = self.changes.get(conversation_id)
        if change is None:
            change = self.changes[conversation_id] = await store.lock(tx, conversation_id)
        message = change.append(_new_message(line, change.view))
        self.keys.setdefault(conversation_id, {})[message.seq] = key


def _new_conversation(line: ConversationLine, inbox_id: InboxId) -> ConversationView:
    contact = ContactView(
        id=ContactId(new_id()),
        name=checks.checked_name(line.contact.name, "The contact's name"),
        email=checks.checked_email(line.contact.email) if line.contact.email else None,
        created_at=line.created_at,
    )
    return ConversationView(
        id=ConversationId(new_id()),
        inbox_id=inbox_id,
        contact=contact,
        status=transfer.imported_status(line),
        assignee_id=None,
        assignee_name=None,
        last_seq=0,
        last_text="",
        last_author=None,
        unread_count=0,
        version=1,
        snoozed_until=None,
        last_activity_at=line.created_at,
        created_at=line.created_at,
    )


def _new_message(line: MessageLine, view: ConversationView) -> MessageView:
    """Make the next message of a conversation; time never runs backwards within one."""
    return MessageView(
        id=MessageId(new_id()),
        conversation_id=view.id,
        seq=view.last_seq + 1,
        author=line.author,
        author_id=None,
        author_name=line.author_name,
        text=line.text,
        is_private=line.is_private,
        created_at=max(line.created_at, view.last_activity_at),
        action=line.action,
        citations=line.citations,
    )


def _uuids(names: set[str]) -> list[UUID]:
    return [found for name in names if (found := _uuid(name)) is not None]


def _uuid(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None


def _shown(filename: str) -> str:
    return "".join(c for c in filename if c.isprintable())[-MAX_NAME_CHARACTERS:] or "A file"


IMPORT = Kind("import_conversations", _import_some, tidy=store.delete_parts)
