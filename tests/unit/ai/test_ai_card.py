"""The card: what is taken, what is refused, what it lacks."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ai_cards import CARD, OWNER
from qaztech.ai.register.card import MOST_BYTES, PROHIBITED, Card, card_bytes, missing, parse_card, unchecked
from qaztech.core.errors import Malformed


def changed(**values: Any) -> bytes:
    """The card as JSON with other values."""
    return json.dumps(json.loads(card_bytes(CARD)) | values).encode()


def test_a_card_is_read_as_it_was_written() -> None:
    """Every field comes back, and the same card gives the same bytes."""
    assert parse_card(card_bytes(CARD)) == CARD
    assert card_bytes(parse_card(card_bytes(CARD))) == card_bytes(CARD)


def test_a_whole_card_lacks_nothing_and_an_empty_one_nearly_all() -> None:
    """What is missing is told by the names of fields; the marking only where there is something to mark."""
    empty = Card(id="new-card", owner=OWNER, system="health")
    assert missing(CARD) == ()
    assert unchecked(CARD) == ()
    assert set(missing(empty)) >= {"names", "purpose", "models", "risk_review", "objection", "evaluation", "marking"}
    assert unchecked(empty) == PROHIBITED
    sorts = msgspec.structs.replace(empty, marking=msgspec.structs.replace(empty.marking, synthetic=False))
    assert "marking" not in missing(sorts)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * (MOST_BYTES + 1),
        changed(id="Big Letters"),
        changed(id="a" * 64),
        changed(id="../etc"),
        changed(owner="KZ/GOV"),
        changed(owner="KZ/GOV/99134000001%37"),
        changed(system="a/b"),
        changed(system=" health"),
        changed(risk="none"),
        changed(unknown=1),
        changed(names={"kk": "a\u0000", "ru": "", "en": ""}),
        changed(names={"kk": "a\u202eb", "ru": "", "en": ""}),
        changed(names={"kk": "a" * 4_001, "ru": "", "en": ""}),
        changed(prohibited=[json.loads(card_bytes(CARD))["prohibited"][0]] * 2),
        changed(evaluation=[{"language": "kk", "measure": "x", "value": 1e10, "day": "2026-01-01"}]),
        changed(risk_review="2026-13-01"),
        changed(objection={"how": {}, "address": "javascript:alert(1)"}),
        changed(human_review={"how": {}, "address": "https://a b"}),
        changed(documents=[{"kind": "x1", "title": "t", "sha256": "00", "day": "2026-01-01"}]),
        changed(models=[{"name": "m", "residency": "Kazakhstan"}]),
    ],
)
def test_what_is_no_card_is_refused(data: bytes) -> None:
    """With our own error, whatever comes."""
    with pytest.raises(Malformed):
        parse_card(data)
