"""The embedded country without what its support center needs, and one that was founded before there were centers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from qaztech.testing import centre, processes
from qaztech.testing.country import COUNT, OPERATIONAL, Ports


def laid_out(home: Path, *, with_centre: bool) -> Path:
    """As much of a country as is looked at before anything starts."""
    ports = asdict(Ports.at(9500))
    facts = {
        "registry": "http://127.0.0.1:9501", "portal": "http://127.0.0.1:9500", "anchor": str(home / "anchor.json"),
        "nodes": [], "consoles": {}, "try": {}, "ports": ports,
    }  # fmt: skip
    if with_centre:
        facts["centre"] = {"url": "http://localhost:9516", "service": str(OPERATIONAL)}
    else:
        del ports["centre"], ports["support"]
    (home / "country.json").write_text(json.dumps(facts))
    return home


def names(home: Path) -> list[str]:
    return [process.name for process in processes.plan(home)]


def test_without_the_extra_the_country_starts_without_its_center_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base install has no DuckDB; nothing else is missing then."""
    home = laid_out(tmp_path, with_centre=True)
    monkeypatch.setattr(centre, "is_installed", lambda: True)
    whole = names(home)
    assert "centre" in whole
    assert processes.status(home)["centre"]["installed"] is True
    monkeypatch.setattr(centre, "is_installed", lambda: False)
    assert names(home) == [name for name in whole if name != "centre"]
    told: list[str] = []
    processes.start(home, told.append, only=("nothing",))
    assert told == ["the support center is not started: it needs qaztech[traffic]"]
    assert processes.status(home)["centre"]["installed"] is False


def test_a_country_from_before_has_none(tmp_path: Path) -> None:
    """And misses nothing: its ports are those that it was founded with."""
    home = laid_out(tmp_path, with_centre=False)
    assert "centre" not in names(home)
    assert "centre" not in processes.status(home)
    assert len(Ports(**json.loads((home / "country.json").read_text())["ports"]).all()) == COUNT - 2
    assert len(set(Ports.at(9500).all())) == COUNT
