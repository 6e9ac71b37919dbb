"""Secrets: however many processes start at once in an empty folder, they all have the same."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dana.platform.secrets import Secrets


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    for number in range(5):
        folder = tmp_path / str(number)
        with ThreadPoolExecutor(8) as threads:
            loaded = list(threads.map(lambda _, folder=folder: Secrets.load(folder), range(8)))
        assert len({secrets.root for secrets in loaded}) == 1
        assert len({secrets.member_key.private_numbers().private_value for secrets in loaded}) == 1
        assert sorted(path.name for path in folder.iterdir()) == ["member.pem", "root.key", "visitor.pem"]
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
