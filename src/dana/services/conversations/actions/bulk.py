"""The long jobs of this service."""

from dana.contracts.events import ConversationsJobAdvanced
from dana.platform.longjobs import LongJobs
from dana.platform.shards import Shards
from dana.services.conversations.actions.deleting import DELETION
from dana.services.conversations.actions.exporting import EXPORT
from dana.services.conversations.actions.importing import IMPORT


def long_jobs(shards: Shards) -> LongJobs:
    """Build what does them, chunk by chunk."""
    return LongJobs(shards, ConversationsJobAdvanced, [DELETION, EXPORT, IMPORT])
