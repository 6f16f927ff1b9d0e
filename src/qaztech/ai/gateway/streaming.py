"""The stream of one call: read, counted, restored and passed on, within what the call was allowed.

Its end is `serving`'s to settle. Whatever a server sends, a stream ends: pieces, events, bytes and time are bounded.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from qaztech.ai.gateway import answers, events
from qaztech.ai.gateway.answers import Produced, StreamRestorer
from qaztech.ai.gateway.books import Outcome
from qaztech.core.errors import Error, Unavailable
from qaztech.node.http_call import Response

if TYPE_CHECKING:
    from qaztech.ai.gateway.serving import Serving

_EVENTS = b"Content-Type:text/event-stream\r\nCache-Control:no-store\r\n"
# Pieces a stream may have beyond the tokens it was allowed, before it is one that never ends; bytes after its last one.
_SLACK = 256
_MOST_HELD = 1024 * 1024
# Seconds for a server to end the stream that it says is done.
_AFTER_DONE = 3.0


class Stream:
    """The stream of one call: passed on as it comes, but for its end, which waits for the record."""

    def __init__(self, serving: Serving, response: Response) -> None:
        self._of = serving
        self._response = response
        self._reader = events.EventReader()
        self._restorer = StreamRestorer(serving.vault) if serving.vault is not None else None
        self._produced = Produced(unfinished=serving.call.choices)
        self._hash = sha256()
        self._held: list[bytes] = []
        self._events = self._held_size = self._bytes = 0
        self._is_over = self._is_done = False

    def begin(self) -> None:
        """Answer the head, and take what comes."""
        request = self._of.request
        request.start(200, self._of.head(_EVENTS))
        request.on_drain = self._response.resume
        if self._response.body is not None:
            self._data(self._response.body)
            if not self._is_over:
                self._ended()
            return
        self._response.on_data = self._data
        self._response.on_end = self._ended

    def _data(self, piece: bytes) -> None:
        if self._is_over:
            return
        try:
            self._bytes += len(piece)
            if self._bytes > self._of.most_bytes:
                raise _endless()
            for data in self._reader.feed(piece):
                self._event(data)
        except Error as exc:
            self._cut(exc)
            return
        except Exception as exc:  # noqa: BLE001 - an event of a shape that nobody thought of
            self._cut(_malformed(type(exc).__name__))
            return
        request = self._of.request
        if not request.is_answered and not request.is_writable:
            self._response.pause()

    def _event(self, data: bytes) -> None:
        if self._is_done:
            return
        self._hash.update(data)
        if data == events.DONE:
            self._is_done = True
            self._of.soon(_AFTER_DONE, self._left)
            return
        try:
            found = answers.parse_answer(data)
        except Error:
            raise _malformed() from None
        if found.get("error") is not None:
            raise Unavailable("ai.server.failed", "the model's server broke its stream off", at="service")
        claimed = answers.claimed_usage(found)
        if claimed is not None:
            self._produced.claimed = claimed
        self._events += 1
        choices = found.get("choices")
        if not choices and claimed is not None and not self._of.call.wants_usage:
            return
        ends = self._count(choices if isinstance(choices, list) else [])
        self._pass_on(found, ends=ends)

    def _count(self, choices: list[Any]) -> bool:
        """Count what was produced; whether a choice ends with this event."""
        ends = False
        for choice in choices:
            if not isinstance(choice, dict):
                continue
            characters = sum(map(len, answers.texts_of(choice.get("delta") or choice.get("text") or "")))
            if characters:
                self._produced.pieces += 1
                self._produced.characters += characters
            if choice.get("finish_reason") is not None:
                self._produced.unfinished -= 1
                ends = True
        # Some events hold nothing, but none of them is for ever.
        most = self._of.most_completion + _SLACK
        if self._produced.pieces > most or self._events > 4 * most or self._held_size > _MOST_HELD:
            raise _endless()
        return ends

    def _pass_on(self, found: dict[str, Any], *, ends: bool) -> None:
        of = self._of
        choices = found.get("choices")
        if self._restorer is not None and isinstance(choices, list):
            found["choices"] = [
                self._restorer.choice(choice) if isinstance(choice, dict) else choice for choice in choices
            ]
        found.pop("qaztech", None)
        found["model"] = of.model.name
        place = of.place
        if ends and place is not None:
            found["qaztech"] = answers.mark(place.model, place.version, of.identifier)
        line = events.event(answers.encode(found))
        if self._held or (ends and self._produced.unfinished <= 0):
            self._held.append(line)
            self._held_size += len(line)
        else:
            of.request.write(line)

    def _ended(self) -> None:
        if self._is_over:
            return
        if self._is_done or (self._produced.unfinished <= 0 and self._reader.is_between):
            self._finish("complete", None)
        else:
            self._cut(Unavailable("ai.stream.broken", "the model's server broke its stream off", at="service"))

    def _left(self) -> None:
        """It said that it is done, and keeps the connection."""
        if not self._is_over:
            if self._of.out is not None:
                self._of.out.abort()
            self._finish("complete", None)

    def broke(self, error: Error) -> None:
        """The connection to the place ended, or took too long."""
        if not self._is_over:
            self._cut(error)

    def caller_gone(self) -> None:
        """Nobody reads any more."""
        if not self._is_over:
            self._cut(Unavailable("ai.caller.gone", "the caller went away", at="caller"), failed=False)

    def _cut(self, error: Error, *, failed: bool = True) -> None:
        out = self._of.out
        if out is not None:
            out.abort()
        self._finish("aborted", error, failed=failed)

    def _finish(self, outcome: Outcome, error: Error | None, *, failed: bool = False) -> None:
        self._is_over = True
        of = self._of
        of.leave(failed=failed)
        usage = self._produced.usage(of.prompt_bytes)
        then = self._complete if error is None else lambda: of.refuse(error)
        of.settle(outcome, usage, then, self._hash.hexdigest())

    def _complete(self) -> None:
        request = self._of.request
        for line in self._held:
            request.write(line)
        request.write(events.event(events.DONE))
        request.finish()
        self._of.end("complete")


def _endless() -> Unavailable:
    return Unavailable("ai.server.endless", "the model's server gives more than was asked for", at="service")


def _malformed(context: str = "") -> Unavailable:
    return Unavailable("ai.stream.malformed", "an event of the stream is not JSON", at="service", context=context)
