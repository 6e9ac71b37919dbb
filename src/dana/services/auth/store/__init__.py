"""The SQL of auth: people on the catalog, what was announced on the shards."""

from dana.services.auth.store import access, announcements, people

__all__ = ["access", "announcements", "people"]
