"""What a peer may say and do so that the other side's receipts are worth nothing; none of it helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from test_node_receipts import ID, Desk, country, desk

from qaztech.core.errors import Unavailable
from qaztech.core.record import format_record
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.cosignature import cosign_ed25519
from qaztech.evidence.note import format_note
from qaztech.evidence.proof import TlogProof
from qaztech.evidence.receipt import MAX_MESSAGES
from qaztech.node.journal import Kept, seal_kept
from qaztech.node.receipts import PeerProof, ReceiptMaker
from qaztech.trust.keys import Ed25519Key
from receipt_country import Call, ReceiptCountry

__all__ = ["country", "desk"]  # fixtures

YEAR = 365 * 24 * 3_600_000


async def test_a_strangers_line_under_the_peers_checkpoint_is_left_away(
    country: ReceiptCountry, desk: Callable[[Call], Desk]
) -> None:
    """It verifies for us, who pass it over, and for nobody who checks the receipt."""
    made = desk(country.answered())
    stranger = Ed25519Key.from_seed(sha256(b"stranger").digest())

    def with_stranger(given: PeerProof) -> PeerProof:
        proof = TlogProof.parse(given.proof)
        signed = SignedCheckpoint.parse(proof.checkpoint)
        line = cosign_ed25519(signed, "kz.qaztech.example/witness/nobody", stranger, 1)
        note = format_note(signed.note.with_signatures([line]))
        return PeerProof(given.record, replace(proof, checkpoint=note).format(), given.witnessed)

    proofs = made.peer.proofs()
    made.peer.proofs = lambda: list(map(with_stranger, proofs))  # type: ignore[method-assign]
    _, verdict = await made.make()
    assert verdict.ok, verdict.bad()
    assert verdict.state == "witnessed"


@pytest.mark.parametrize("years", [-50, 50])
async def test_a_record_of_another_time_is_left_out(
    country: ReceiptCountry, desk: Callable[[Call], Desk], years: int
) -> None:
    """The peer says that it broke off what was answered, or when no key was in force."""
    call = country.answered()
    made = desk(call)
    back = {"from_": country.b.origin, "to": country.a.origin}
    for time in (country.country.clock.now() + years * YEAR, country.country.clock.now()):
        more = country.answer(
            Call(call.a, call.b, call.records[:1], call.secrets), "aborted", country.b, **back, time=time
        )
        record, places = more.records[-1]
        made.peer.extra.append(made.peer.proof(record, places[country.b.origin]))
    receipt, verdict = await made.make()
    assert len(receipt["messages"]) == 2
    assert verdict.ok, verdict.bad()


async def test_a_record_proven_at_another_place_is_not_taken(
    country: ReceiptCountry, desk: Callable[[Call], Desk]
) -> None:
    """It stands twice in the peer's log, and the tail names the place from which it came to us."""
    call = country.streamed()
    made = desk(call)
    head, places = next((record, p) for record, p in call.records if record.kind == "response")
    read = made.log.read

    def with_place(index: int) -> Any:
        stored = read(index)
        if stored.data == head.data:
            stored.private = seal_kept(Kept(peer_index=places[country.b.origin]))
        return stored

    made.log.read = with_place  # type: ignore[method-assign]
    _, verdict = await made.make()
    assert verdict.ok, verdict.bad()
    twice = country.b.append(head)
    proofs = [p if p.record != head.data else made.peer.proof(head, twice) for p in made.peer.proofs()]
    made.peer.proofs = lambda: proofs  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="another place"):
        await made.make()


async def test_an_id_used_again_does_not_spoil_the_exchange_that_had_it(
    country: ReceiptCountry, desk: Callable[[Call], Desk]
) -> None:
    """By the peer, for a call of its own to us; our own exchange is the one that the receipt is of."""
    call = country.answered()
    request = dict(call.records[0][0].fields)
    request["from_"], request["to"] = request.pop("to"), request.pop("from")
    again = format_record("request", **request)
    call.records.insert(0, (again, {country.a.origin: country.a.append(again)}))
    made = desk(call)
    receipt, verdict = await made.make()
    assert len(receipt["messages"]) == 2
    assert verdict.ok, verdict.bad()
    assert verdict.state == "witnessed"


def test_an_answer_to_a_peer_has_an_end(country: ReceiptCountry, desk: Callable[[Call], Desk]) -> None:
    """However many records the peer has put under one id."""
    call = country.request()
    for attempt in range(2, 30):
        call.put(format_record("request", **country.fields(attempt=attempt)))
    made = desk(call)
    maker = ReceiptMaker.__new__(ReceiptMaker)
    maker._log = made.log
    answer = maker.answer_proofs(ID.bytes, country.b.origin, timestamped=False)
    assert len(msgspec.msgpack.decode(answer)) == MAX_MESSAGES
