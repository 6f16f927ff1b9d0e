"""Receipts from whichever log of the node holds the message, for a peer under whichever origin it has now."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from qaztech.core.time import ManualClock
from qaztech.evidence.log import Entry, Log
from qaztech.evidence.storage import OsStorage
from qaztech.node.closed_logs import NOTHING, ClosedLogReader, PastTimestamps, ReceiptsOfAllLogs, open_closed_logs
from qaztech.registry.member_file import log_origin
from qaztech.trust.keys import Ed25519Key

OLD, NEW, UNKNOWN = UUID(int=1), UUID(int=2), UUID(int=3)


class Maker:
    """Makes receipts for one log; knows one peer by the origin that stands in its records."""

    def __init__(self, name: str, message: UUID, party: str) -> None:
        self.name, self.message, self.party = name, message, party

    def find(self, message: bytes) -> list[int]:
        return [0] if message == self.message.bytes else []

    def answer_proofs(self, message: bytes, peer: str, *, timestamped: bool) -> bytes:
        del message, timestamped
        return self.name.encode() if peer == self.party else NOTHING

    async def make(self, message: UUID, **more: Any) -> str:
        del message, more
        return self.name

    async def outcome(self, message: UUID, client: None) -> str:
        del message, client
        return self.name


@pytest.fixture
def receipts() -> ReceiptsOfAllLogs:
    """The node has a log and one before it; so has its peer, whose origins are `p1` and now `p2`."""
    logs = {o: SimpleNamespace(origin=o, node=n) for o, n in (("p1", "peer"), ("p2", "peer"), ("x", "stranger"))}
    configuration = SimpleNamespace(log=logs.get, logs=logs.values)
    makers: Any = [(m, m) for m in (Maker("present", NEW, "p2"), Maker("closed", OLD, "p1"))]
    return ReceiptsOfAllLogs(makers, lambda: configuration)  # type: ignore[arg-type, return-value]


async def test_the_log_that_has_the_message_speaks(receipts: ReceiptsOfAllLogs) -> None:
    """The present one where none has, for it says so best."""
    for message, name in ((OLD, "closed"), (NEW, "present"), (UNKNOWN, "present")):
        assert await receipts.make(message, wait="", seconds=1, disclose=[]) == name  # type: ignore[comparison-overlap]
        assert await receipts.outcome(message, None) == name  # type: ignore[comparison-overlap]


def test_a_peer_is_a_party_under_every_origin_it_had(receipts: ReceiptsOfAllLogs) -> None:
    """Its node is the same; another node's log is not, nor one that nobody has named."""
    for peer in ("p1", "p2"):
        assert receipts.answer_proofs(OLD.bytes, peer, timestamped=False) == b"closed"
        assert receipts.answer_proofs(NEW.bytes, peer, timestamped=False) == b"present"
    for stranger in ("x", "nobody"):
        assert receipts.answer_proofs(OLD.bytes, stranger, timestamped=False) == NOTHING
    assert receipts.answer_proofs(UNKNOWN.bytes, "p1", timestamped=False) == b"present", "as that one answers"


def test_a_closed_log_is_read_as_it_was_signed(tmp_path: Path) -> None:
    """Entries, proofs and notes; one that cannot be read is passed over."""
    key, clock = Ed25519Key.generate(), ManualClock()
    message = clock.now().to_bytes(6) + bytes(10)
    (tmp_path / "one").mkdir()
    with Log.create(
        tmp_path / "one" / "log", storage=OsStorage(), key=key, origin=log_origin("KZ", key.public), clock=clock
    ) as log:
        log.commit([Entry(message, clock.now(), b"data", b"kept")])
        head = log.head
    (tmp_path / "two" / "log").mkdir(parents=True)
    (closed,) = open_closed_logs(tmp_path, OsStorage())
    assert isinstance(closed, ClosedLogReader)
    assert (closed.origin, closed.size, closed.checkpoint_note()) == (log_origin("KZ", key.public), 1, head.note)
    assert closed.find(message) == [0]
    assert (closed.read(0).data, closed.inclusion_proof(0, 1), closed.note_count(3)) == (b"data", [], 0)
    assert closed.first_note_at_or_above(3, 0) is None
    assert open_closed_logs(tmp_path / "none", OsStorage()) == []


def test_no_timestamp_is_asked_for_a_closed_log() -> None:
    """Those there are still count."""
    wanted: list[bool] = []
    present = SimpleNamespace(holds=lambda token, _: token == b"good", want=lambda: wanted.append(True))
    past = PastTimestamps(present)
    past.want()
    assert (wanted, past.holds(b"good", b""), past.holds(b"bad", b"")) == ([], True, False)
