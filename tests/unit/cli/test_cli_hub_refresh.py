"""`qaztech hub refresh`: the detectors by command, into the same queue that the pages show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qaztech.cli.main import main
from qaztech.compose.hub import open_objects
from qaztech.hub.register.store import Edit


def test_the_detectors_run_and_tell_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Found once it is new, found again it is not."""
    settings = tmp_path / "hub.toml"
    settings.write_text('directory = "hub"\nanchor = "anchor.json"\nregistry = "http://127.0.0.1:1"\n')
    objects, engine = open_objects(settings)
    objects.apply([Edit(table="objects", values={"id": "ds-1", "status": "operation"})], by="a", source="test", at=1)
    engine.dispose()
    assert main(["hub", "refresh", "--settings", str(settings), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["new"] >= 1
    assert main(["hub", "refresh", "--settings", str(settings)]) == 0
    assert "0  new" in capsys.readouterr().out
