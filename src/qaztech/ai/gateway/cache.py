"""Answers kept for equal questions of one organisation: exact, in memory, bounded; never of personal data.

A question is equal when every byte that would be sent is. Streams are not kept.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from qaztech.ai.terms import DataClass, within

_HIGHEST: DataClass = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer as its server gave it, and which place that was."""

    body: bytes
    place: str
    until: float


class AnswerCache:
    """At most so many bytes of answers, the least recently asked going first. Times are the loop's, in seconds."""

    def __init__(self, most_bytes: int = 16 * 1024 * 1024) -> None:
        self._most = most_bytes
        self._size = 0
        self._answers: OrderedDict[tuple[str, str, str], Answer] = OrderedDict()

    @staticmethod
    def may_hold(data_class: DataClass, *, has_personal: bool, stream: bool) -> bool:
        """Whether the answer to a call may be kept at all."""
        return not has_personal and not stream and within(data_class, _HIGHEST)

    def get(self, member: str, model: str, digest: str, now: float) -> Answer | None:
        """The answer to an equal question of this member, if there was one lately."""
        place = (member, model, digest)
        found = self._answers.get(place)
        if found is None:
            return None
        if found.until <= now:
            self._drop(place)
            return None
        self._answers.move_to_end(place)
        return found

    def put(self, member: str, model: str, digest: str, answer: Answer) -> None:
        """Keep an answer."""
        place = (member, model, digest)
        if place in self._answers:
            self._drop(place)
        if len(answer.body) > self._most // 4:
            return
        self._answers[place] = answer
        self._size += len(answer.body)
        while self._size > self._most:
            self._drop(next(iter(self._answers)))

    def _drop(self, place: tuple[str, str, str]) -> None:
        self._size -= len(self._answers.pop(place).body)
