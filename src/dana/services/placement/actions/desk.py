"""Where shards are looked after: the installation, and the catalog as placement's own role sees it."""

from dataclasses import dataclass

from dana.platform.settings import Settings
from dana.platform.shards import Shards


@dataclass(frozen=True, slots=True)
class Desk:
    """Built once in service.py."""

    settings: Settings
    shards: Shards
