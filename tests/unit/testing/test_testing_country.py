"""The country as it is laid out on disk, before anything runs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from qaztech.compose.node_check import check_node
from qaztech.core.time import SystemClock
from qaztech.registry.anchor import parse_anchor
from qaztech.testing import country
from qaztech.testing.country import HALF_MADE, CountryOptions, Ports, found, is_founded


async def test_one_half_made_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever interrupts the founding only starts it again; nodes would start, and secrets are secret."""
    home = tmp_path / "home"
    options = CountryOptions(ports=Ports.at(9400))

    def tell(text: str) -> None:
        if "first publication" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await found(home, options, tell)
    assert (home / HALF_MADE).exists()
    assert not is_founded(home)
    monkeypatch.setattr(country.CodesService, "prepare", lambda _: None)
    await found(home, options)
    assert is_founded(home)
    assert not (home / HALF_MADE).exists()
    anchor = parse_anchor((home / "anchor.json").read_bytes())
    assert list(anchor.policy.witnesses) == ["registry", "university", "archive"]
    assert anchor.policy.satisfied_by(["university", "archive"])
    (home / "systems" / "codes.openapi.yaml").touch()
    for node in (home / "nodes").iterdir():
        assert [f.what for f in check_node(node / "node.toml", SystemClock()) if f.level == "error"] == []
    keys = [file for file in home.rglob("*") if file.suffix in {".key", ".token"} or file.parent.name == "offline"]
    assert len(keys) > 20
    assert [file for file in keys if stat.S_IMODE(file.stat().st_mode) & 0o077] == []
