"""What a peer may ask over the link: our proofs for an exchange of ours, and our newest witnessed checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable

from qaztech.core.errors import Error, Limited, Malformed
from qaztech.evidence.witnessing import Witnessing
from qaztech.node.closed_logs import Receipts
from qaztech.node.crosscheck import WITNESSED, answer_witnessed
from qaztech.node.frames import Answer, Question
from qaztech.node.link import Link
from qaztech.node.own_log import OwnLog
from qaztech.node.receipts import PROOFS
from qaztech.node.throttle import Throttle

logger = logging.getLogger("qaztech.questions")
# An answer reads the disk and proves, on the loop that all exchanges share: so many at once, then so many a second.
AT_ONCE = 100.0
PER_SECOND = 50.0


class Questions:
    """Answers the questions of peers. Only a party to an exchange is told of it."""

    def __init__(
        self,
        *,
        log: OwnLog,
        receipts: Callable[[], Receipts],
        witnessing: Callable[[], Witnessing],
        seconds: Callable[[], float],
    ) -> None:
        self._log = log
        self._receipts = receipts
        self._witnessing = witnessing
        self._seconds = seconds
        self._asked = Throttle(failures=AT_ONCE, per_second=PER_SECOND)

    def answer(self, link: Link, question: Question) -> None:
        """Answer one question, in words the peer may see; of a peer that does not read, none: answers would pile up."""
        if not link.writable:
            return
        try:
            self._take(link.origin)
            payload, code = self._payload(link, question), ""
        except Error as exc:
            payload, code = b"", exc.code
        link.send(Answer(question.number, code, payload))

    def _take(self, peer: str) -> None:
        now = self._seconds()
        if not self._asked.allows(peer, now):
            raise Limited("limit.questions", "the peer asks too much", at="caller")
        self._asked.failed(peer, now)

    def _payload(self, link: Link, question: Question) -> bytes:
        if question.kind == PROOFS and len(question.payload) in {16, 17}:
            message, timestamped = question.payload[:16], question.payload[16:] == b"t"
            return self._receipts().answer_proofs(message, link.origin, timestamped=timestamped)
        if question.kind == WITNESSED and len(question.payload) == 8:
            witnessing = self._witnessing()
            latest = witnessing.latest
            size = latest.checkpoint.size if latest is not None else 0
            return answer_witnessed(self._log, witnessing.latest_note, size, int.from_bytes(question.payload))
        raise Malformed("question.malformed", "no such question", at="caller")
