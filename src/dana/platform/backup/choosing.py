"""To which moments one can go back, and what that takes: a backup, and the log from there on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dana.platform.backup import streams
from dana.platform.backup.folder import BackupError, Backups, Manifest, ServerPart
from dana.platform.backup.segments import Segment
from dana.platform.backup.streams import Stream

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Window:
    """The moments one backup can be restored to."""

    begins_at: datetime
    ends_at: datetime
    problems: tuple[str, ...]
    """Why it doesn't reach further, where something is wrong."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What to restore: a moment, everything there is (at None), or a backup as it was when it was taken."""

    at: datetime | None = None
    backup_id: str | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """The part of a stream that is replayed onto a backup."""

    stream: Stream | None
    segments: tuple[Segment, ...]
    reaches: datetime | None
    """Up to when the segments are known to hold every commit."""

    @property
    def size_bytes(self) -> int:
        """What it takes on disk once it is unpacked."""
        return len(self.segments) * self.stream.state.segment_bytes if self.stream else 0


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """How one server is restored: backups from the full one on, then the log."""

    name: str
    chain: tuple[Manifest, ...]
    log: Log
    problem: str | None = None
    """Why the log doesn't reach further, where something is wrong."""

    @property
    def part(self) -> ServerPart:
        """The newest part."""
        return self.chain[-1].servers[self.name]

    @property
    def size_bytes(self) -> int:
        """About what restoring takes on disk at most: the unpacked chain, the combined files, and the log."""
        return 2 * self.part.cluster_bytes + self.log.size_bytes


def read_goal(text: str) -> Goal:
    """Read what an operator writes: `latest`, a backup's id, or a time; without a zone it is UTC."""
    if text == LATEST:
        return Goal()
    if text.endswith("Z") and "-" not in text and ":" not in text:
        return Goal(backup_id=text)
    try:
        at = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    except ValueError:
        raise BackupError(
            f"{text!r} is no time; write `latest`, a backup's id, or a time such as 2026-11-24T03:10:00Z."
        ) from None
    return Goal(at=at if at.tzinfo else at.replace(tzinfo=UTC))


def window(backups: Backups, manifest: Manifest) -> Window:
    """Tell how far a backup's log goes on from it, for all of its servers together."""
    problems: list[str] = []
    ends = []
    for name, part in manifest.servers.items():
        log, problem = follow(backups, name, part)
        ends.append(max(log.reaches or part.ended_at, part.ended_at))
        if problem:
            problems.append(f"{name}: {problem}")
    begins_at = manifest.settled_at
    return Window(begins_at, max(min(ends), begins_at), tuple(problems))


def choose(backups: Backups, goal: Goal, servers: Sequence[str] = ()) -> list[ServerChoice]:
    """Choose the newest sound backup that is old enough, and the log; raises BackupError."""
    sound = [m for m in backups.sound() if set(servers) <= set(m.servers)]
    if not sound:
        of = f" of {' and '.join(servers)}" if servers else ""
        raise BackupError(f"There is no sound backup{of} in {backups.root}.")
    if goal.backup_id:
        manifest = next((m for m in sound if m.id == goal.backup_id), None)
        if manifest is None:
            raise BackupError(f"{goal.backup_id} is no sound backup; see `dana backup list`.")
    elif goal.at is None:
        manifest = sound[-1]
    else:
        old_enough = [m for m in sound if m.settled_at <= goal.at]
        if not old_enough:
            raise BackupError(
                f"The oldest moment that can be restored is {_show(sound[0].settled_at)}; "
                "see `dana backup list`."
            )
        manifest = old_enough[-1]
    later = sound[sound.index(manifest) + 1] if manifest is not sound[-1] else None
    names = [name for name in manifest.servers if not servers or name in servers]
    return [_choose_server(backups, goal, manifest, later, name) for name in names]


def follow(backups: Backups, server: str, part: ServerPart) -> tuple[Log, str | None]:
    """Follow the log from a backup to its end; with what is wrong when it doesn't go on to today."""
    nothing = Log(None, (), None)
    stream = streams.stream(backups.wal, server, part.stream)
    if stream is None:
        return nothing, "its log is gone"
    first = part.stop_lsn // part.segment_bytes
    if first < stream.state.kept_from:
        return nothing, "its log was thrown away to save room"
    path = stream.walk(part.timeline, part.stop_lsn)
    log = Log(stream, path.segments, _reach(stream, path.segments))
    if path.is_holed or (not path.segments and stream.whole()):
        missing = Segment(path.end if path.segments else first, part.timeline).name(part.segment_bytes)
        return log, f"the log has a hole: {missing} is missing in {stream.folder}"
    return log, stream.state.ended_because


def _choose_server(
    backups: Backups, goal: Goal, manifest: Manifest, later: Manifest | None, name: str
) -> ServerChoice:
    part = manifest.servers[name]
    chain = tuple(backups.chain(manifest, name))
    if goal.backup_id:
        return ServerChoice(name, chain, Log(None, (), part.ended_at))
    log, problem = follow(backups, name, part)
    if goal.at is not None:
        reaches = max(log.reaches or part.ended_at, part.ended_at)
        if reaches < goal.at:
            raise BackupError(
                f"The log of {name} reaches to {_show(reaches)}"
                + (f" ({problem})" if problem else "")
                + "; choose a moment before, or `--to latest` for everything there is."
            )
        log = _cut(log, later.servers.get(name) if later else None)
    return ServerChoice(name, chain, log, problem)


def _cut(log: Log, later: ServerPart | None) -> Log:
    """Leave out what was written after the next backup was taken: its commits are all later than the goal."""
    if later is None or log.stream is None or later.stream != log.stream.name:
        return log
    last = later.stop_lsn // later.segment_bytes
    return Log(log.stream, tuple(s for s in log.segments if s.number <= last), log.reaches)


def _reach(stream: Stream, segments: Sequence[Segment]) -> datetime | None:
    """Return up to when every commit is in these segments."""
    if not segments:
        return None
    state = stream.state
    if state.covered_until and (segments[-1].number + 1) * state.segment_bytes >= state.covered_lsn:
        return state.covered_until
    end = segments[-1].number * state.segment_bytes
    return max((moment for moment, lsn in stream.marks() if lsn <= end), default=None)


def _show(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
