"""The settings of an installation with servers and nothing to show: no pages, no address."""

from pathlib import Path
from typing import Any

from dana.platform.secrets import Secrets
from dana.platform.settings import Settings


def bare(home: Path, database_url: str, **more: Any) -> Settings:
    """Return them, with one shard unless more is asked for; secrets are made in the folder."""
    defaults: dict[str, Any] = {"redis_url": "", "public_url": "http://localhost", "shard_count": 1}
    secrets = Secrets.load(home / "secrets")
    return Settings(
        data_dir=home,
        database_url=database_url,
        secrets=secrets,
        web_dir=home,
        widget_dir=home,
        **(defaults | more),
    )
