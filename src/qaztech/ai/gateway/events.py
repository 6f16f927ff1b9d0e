"""Server-sent events as model servers send them, read in pieces of any size (WHATWG HTML, section 9.2.6).

Strict where a stream could be taken for another: text that is not UTF-8, an event without end, a line without a known
field. Comments and fields other than `data` are passed over, as the standard says.
"""

from __future__ import annotations

from qaztech.core.errors import Unavailable

# Bytes of one event; a model's event is some hundred.
MOST = 1024 * 1024
DONE = b"[DONE]"
_FIELDS = frozenset({b"data", b"event", b"id", b"retry"})


class EventReader:
    """Takes pieces of a stream and gives the data of each event that is complete."""

    __slots__ = ("_lines", "_rest", "_size")

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of the events that this piece completes. Raises `Unavailable`: the server does not speak events."""
        text = self._rest + piece
        if b"\r" in text:
            # A lone CR at the end may be half of a CRLF.
            cut = text.endswith(b"\r")
            kept, text = (b"\r", text[:-1]) if cut else (b"", text)
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        else:
            kept = b""
        *lines, rest = text.split(b"\n")
        self._rest = rest + kept
        found = []
        for line in lines:
            if line:
                self._line(line)
            elif self._lines:
                found.append(b"\n".join(self._lines))
                self._lines, self._size = [], 0
        if self._size + len(self._rest) > MOST:
            raise _malformed("an event is longer than a megabyte")
        return found

    @property
    def is_between(self) -> bool:
        """Whether nothing of an event is waiting for its rest."""
        return not self._lines and not self._rest.strip(b"\r")

    def _line(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if not name:
            return  # a comment, by which servers keep connections open
        if name not in _FIELDS:
            raise _malformed("a line of an event stream begins with no field it can have")
        if name == b"data":
            self._lines.append(value.removeprefix(b" "))
            self._size += len(value) + 1


def event(data: bytes) -> bytes:
    """One event with these data, which hold no line break."""
    return b"data: " + data + b"\n\n"


def _malformed(detail: str) -> Unavailable:
    return Unavailable("ai.stream.malformed", detail, at="service")
