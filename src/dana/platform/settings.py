"""Settings: everything that differs between installations, read once from `DANA_…` variables."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from dana.platform.secrets import Secrets

REALTIME_TRANSPORTS = ("picows", "websockets")


@dataclass(frozen=True, slots=True)
class Settings:
    """One installation."""

    data_dir: Path
    database_url: str
    """An administrator's address of the PostgreSQL server; used for migrations only."""
    redis_url: str
    public_url: str
    secrets: Secrets
    web_dir: Path
    widget_dir: Path
    shard_count: int = 2
    http_host: str = "127.0.0.1"
    http_port: int = 0
    realtime_host: str = "127.0.0.1"
    realtime_port: int = 0
    realtime_transport: str = REALTIME_TRANSPORTS[0]
    """What carries sockets; the other one, `websockets`, is for where picows fails."""
    pool_size: int = 8
    """Connections of one service to one database."""
    allow_private_providers: bool = True
    """Whether a model provider may live in a private network, such as a local model server."""
    limits_factor: float = 1.0
    """By how much more (or less) everybody may ask for than the plan says."""
    cdn_purge_url: str = ""
    """Where the caching proxy in front is told what is out of date; empty where there is none."""
    cdn_purge_header: str = field(default="", repr=False)
    """A header by which that proxy knows us, `Name: value`."""
    environment: str = "local"
    knowledge_url: str = ""
    """Where knowledge answers other services; empty where the gateway's endpoint files say it."""
    rabbitmq_url: str = ""
    """The broker between services; empty where PostgreSQL and Valkey do for that."""

    @property
    def gateway_dir(self) -> Path:
        """The folder of the gateway's files on this machine."""
        return self.data_dir / "gateway"

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the environment; raises KeyError naming what must be set, ValueError saying what can't be."""
        env = os.environ
        data_dir = Path(env.get("DANA_DATA", ".dana")).absolute()
        root = Path(__file__).parents[3]
        return cls(
            data_dir=data_dir,
            database_url=env["DANA_DATABASE_URL"],
            redis_url=env["DANA_REDIS_URL"],
            public_url=env.get("DANA_PUBLIC_URL", "http://localhost:8080").rstrip("/"),
            secrets=Secrets.load(Path(env.get("DANA_SECRETS", str(data_dir / "secrets")))),
            web_dir=Path(env.get("DANA_WEB", str(root / "web" / "dist"))),
            widget_dir=Path(env.get("DANA_WIDGET", str(root / "widget" / "dist"))),
            shard_count=int(env.get("DANA_SHARDS", "2")),
            http_host=env.get("DANA_HTTP_HOST", "127.0.0.1"),
            http_port=int(env.get("DANA_HTTP_PORT", "0")),
            realtime_host=env.get("DANA_REALTIME_HOST", "127.0.0.1"),
            realtime_port=int(env.get("DANA_REALTIME_PORT", "0")),
            realtime_transport=_one_of(REALTIME_TRANSPORTS, "DANA_REALTIME_TRANSPORT"),
            pool_size=int(env.get("DANA_POOL_SIZE", "8")),
            allow_private_providers=env.get("DANA_ALLOW_PRIVATE_PROVIDERS", "true") == "true",
            limits_factor=float(env.get("DANA_LIMITS_FACTOR", "1")),
            cdn_purge_url=env.get("DANA_CDN_PURGE_URL", ""),
            cdn_purge_header=env.get("DANA_CDN_PURGE_HEADER", ""),
            environment=env.get("DANA_ENVIRONMENT", "local"),
            knowledge_url=env.get("DANA_KNOWLEDGE_URL", "").rstrip("/"),
            rabbitmq_url=env.get("DANA_RABBITMQ_URL", ""),
        )


def _one_of(choices: tuple[str, ...], name: str) -> str:
    """Read what has a few possible values; the first is the usual one."""
    chosen = os.environ.get(name) or choices[0]
    if chosen not in choices:
        raise ValueError(f"{name} is {chosen!r}; say {' or '.join(choices)}.")
    return chosen
