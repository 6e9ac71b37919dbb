"""What travels between who asks and who answers."""

import msgspec

from dana.contracts.ids import OrgId

PREFIX = "/internal/v1"
"""The gateway refuses everything below /internal, whoever asks."""

KNOWLEDGE = "knowledge"
DEADLINE_HEADER = "x-deadline-ms"
"""How long the asker will still wait; the answerer gives up then, too."""


class Asked(msgspec.Struct, frozen=True):
    """A question about an organization's knowledge; unknown fields are ignored, for who asks may be newer."""

    org_id: OrgId
    question: str
    limit: int
