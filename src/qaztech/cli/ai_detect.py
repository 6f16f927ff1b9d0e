"""`qaztech ai detect`: personal data in a file of texts, a JSON object a line. What is read goes nowhere else."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from qaztech.cli.options import add_action, add_json
from qaztech.core.errors import Malformed

if TYPE_CHECKING:
    from qaztech.ai.personal.spans import Span
    from qaztech.cli.verbs import Verbs

# The longest line that is read, in bytes.
_LONGEST = 64 * 1024 * 1024


def add_detect(actions: Verbs) -> None:
    """The action and its options."""
    detect = add_action(
        actions, "detect", "find personal data in a file of texts", _detect,
        more="The file has a JSON object a line, its text in `text`; other fields are left out of what is printed, but "
        "for `id`. Places are counted in code points. A line that cannot be read is named and the rest is read.",
    )  # fmt: skip
    detect.add_argument("file", metavar="FILE", help="the file, or - for standard input")
    add_json(detect)


def _detect(args: argparse.Namespace) -> int:
    from qaztech.ai.personal.finding import finder  # noqa: PLC0415

    look = finder()
    faults = 0
    with _opened(args.file) as lines:
        for number, line in _lines(lines):
            try:
                identifier, text = _read(line)
            except Malformed as exc:
                print(f"line {number}: {exc.detail}", file=sys.stderr)
                faults += 1
                continue
            if text is not None:
                _print(number, identifier, text, look.find(text), as_json=args.json)
    return 1 if faults else 0


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115
    except OSError as exc:
        raise Malformed("ai.detect.file", f"the file cannot be read: {exc.strerror}") from exc
    with file:
        yield file


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers, one in memory at a time; one that is too long comes cut."""
    number, whole = 0, True
    while line := file.readline(_LONGEST + 1):
        if whole:
            number += 1
            yield number, line
        whole = line.endswith(b"\n")


def _read(line: bytes) -> tuple[str | int | None, str | None]:
    """The identifier and the text of a line; no text for an empty line. Raises `Malformed`, never with the text."""
    if len(line) > _LONGEST:
        raise Malformed("ai.detect.line", f"the line is longer than {_LONGEST} bytes")
    if not line.strip():
        return None, None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise Malformed("ai.detect.line", "this is not JSON in UTF-8") from exc
    if not isinstance(found, dict) or not isinstance(found.get("text"), str):
        raise Malformed("ai.detect.line", "this is not an object with a field `text`")
    identifier = found.get("id")
    return identifier if isinstance(identifier, str | int) else None, found["text"]


def _print(number: int, identifier: str | int | None, text: str, spans: tuple[Span, ...], *, as_json: bool) -> None:
    if as_json:
        listed = [
            {"start": span.start, "end": span.end, "kind": span.kind, "confidence": span.confidence} for span in spans
        ]
        known = {} if identifier is None else {"id": identifier}
        print(json.dumps({"line": number, **known, "spans": listed}, ensure_ascii=False))
        return
    for span in spans:
        shown = text[span.start : span.end].encode("utf-8", "replace").decode().replace("\n", " ")
        print(f"{number}:{span.start}-{span.end}  {span.kind:10}  {''.join(filter(str.isprintable, shown))}")
