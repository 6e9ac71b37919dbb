"""The page for whoever writes clients names all there is: frames, channels, codes, metrics."""

import re
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import REGISTRY

import dana.services.realtime.service
from dana.services.realtime.models import MAX_CHANNELS, MAX_UNACKED, Close, Said
from dana.services.realtime.models.channels import ADMIN_EVENTS
from dana.services.realtime.models.events import VISITOR_EVENTS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "realtime.md").read_text()
SENT = set(
    re.findall(r'"type": ?"(\w+)"', (ROOT / "src/dana/services/realtime/models/frames.py").read_text())
)


def test_frames_are_looked_for() -> None:
    assert {"hello", "heartbeat", "resync", "subscribed", "refused", "renewed", "bye"} <= SENT
    assert callable(dana.services.realtime.service.build)


@pytest.mark.parametrize("kind", sorted(SENT | {"event", "ephemeral", "presence"}))
def test_every_frame_from_the_server_is_described(kind: str) -> None:
    assert f'{{"type":"{kind}"' in PAGE


@pytest.mark.parametrize("frame", get_args(Said))
def test_every_frame_from_the_client_is_described_with_its_fields(frame: type) -> None:
    described = re.search(rf'\{{"type":"{frame.__name__.lower()}"[^`]*`', PAGE)
    assert described is not None
    assert all(f'"{field}"' in described[0] for field in frame.__annotations__)


def test_every_code_limit_and_metric_is_named() -> None:
    codes = [code for name, code in vars(Close).items() if name.isupper()]
    assert all(f"\n| {code} |" in PAGE for code in codes)
    metrics = [metric.name for metric in REGISTRY.collect() if metric.name.startswith("dana_realtime_")]
    assert len(metrics) > 10
    assert [name for name in metrics if name not in PAGE] == []
    assert f"At most {MAX_CHANNELS}" in PAGE
    assert f"{MAX_UNACKED:,} events" in PAGE
    assert all(f"`{kind}`" in PAGE for kind in ADMIN_EVENTS | {"message_appended"})
    assert VISITOR_EVENTS  # which the page names in words
