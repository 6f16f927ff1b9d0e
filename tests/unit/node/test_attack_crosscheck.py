"""A peer that shows two histories, and what it may say so that the check against the witnesses does not find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from qaztech.core.errors import Error
from qaztech.core.time import ManualClock
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.merkle import consistency_proof, node_hash
from qaztech.node.crosscheck import PATIENCE, PATIENT_FOR, CrossCheck
from qaztech.node.journal import Remembered
from receipt_country import PaperLog, ReceiptCountry
from registry_country import Country


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiptCountry]:
    registry = Country(tmp_path_factory.mktemp("country"))
    yield ReceiptCountry(registry)
    registry.close()


class Peer:
    """The provider's node: the history it shows us, and the size of the witnessed checkpoint it answers with."""

    def __init__(self, country: ReceiptCountry) -> None:
        self.country = country
        self.log = PaperLog(country.provider, country.country, [bytes([n]) * 32 for n in range(20)])
        self.witnessed = 10
        self.shown = 20
        self.asked: list[int] = []

    def all(self) -> dict[str, Remembered]:
        note = SignedCheckpoint.parse(self.log.note(self.shown, witnesses=()))
        return {self.log.origin: Remembered(note.size, note.root, note.note.signatures[0].signature)}

    def ask(self, _: Any, __: str, payload: bytes, callback: Callable[[bytes | Error], None]) -> None:
        def node(level: int, index: int) -> bytes:
            if level == 0:
                return self.log.leaves[index]
            return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

        asked = int.from_bytes(payload)
        self.asked.append(asked)
        old, new = sorted((asked, self.witnessed))
        proof = consistency_proof(old, new, node) if old != new else []
        callback(msgspec.msgpack.encode([self.log.note(self.witnessed), proof]))


@pytest.fixture
def peer(country: ReceiptCountry) -> Peer:
    return Peer(country)


@pytest.fixture
def reported() -> list[str]:
    return []


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(0)


@pytest.fixture
def check(country: ReceiptCountry, peer: Peer, reported: list[str], clock: ManualClock) -> CrossCheck:
    return CrossCheck(
        accepted=peer,  # type: ignore[arg-type]
        consumer=peer,  # type: ignore[arg-type]
        configuration=country.client.configuration,
        policy=country.country.anchor.policy,
        incidents=SimpleNamespace(report=lambda error, peer: reported.append(error.code)),  # type: ignore[arg-type]
        clock=clock,
    )


async def test_what_was_witnessed_before_a_head_does_not_vouch_for_it(
    check: CrossCheck, peer: Peer, reported: list[str], clock: ManualClock
) -> None:
    """A peer that forks shows what witnesses saw before: it is asked again, and in the end the operator is told."""
    for _ in range(PATIENCE):
        assert reported == []
        await check.round()
        clock.advance(PATIENT_FOR // (PATIENCE - 1) + 1)
    assert reported == ["peer.unwitnessed"]
    assert peer.asked == [20] * PATIENCE
    await check.round()
    assert reported == ["peer.unwitnessed"]


async def test_a_peer_has_its_own_time_to_be_witnessed(
    check: CrossCheck, peer: Peer, reported: list[str], clock: ManualClock
) -> None:
    """A node that looks each second does not accuse a peer whose log is witnessed each half minute."""
    for _ in range(70):
        await check.round()
        clock.advance(1000)
    peer.witnessed = 20
    await check.round()
    assert reported == []


async def test_a_head_is_checked_when_it_is_covered(check: CrossCheck, peer: Peer, reported: list[str]) -> None:
    """A busy log is always ahead of its witnesses: the head asked about first is waited for, then the newest."""
    peer.shown = 15
    await check.round()
    peer.witnessed, peer.shown = 16, 20
    await check.round()
    assert peer.asked == [15, 15]
    await check.round()
    peer.witnessed = 20
    for _ in range(3):
        await check.round()
    assert peer.asked == [15, 15, 20, 20]
    assert reported == []
