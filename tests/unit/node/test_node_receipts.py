"""Receipts as a node makes them, checked as anyone checks them: own proofs, the peer's, and what a peer may not do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import pytest

from qaztech.core.errors import Error, Malformed, NotFound, Unavailable
from qaztech.core.ids import NodeId
from qaztech.core.record import STREAMED, Record, parse_record
from qaztech.evidence.checkpoint import sign_checkpoint
from qaztech.evidence.merkle import Frontier
from qaztech.evidence.proof import TlogProof
from qaztech.node.journal import WITNESSED, Kept, seal_kept
from qaztech.node.receipts import PeerProof, ReceiptMaker
from qaztech.registry.verification import Verdict, Verifier
from receipt_country import HEADERS_SENT, MESSAGE, PATH_CALLED, QUERY_CALLED, Call, PaperLog, ReceiptCountry
from registry_country import Country

ID = UUID(MESSAGE)


@dataclass
class OwnLog:
    """A node's log as the maker reads it, from a log on paper."""

    paper: PaperLog
    call: Call
    is_witnessed: bool = True

    @property
    def origin(self) -> str:
        return self.paper.origin

    @property
    def size(self) -> int:
        return len(self.paper.leaves)

    def find(self, message: bytes) -> list[int]:
        return [p[self.origin] for _, p in self.call.records if self.origin in p] if message == ID.bytes else []

    def read(self, index: int) -> Any:
        record = next(r for r, places in self.call.records if places.get(self.origin) == index)
        secret = self.call.secrets.get(record.kind, b"")
        kept = Kept(secret, PATH_CALLED.decode(), QUERY_CALLED, HEADERS_SENT) if secret else Kept()
        return SimpleNamespace(index=index, data=record.data, private=seal_kept(kept), time=0)

    def checkpoint_note(self) -> bytes:
        frontier = Frontier()
        frontier.extend(self.paper.leaves)
        return sign_checkpoint(self.origin, self.size, frontier.root(), self.paper.desk.log_key)

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        assert size == self.size
        return list(TlogProof.parse(self.paper.proof(index, witnesses=())).hashes)

    def first_note_at_or_above(self, kind: int, key: int) -> tuple[int, bytes] | None:
        if kind == WITNESSED and self.is_witnessed and key <= self.size:
            return self.size, self.paper.note(self.size)
        return None

    def note_count(self, kind: int) -> int:
        return 0

    def read_note(self, kind: int, ordinal: int) -> tuple[int, bytes]:
        raise AssertionError


@dataclass
class Peer:
    """The other node's answer to the question for its proofs; or an error, or something else it says."""

    paper: PaperLog
    call: Call
    is_witnessed: bool = True
    extra: list[PeerProof] = field(default_factory=list)
    failure: Error | None = None

    def ask(self, node: NodeId, kind: str, payload: bytes, callback: Callable[[bytes | Error], None]) -> None:
        assert node == self.paper.desk.node
        callback(self.failure or msgspec.msgpack.encode([*self.proofs(), *self.extra]))

    def proofs(self) -> list[PeerProof]:
        return [self.proof(r, p[self.paper.origin]) for r, p in self.call.records if self.paper.origin in p]

    def proof(self, record: Record, index: int) -> PeerProof:
        witnesses = ("registry", "third") if self.is_witnessed else ()
        return PeerProof(record.data, self.paper.proof(index, witnesses=witnesses), self.is_witnessed)


@dataclass
class Desk:
    """The consumer's node at work on one call."""

    country: ReceiptCountry
    call: Call
    log: OwnLog
    peer: Peer

    async def make(self, *, wait: str = "witnessed", disclose: Sequence[str] = ()) -> tuple[dict[str, Any], Verdict]:
        async def excerpt(snapshots: Sequence[str], records: Sequence[Record]) -> dict[str, Any]:
            return self.country.maker.make(snapshots, records)

        maker = ReceiptMaker(
            log=self.log,
            configuration=self.country.client.configuration,
            policy=self.country.country.anchor.policy,
            excerpt=excerpt,
            asker=self.peer,
            timestamps=None,
            witness_soon=lambda: None,
        )
        receipt = await maker.make(ID, wait=wait, seconds=0, disclose=disclose)
        return receipt, Verifier(self.country.country.anchor).verify(json.dumps(receipt).encode())


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiptCountry]:
    registry = Country(tmp_path_factory.mktemp("country"))
    yield ReceiptCountry(registry)
    registry.close()


@pytest.fixture
def desk(country: ReceiptCountry) -> Callable[[Call], Desk]:
    """The node and its peer, for a call."""
    return lambda call: Desk(country, call, OwnLog(country.a, call), Peer(country.b, call))


async def test_a_receipt_says_of_itself_what_is_found(country: ReceiptCountry, desk: Callable[[Call], Desk]) -> None:
    """Witnessed, and every check of whoever gets it is passed."""
    for call in (country.answered(), country.streamed(), country.answer(country.request(), "refused")):
        receipt, verdict = await desk(call).make()
        assert verdict.ok, verdict.bad()
        assert receipt["state"] == verdict.state == "witnessed"


async def test_without_waiting_it_is_what_it_is(country: ReceiptCountry, desk: Callable[[Call], Desk]) -> None:
    """Recorded when nothing is witnessed; one-sided without the peer, an outcome, or a tail."""
    recorded = desk(country.answered())
    recorded.log.is_witnessed = recorded.peer.is_witnessed = False
    alone = desk(country.answered())
    alone.peer.failure = Unavailable("peer.unreachable", "down")
    streamed = country.answer(country.request(), size=STREAMED, body=STREAMED)
    for made, state in (
        (recorded, "recorded"),
        (alone, "one-sided"),
        (desk(country.request()), "one-sided"),
        (desk(streamed), "one-sided"),
    ):
        receipt, verdict = await made.make(wait="")
        # This log in memory keeps no head of the peer beside its answer, as a node does: without it that is nobody's.
        assert {check.name for check in verdict.bad()} == ({"exchange"} if made is alone else set()), verdict.bad()
        assert receipt["state"] == verdict.state == state


async def test_what_is_missing_is_said(country: ReceiptCountry, desk: Callable[[Call], Desk]) -> None:
    """Which side, of which record, and why."""
    alone = desk(country.answered())
    alone.peer.failure = Unavailable("peer.unreachable", "down")
    with pytest.raises(Unavailable, match=r"the peer's log has not proven the request record.*peer\.unreachable"):
        await alone.make()
    slow = desk(country.answered())
    slow.peer.is_witnessed = False
    with pytest.raises(Unavailable, match="the peer's log is not witnessed yet"):
        await slow.make()
    unknown = desk(Call(country.a, country.b))
    with pytest.raises(NotFound):
        await unknown.make()


async def test_a_field_is_disclosed_once(country: ReceiptCountry, desk: Callable[[Call], Desk]) -> None:
    """However often and in whatever way it is asked for."""
    receipt, verdict = await desk(country.answered()).make(disclose=["headers", "request.headers", "path", "path"])
    assert verdict.ok, verdict.bad()
    assert sorted((d["role"], d["field"]) for d in receipt["disclosure"]) == [
        ("request", "headers"), ("request", "path"), ("response", "headers"),
    ]  # fmt: skip
    for wrong in ("secret", "both.path"):
        with pytest.raises(Malformed):
            await desk(country.answered()).make(disclose=[wrong])


async def test_an_answer_only_the_peer_has_belongs_in(country: ReceiptCountry, desk: Callable[[Call], Desk]) -> None:
    """It came too late for us: the receipt shows both, and is one-sided."""
    call = country.answer(country.request(), "no-answer", country.a)
    receipt, verdict = await desk(country.answer(call, "response", country.b)).make(wait="")
    kinds = [m["role"] for m in receipt["messages"]]
    assert kinds == ["request", "response", "response"]
    assert verdict.ok, verdict.bad()
    assert verdict.state == "one-sided"


async def test_a_peer_cannot_spoil_a_receipt(country: ReceiptCountry, desk: Callable[[Call], Desk]) -> None:
    """What it alone has on record and contradicts the exchange is left out."""
    made = desk(country.answered())
    for kind in ("response", "refused"):
        (record, places) = country.answer(country.request(), kind, country.b).records[-1]
        made.peer.extra.append(made.peer.proof(record, places[country.b.origin]))
    receipt, verdict = await made.make()
    assert len(receipt["messages"]) == 2
    assert verdict.ok, verdict.bad()


@pytest.mark.parametrize("change", ["proof", "witnessed", "junk"])
async def test_a_peers_proof_is_checked_first(
    country: ReceiptCountry, desk: Callable[[Call], Desk], change: str
) -> None:
    """Before it is put into a receipt; who gave it is said."""
    made = desk(country.answered())
    first = made.peer.proofs()[0]
    if change == "proof":
        made.peer.extra = [PeerProof(first.record, first.proof.replace(b"index ", b"index 1"), True)]
    elif change == "witnessed":
        made.peer.is_witnessed = False
        made.peer.extra = [PeerProof(p.record, p.proof, True) for p in made.peer.proofs()]
    else:
        made.peer.extra = [PeerProof(b"junk", b"junk", True)]
    made.peer.call = Call(country.a, country.b)
    with pytest.raises(Unavailable, match="gave a proof that does not verify"):
        await made.make()


async def test_logs_are_listed_as_the_excerpt_has_them(country: ReceiptCountry, desk: Callable[[Call], Desk]) -> None:
    """By the member whose node keeps them, and the witnesses without one."""
    receipt, _ = await desk(country.answered()).make()
    assert [(log["origin"], log["member"]) for log in receipt["logs"][:2]] == [
        (country.a.origin, str(country.consumer.id)), (country.b.origin, str(country.provider.id)),
    ]  # fmt: skip
    assert all(parse_record(r.data) for r, _ in country.answered().records)
    assert {log["member"] for log in receipt["logs"][2:]} == {None}
