"""`qaztech node operational` and `qaztech hub`: what they say before there is anything to say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from operational_logs import Pair
from qaztech.cli.main import main
from qaztech.compose.hub import open_store
from qaztech.hub.crosscheck import CONTRADICTION, Finding

pytest.importorskip("duckdb")


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The settings of a node that delivers nowhere."""
    settings = tmp_path / "node.toml"
    settings.write_text(
        'id = "KZ/GOV/991340000017/node1"\ndirectory = "."\nanchor = "a"\nregistry = "r"\nmembers = []\n'
    )
    return settings


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """The settings of a centre."""
    settings = tmp_path / "hub.toml"
    settings.write_text('directory = "."\nanchor = "a"\nregistry = "r"\n')
    return settings


def test_nothing_was_delivered_yet(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--show` needs no centre and no log."""
    assert main(["node", "operational", "--settings", str(node), "--show"]) == 0
    assert capsys.readouterr().out == "nothing\n"


def test_a_node_that_is_not_told_where_to_deliver(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what is missing, and the place is free for the next attempt."""
    for _ in range(2):
        assert main(["node", "operational", "--settings", str(node), "--once"]) == 1
        assert "operational.settings" in capsys.readouterr().err


def test_a_centre_that_holds_nothing(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command says so, for people and for programs."""
    for verb, text in (("held", "nothing"), ("findings", "nothing was found"), ("totals", "no calls")):
        assert main(["hub", verb, "--settings", str(hub)]) == 0
        assert capsys.readouterr().out == f"{text}\n"
        assert main(["hub", verb, "--settings", str(hub), "--json"]) == 0
        assert list(json.loads(capsys.readouterr().out).values()) == [[]]


def test_findings_are_shown(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Level, code, log and place."""
    finding = Finding(
        code="exchange.not-made", level=CONTRADICTION, origin=Pair().consumer.origin, other="", message="", place=7,
        detail="why",
    )  # fmt: skip
    with open_store(hub) as store:
        assert store.keep([finding], now=1) == [finding]
        assert store.keep([finding], now=2) == []
    assert main(["hub", "findings", "--settings", str(hub)]) == 0
    assert "contradiction exchange.not-made" in capsys.readouterr().out


def test_a_period_the_wrong_way_round(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is counted."""
    period = ["--since", "2026-11-23", "--until", "2026-11-21"]
    assert main(["hub", "totals", "--settings", str(hub), *period]) == 1
    with pytest.raises(SystemExit):
        main(["hub", "totals", "--settings", str(hub), "--since", "yesterday"])
    assert "YYYY-MM-DD" in capsys.readouterr().err
