"""A statement from what gateways told: summed once, held against the other side's, never believed in a bad form."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from qaztech.ai.gateway.answers import Usage
from qaztech.ai.gateway.budgeting import month_of, month_span, new_call_id
from qaztech.ai.gateway.models import Deployment
from qaztech.ai.gateway.serving import Settled
from qaztech.ai.gateway.telling import usage_line
from qaztech.ai.proving import Told, compare, parse_usage, prove, read_other, told_by
from qaztech.core.errors import Malformed

NOW = 1_795_435_210_000
MONTH = month_of(NOW)
CLIENT, SERVICE = "KZ/GOV/991340000017/permits", "KZ/EDU/991340000037/research/models"
PLACE = Deployment(name="there", service=SERVICE, model="echo", version="v1", mode="local", prompt_price=1)


def line(cost: int = 7, *, at: int = NOW, outcome: str = "complete") -> str:
    """As a gateway tells it."""
    settled = Settled(
        call=new_call_id(at), place=PLACE, member="KZ/GOV/991340000017", system="permits", exchange="x-1",
        usage=Usage(prompt=40, completion=60), cost=cost, outcome=outcome, answer="a" * 64,
    )  # fmt: skip
    return usage_line(settled).decode()


def told(cost: int = 7, *, at: int = NOW, outcome: str = "complete", message: str = "m-1") -> Told:
    headers = f"accept:*/*\nx-qaztech-ai-usage:{line(cost, at=at, outcome=outcome)}\n"
    found = told_by(headers, client=CLIENT, service=SERVICE, message=message)
    assert found is not None
    return found


def test_what_a_gateway_tells_is_what_is_read() -> None:
    """Every field, and the time of the call from its id."""
    found = told(9)
    assert (found.cost, found.prompt, found.completion, found.model, found.outcome) == (9, 40, 60, "echo", "complete")
    assert found.time == NOW
    assert told_by("x-qaztech-ai:call=1\n", client=CLIENT, service=SERVICE, message="m") is None


@pytest.mark.parametrize(
    ("old", "new"),
    [("cost=7", "cost=-7"), ("cost=7", "cost=07"), ("cost=7", "cost=7; cost=1"), ("call=", "call=x"),
     ("outcome=complete", "outcome=free"), ("; exchange=x-1", ""), ("prompt=40", "prompt=" + "9" * 19),
     ("exchange=x-1", "exchange=")],
)  # fmt: skip
def test_a_line_of_another_form_tells_nothing(old: str, new: str) -> None:
    """Whoever wrote it; and nothing else of the statement is lost by it."""
    bad = line().replace(old, new)
    with pytest.raises(Malformed):
        parse_usage(bad)
    assert told_by(f"x-qaztech-ai-usage:{bad}\n", client=CLIENT, service=SERVICE, message="m") is None


def test_a_call_counts_once_and_in_its_month() -> None:
    """However often it was told; other words for it are named. Other members' calls can be left out."""
    one, other = told(5), told(6, outcome="failed")
    begin, end = month_span(MONTH)
    outside = [told(100, at=begin - 1), told(100, at=end)]
    again, lied = replace(one, message="m-2"), replace(other, message="m-3", cost=0)
    found = prove([one, again, other, lied, *outside], MONTH)
    assert (len(found.each), found.total, found.twice) == (2, 11, (other.call,))
    (summed,) = found.lines
    assert (summed.calls, summed.failed, summed.prompt_tokens, summed.cost) == (2, 1, 80, 11)
    assert prove([one], MONTH, client="KZ/GOV/991340000018").each == ()
    assert prove([one], MONTH, provider="KZ/EDU/991340000037").total == 5
    assert found.facts()["tenge"] == 1
    with pytest.raises(Malformed):
        prove([], "2026-13")


def test_every_difference_is_told() -> None:
    """By records or by the ledger's names; what nobody was paid for and what is still open is no difference."""
    mine = [told(5), told(6), told(7)]
    theirs = [asdict(mine[0]), {**asdict(mine[1]), "cost": 9, "prompt": 1}]
    found = compare(mine, theirs)
    assert {each.call: (each.here, each.there) for each in found} == {
        mine[1].call: ({"prompt": 40, "cost": 6}, {"prompt": 1, "cost": 9}),
        mine[2].call: (
            {"prompt": 40, "completion": 60, "cost": 7, "outcome": "complete", "exchange": "x-1"}, None,
        ),
    }  # fmt: skip
    ledger = {
        "id": mine[0].call, "prompt_tokens": 40, "completion_tokens": 60, "cost": 5, "outcome": "complete",
        "exchange": "x-1",
    }  # fmt: skip
    free = {"id": "f", "cost": 0, "outcome": "cached", "exchange": None}
    still = {"id": "o", "cost": None, "outcome": "open", "exchange": None}
    lost = {"id": "l", "cost": 3, "outcome": "orphaned", "exchange": None}
    assert [each.call for each in compare(mine[:1], [ledger, free, still, lost])] == ["l"]
    with pytest.raises(Malformed):
        compare(mine, [{"cost": "5"}])


def test_the_other_sides_file_is_read_in_either_form(tmp_path: Path) -> None:
    """A statement, or a call a line; nothing else."""
    rows = [asdict(told(5)), asdict(told(6))]
    file = tmp_path / "there"
    for text in (json.dumps({"each": rows}), "\n".join(map(json.dumps, rows)) + "\n"):
        file.write_text(text)
        assert read_other(file) == rows
    file.write_text(json.dumps({"id": "x", "cost": 1}))
    assert read_other(file) == [{"id": "x", "cost": 1}]
    file.write_text("")
    assert read_other(file) == [], "there were no calls"
    for text in ("[1]", "{}", '{"each": [1]}', "{", "[" * 100_000):
        file.write_text(text)
        with pytest.raises(Malformed):
            read_other(file)
