"""Message ids are the consumer node's to make: what it gains by making them otherwise."""

from __future__ import annotations

from adversary import message_id
from qaztech.core.time import SystemClock
from qaztech.node import frames

DAY = 24 * 3_600_000


def test_an_id_of_another_time_is_refused(country, adversary):
    """Under it the provider node would never find its own records again."""
    for days in (-400, 400):
        asked = adversary.ask("registers", country.echo, message=message_id(SystemClock().now() + days * DAY))
        with country.unrecorded("registers"), adversary.dial("registers") as wire:
            wire.prove(asked.frame)
            assert wire.is_cut()


def test_an_id_used_again_leaves_the_first_exchange_its_receipt(country, adversary):
    """Two calls under one id; the provider node's receipt is of the one that was here first."""
    with adversary.dial("registers") as wire:
        asked = adversary.ask("registers", country.echo, path="/first")
        wire.prove(asked.frame)
        assert wire.expect(frames.Response)
        again = adversary.ask("registers", country.echo, path="/second", message=asked.message)
        wire.prove(again.frame)
        assert wire.expect(frames.Response)
    receipt = country.manage("registers", f"/receipts/{asked.message}?disclose=path")
    assert len(receipt["messages"]) == 2
    assert [shown["value"] for shown in receipt["disclosure"]] == ["L2ZpcnN0"]
