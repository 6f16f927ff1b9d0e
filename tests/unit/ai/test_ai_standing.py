"""The answer about cards: read strictly, so that no doubt becomes a call."""

from __future__ import annotations

import msgspec
import pytest

from qaztech.ai.register.standing import MOST_BYTES, CardStanding, Standing, parse_standing, standing_bytes
from qaztech.ai.terms import CLASSES, HIGHEST_OF, within
from qaztech.core.errors import Malformed

CARD = CardStanding(
    id="triage", owner="KZ/GOV/111140005555", system="health", state="in-service", callable=True, risk="high",
    mode="local", highest_class="personal", until=1_900_000_000_000,
)  # fmt: skip


def test_an_answer_is_read_as_it_was_written() -> None:
    """What the register writes, a gateway reads, and finds each card by its id."""
    held = Standing(time=1_800_000_000_000, cards=(CARD,))
    assert parse_standing(standing_bytes(held)) == held
    assert held.card("triage") == CARD
    assert held.card("other") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"time": 1}',
        b"[" * 100_000,
        b" " * (MOST_BYTES + 1),
        b'{"time": -1, "cards": []}',
        standing_bytes(Standing(time=1, cards=(CARD, CARD))),
        standing_bytes(Standing(time=1, cards=(msgspec.structs.replace(CARD, callable=False),))),
        standing_bytes(Standing(time=1, cards=(msgspec.structs.replace(CARD, why="suspended"),))),
        standing_bytes(Standing(time=1, cards=(msgspec.structs.replace(CARD, state="suspended"),))),
    ],
)
def test_an_answer_in_doubt_is_refused(data: bytes) -> None:
    """Neither half an answer nor one that contradicts itself is an answer."""
    with pytest.raises(Malformed) as caught:
        parse_standing(data)
    assert caught.value.code == "ai.standing.malformed"


def test_classes_have_an_order_that_modes_bound() -> None:
    """An open system takes public data only, a closed one no restricted data."""
    assert [within(data, HIGHEST_OF["open"]) for data in CLASSES] == [True, False, False, False]
    assert [within(data, HIGHEST_OF["closed"]) for data in CLASSES] == [True, True, True, False]
