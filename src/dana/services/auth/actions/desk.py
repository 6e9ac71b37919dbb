"""Where people come in: the databases, the password hasher and the keys of the tokens."""

from dataclasses import dataclass

from dana.platform.catalog import Catalog
from dana.platform.shards import Shards
from dana.services.auth.adapters import Passwords, TokenKey


@dataclass(frozen=True, slots=True)
class Desk:
    """Built once in service.py."""

    shards: Shards
    passwords: Passwords
    refresh_tokens: TokenKey
    invitation_tokens: TokenKey
    attempt_key: bytes

    @property
    def catalog(self) -> Catalog:
        """The database of people."""
        return self.shards.catalog
