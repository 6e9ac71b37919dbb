"""A hot standby of a server on this machine: a copy made by pg_basebackup that follows the primary."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dana.platform.database import address, login_of
from dana.platform.local.account import unprivileged_account
from dana.platform.local.postgres import (
    FAST_AND_FORGETFUL,
    Postgres,
    find_binaries,
    home_of,
    reachable,
    start_postgres,
)
from dana.platform.local.programs import CannotStartError

COPY_SECONDS = 120


def start_replica(
    primary: Postgres, data_dir: Path, settings: Mapping[str, str] = FAST_AND_FORGETFUL
) -> Postgres:
    """Copy a running server and start the copy as its hot standby, on a free port."""
    account = unprivileged_account()
    data_dir.mkdir(parents=True, exist_ok=True)
    home = home_of(data_dir, account, Path(tempfile.gettempdir()) / "dana-test-postgres")
    (data_dir / "postgres.password").write_text(login_of(primary.dsn)[1])
    command = [str(reachable(find_binaries(), home, account) / "pg_basebackup")]
    command += ["--dbname", address(primary.dsn, database="postgres"), "--pgdata", str(home / "cluster")]
    command += ["--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--no-sync"]
    copied = subprocess.run(
        command,
        cwd=home,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=False,
        timeout=COPY_SECONDS,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if copied.returncode:
        raise CannotStartError(
            f"The server can't be copied: {copied.stderr.decode(errors='replace').strip()}"
        )
    return start_postgres(data_dir, settings)
