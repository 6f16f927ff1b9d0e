"""A witness that is a process of its own: what it answers when it cannot remember."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from qaztech.compose.witness import answer_to
from qaztech.core.time import ManualClock
from qaztech.evidence.checkpoint import sign_checkpoint
from qaztech.evidence.cosignature import Cosigner
from qaztech.evidence.merkle import EMPTY_ROOT
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.evidence.witness import SqliteWitnessStore, Witness, format_add_checkpoint
from qaztech.node.http_server import HttpServer
from qaztech.trust.keys import Ed25519Key

ORIGIN = "log.example"


async def test_a_witness_that_cannot_remember_does_not_cosign_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its disk is full, say: one line in the log and 503 for who asks, not a broken connection."""
    key = Ed25519Key.from_seed(b"\1" * 32)
    store = SqliteWitnessStore(tmp_path / "witness.db")
    witness = Witness(
        store=store, keys=Cosigner(name="w.example", ed25519=Ed25519Key.from_seed(b"\3" * 32)), clock=ManualClock(),
        log_keys=lambda _: (VerifierKey.of(ORIGIN, ED25519, key.public),),
    )  # fmt: skip
    store.close()
    body = format_add_checkpoint(0, [], sign_checkpoint(ORIGIN, 0, EMPTY_ROOT, key))
    server = HttpServer(on_request=lambda request: answer_to(witness, None, request))
    port = await server.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with caplog.at_level(logging.WARNING):
        head = f"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await asyncio.wait_for(reader.readuntil(b"memory\n"), 5)
    writer.close()
    await server.drain(0.5)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert [record.getMessage() for record in caplog.records] == ["request failed"]
