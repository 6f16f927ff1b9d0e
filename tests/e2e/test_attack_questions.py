"""What one peer costs all others by asking."""

from __future__ import annotations

import threading
from contextlib import suppress
from uuid import UUID

from adversary import Silence
from qaztech.node import frames

FLOOD = 5000


def test_a_peer_that_asks_much_is_told_so_and_holds_up_nobody(country, adversary):
    """Each answer reads the disk and proves on the loop that all share: thousands in one packet get a few of them."""
    with adversary.dial("registers") as wire:
        asked = adversary.ask("registers", country.echo)
        wire.prove(asked.frame)
        assert wire.expect(frames.Response)
        message = UUID(asked.message).bytes
        flood = b"".join(frames.encode_frame(frames.Question(n, "proofs", message)) for n in range(FLOOD))
        threading.Thread(target=wire.raw, args=(flood,), daemon=True).start()
        answers = []
        # While the peer does not read, questions are passed over: fewer answers than questions is well.
        with suppress(Silence):
            while len(answers) < FLOOD:
                if isinstance(frame := wire.receive(2.0), frames.Answer):  # heads and pings come in between
                    answers.append(frame)
        assert {answer.code for answer in answers} == {"", "limit.questions"}
        assert sum(answer.code == "" for answer in answers) < FLOOD / 10
        assert wire.is_alive()
    assert country.manage("registers", "/health")["alive"]
