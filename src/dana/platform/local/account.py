"""The unprivileged account for servers that refuse to run as root."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

NAMES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the operating system."""

    name: str
    uid: int
    gid: int

    def can_reach(self, path: Path) -> bool:
        """Tell whether this account may enter every folder above the path, and the path itself."""
        return all(self._may_enter(folder) for folder in (path, *path.parents) if folder.is_dir())

    def _may_enter(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def unprivileged_account() -> Account | None:
    """Return the account to switch to, or None when we aren't root anyway."""
    if os.geteuid() != 0:
        return None
    for name in NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise RuntimeError(f"Dana runs as root, and needs one of the users {', '.join(NAMES)} for PostgreSQL.")
