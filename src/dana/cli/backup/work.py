"""What each `dana backup` command does."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from dana.cli.backup.showing import (
    COLUMNS,
    explain,
    progress_bars,
    reconciled_as_json,
    restored_as_json,
    row_of,
    show_reconciled,
    show_taken,
    show_verified,
)
from dana.cli.installation import installation
from dana.cli.terminal import console, errors, fail, is_terminal, print_json, print_rows
from dana.contracts.ids import OrgId
from dana.platform.backup import choosing, keeping, receiving, reconciling, restoring, taking, verifying
from dana.platform.backup.folder import BackupError, Backups
from dana.platform.backup.reconciling import Reconciled, Servers
from dana.platform.backup.restoring import Order
from dana.platform.backup.taking import Wish
from dana.platform.backup.tools import Tell, failures_told
from dana.platform.local.programs import CannotStartError
from dana.platform.local.receiver import backups_folder
from dana.platform.servers import server_addresses

GIB = 2**30


def run(data_dir: Path, folder: Path | None, *, full: bool, keep: int, with_secrets: bool) -> None:
    """Take a backup."""
    wish = Wish(full, keep, with_secrets)
    with _told_plainly(), installation(data_dir) as settings, progress_bars() as tell:
        taken = asyncio.run(taking.take(settings, _backups(data_dir, folder), wish, tell))
    show_taken(taken)


def show(data_dir: Path, folder: Path | None) -> None:
    """List backups, oldest first."""
    backups = _backups(data_dir, folder)
    with _told_plainly():
        rows = [row_of(backups, manifest) for manifest in backups.all()]
        print_rows(rows, COLUMNS, nothing=f"There is no backup in {backups.root}; take one: dana backup run")
        for problem in backups.unreadable():
            errors.print(problem, style="red", soft_wrap=True, markup=False)


def verify(
    data_dir: Path, folder: Path | None, backup_id: str | None, *, full: bool, temporary: Path | None
) -> None:
    """Check one backup or all; ends with code 1 when something is wrong."""
    backups = _backups(data_dir, folder)
    with _told_plainly(), progress_bars() as tell:
        results = asyncio.run(_verify(backups, backup_id, tell, full=full, temporary=temporary))
    for result in results:
        show_verified(result)
    if any(result.problems for result in results):
        raise SystemExit(1)


def restore(folder: Path, target: Path, to: str, servers: Sequence[str]) -> None:
    """Restore into a new folder."""
    with _told_plainly(), progress_bars() as tell:
        order = Order(choosing.read_goal(to), target.absolute(), tuple(servers))
        restored = asyncio.run(restoring.restore(Backups(folder.absolute()), order, tell))
    if is_terminal():
        explain(restored)
    else:
        print_json(restored_as_json(restored))


def reconcile(data_dir: Path, choices: Sequence[str], *, only_plan: bool) -> None:
    """Make catalog and shards agree, or say what that would change."""
    with _told_plainly(), installation(data_dir) as settings:
        chosen = dict(map(_choice, choices))

        async def work() -> Reconciled:
            servers = await Servers.of(settings)
            if only_plan:
                return await reconciling.survey(servers, chosen)
            await reconciling.refuse_while_in_use(servers)
            return await reconciling.reconcile(servers, chosen)

        done = asyncio.run(work())
    if is_terminal():
        show_reconciled(done, only_plan=only_plan)
    else:
        print_json(reconciled_as_json(done))


def wal(data_dir: Path, folder: Path | None, servers: Sequence[str], limit_gib: float) -> None:
    """Receive the log of all servers until stopped."""
    backups = _backups(data_dir, folder)
    with _told_plainly(), installation(data_dir) as settings:
        most_bytes = int(limit_gib * GIB)

        async def work() -> None:
            await keeping.keep_receiving(settings, backups, _say, servers, most_bytes)

        asyncio.run(_until_stopped(work))


def wal_off(data_dir: Path, folder: Path | None) -> None:
    """Stop receiving, and let the servers keep nothing for it."""
    backups = _backups(data_dir, folder)
    with _told_plainly(), installation(data_dir) as settings:

        async def work() -> None:
            for name, dsn in (await server_addresses(settings)).items():
                await receiving.switch_off(backups, name, dsn)

        backups.prepare()
        asyncio.run(work())
    if is_terminal():
        console.print("Nothing is received any more; the next `dana backup run` switches it on again.")
    else:
        print_json({"receiving": False})


def point(data_dir: Path, shard: str, url: str) -> None:
    """Tell the catalog where a restored shard's server is."""
    with _told_plainly(), installation(data_dir) as settings:
        names = asyncio.run(reconciling.point(settings, shard, url))
    if is_terminal():
        console.print(
            f"The catalog now leads there for {', '.join(names)}; next: dana backup reconcile --plan"
        )
    else:
        print_json({"pointed": names})


async def _verify(
    backups: Backups, backup_id: str | None, tell: Tell, *, full: bool, temporary: Path | None
) -> list[verifying.Verified]:
    if full:
        goal = choosing.Goal(backup_id=backup_id)
        return [await verifying.verify_by_restoring(backups, goal, tell, temporary)]
    manifests = [backups.get(backup_id)] if backup_id else backups.all()
    if not manifests:
        raise BackupError(f"There is no backup in {backups.root}; take one: dana backup run")
    known: set[str] = set()
    return [await verifying.verify(backups, manifest, tell, known_sound=known) for manifest in manifests]


async def _until_stopped(work: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.ensure_future(work())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _backups(data_dir: Path, folder: Path | None) -> Backups:
    return Backups((folder or backups_folder(data_dir.absolute())).absolute())


def _choice(text: str) -> tuple[OrgId, str]:
    org, _, shard = text.partition("=")
    try:
        return OrgId(UUID(org)), shard
    except ValueError:
        fail(f"{org!r} is no organization's id; write --choose ORGANIZATION=SHARD.")


@contextlib.contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        with failures_told():
            yield
    except (BackupError, CannotStartError) as problem:
        fail(str(problem))
    except KeyboardInterrupt:
        fail("Stopped; nothing was left half done.")


def _say(server: str, news: str) -> None:
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f"{moment} {server}: {news}", flush=True)
