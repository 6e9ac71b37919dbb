"""What knowledge publishes."""

from uuid import UUID

from dana.contracts.events.base import Event, LongJobAdvanced
from dana.contracts.ids import DocumentId
from dana.contracts.views import DocumentView


class DocumentQueued(Event, frozen=True):
    """A document was uploaded, or is to be indexed again."""

    document: DocumentView

    def key(self) -> UUID:
        """Order by document."""
        return self.document.id


class DocumentChanged(Event, frozen=True):
    """A document moved on to another state, or made progress."""

    document: DocumentView

    def key(self) -> UUID:
        """Order by document."""
        return self.document.id


class DocumentDeleted(Event, frozen=True):
    """A document was deleted; no later search finds it."""

    document_id: DocumentId

    def key(self) -> UUID:
        """Order by document."""
        return self.document_id


class KnowledgeJobAdvanced(LongJobAdvanced, frozen=True):
    """A long job on knowledge has come further."""
