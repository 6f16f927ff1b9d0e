"""`qaztech ai cards`: the register from the command line, and a card that is still a file."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ai_cards import CARD, OWNER, at_day
from qaztech.ai.register.card import card_bytes, missing, parse_card
from qaztech.ai.register.life import obstacles
from qaztech.ai.register.store import Origin
from qaztech.ai.terms import day_of
from qaztech.cli.main import main
from qaztech.compose.hub import open_cards
from qaztech.core.time import SystemClock

ROOT = Path(__file__).parents[3]


def told(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> Any:
    """What was printed for programs."""
    assert main(["ai", "cards", *words, "--json"]) == status
    return json.loads(capsys.readouterr().out)


def test_the_register_is_listed_and_a_card_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what stands against it and its history, for people and for programs."""
    settings = tmp_path / "hub.toml"
    settings.write_text('directory = "data"\nanchor = "anchor"\nregistry = "http://localhost:1"\n')
    store, engine = open_cards(settings)
    card = at_day(CARD, day_of(SystemClock().now()))
    store.put(msgspec.structs.replace(card, audit=None), Origin(by=f"{OWNER}/health", role="owner"), version=0)
    engine.dispose()
    where = ("--settings", str(settings))
    assert [(one["id"], one["why"]) for one in told(capsys, "list", *where)["cards"]] == [(CARD.id, "not-reviewed")]
    assert told(capsys, "list", "--owner", "KZ/GOV/991340000025", *where) == {"cards": []}
    shown = told(capsys, "show", CARD.id, *where)
    assert shown["obstacles"] == [{"why": "audit-missing", "what": []}]
    assert main(["ai", "cards", "show", CARD.id, *where]) == 0
    assert "against it  audit-missing" in capsys.readouterr().out
    assert main(["ai", "cards", "show", "no-card", *where]) == 1
    assert "ai.card.unknown" in capsys.readouterr().err


def test_a_card_is_checked_before_it_is_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it lacks and what stands against it; what is no card is an error."""
    file, today = tmp_path / "card.json", day_of(SystemClock().now())
    file.write_bytes(card_bytes(at_day(CARD, today)))
    assert told(capsys, "check", str(file)) == {"id": CARD.id, "lacks": [], "against": []}
    file.write_bytes(card_bytes(msgspec.structs.replace(at_day(CARD, today), mode="open", models=())))
    found = told(capsys, "check", str(file), status=1)
    assert found["lacks"] == ["models"]
    assert found["against"] == [{"why": "forbidden-combination", "what": ["open-with-closed-data"]}]
    file.write_text("{}")
    assert main(["ai", "cards", "check", str(file)]) == 1
    assert "ai.card.malformed" in capsys.readouterr().err


def test_the_example_on_the_page_is_a_card_that_lacks_nothing() -> None:
    """Whoever begins with it can declare it."""
    page = (ROOT / "docs/formats/ai-card.md").read_text(encoding="utf-8")
    card = parse_card(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0].encode())
    assert missing(card) == ()
    assert obstacles(card, date(2026, 11, 23)) == []
