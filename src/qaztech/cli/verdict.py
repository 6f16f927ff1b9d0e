"""A receipt's verdict as it is printed: for people in aligned lines, for programs as JSON.

Everything that is printed of a receipt is made printable first: it comes from whoever made the file.
"""

from __future__ import annotations

import argparse
import re
import sys
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from qaztech.core.errors import Error
from qaztech.evidence.examination import BAD, OK, Check, Finding
from qaztech.evidence.receipt import MAX_RECEIPT
from qaztech.registry.anchor import MAX_ANCHOR, Anchor, parse_anchor
from qaztech.registry.verification import Summary, Verdict, Verifier

_COLOURS: dict[Finding, str] = {"ok": "32", "bad": "31;1", "cannot check": "33"}
_ORIGIN = re.compile(r"[a-z0-9.-]{1,100}/log/([0-9a-f]{8})[0-9a-f]{12}")


def verify(args: argparse.Namespace, anchor_file: Path) -> int:
    """Verify, print, and say by the exit status whether the receipt verifies."""
    try:
        with ExitStack() as files:
            anchor = parse_anchor(_read(anchor_file, MAX_ANCHOR, "the anchor"))
            data = _read(args.receipt, MAX_RECEIPT, "the receipt")
            body = _open(args.body, files) if args.body is not None else None
            request_body = _open(args.request_body, files) if args.request_body is not None else None
            verdict = Verifier(anchor).verify(data, require=args.require, body=body, request_body=request_body)
    except OSError as exc:
        return _fail(f"cannot read {exc.filename}: {exc.strerror}")
    except Error as exc:
        return _fail(f"{anchor_file} is no anchor that can be used: {exc.detail}. Ask the registry for the file")
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(as_json(verdict, anchor)), indent=2).decode())
    else:
        print("\n".join(lines(verdict, anchor, colour=sys.stdout.isatty())))
    return 0 if verdict.ok else 1


def as_json(verdict: Verdict, anchor: Anchor) -> dict[str, object]:
    """The verdict for programs."""
    return {"ok": verdict.ok, "anchor": anchor.fingerprint} | asdict(verdict)


def lines(verdict: Verdict, anchor: Anchor, *, colour: bool) -> list[str]:
    """The verdict for people, line by line."""
    found = []
    if verdict.exchange is not None:
        found += [_exchange(verdict.exchange), f"message {_plain(verdict.message)}", ""]
    width = max(len(_short(check.subject)) for check in verdict.checks)
    found += [_check(check, width, colour=colour) for check in verdict.checks]
    found += ["", f"anchor  {anchor.fingerprint}"]
    if verdict.state is not None:
        found.append(f"state   {verdict.state}{_when(verdict)}")
    if verdict.ok:
        found.append(_paint("the receipt verifies", OK, colour=colour))
    else:
        bad = len(verdict.bad())
        why = [f"{bad} check{'s' if bad > 1 else ''} failed"] if bad else []
        found.append(_paint(f"THE RECEIPT DOES NOT VERIFY: {'; '.join([*why, *verdict.unmet])}", BAD, colour=colour))
    return found


def _exchange(exchange: Summary) -> str:
    return _plain(
        f"{exchange.client} → {exchange.service}  {exchange.method} ({exchange.endpoint})  {exchange.outcome}"
        f"  {_moment(exchange.time)}"
    )


def _check(check: Check, width: int, *, colour: bool) -> str:
    verdict = _paint(f"{check.verdict:12}", check.verdict, colour=colour)
    return f"{verdict}  {check.name:13}  {_short(check.subject):{width}}  {_short(check.detail)}".rstrip()


def _when(verdict: Verdict) -> str:
    witnessed = verdict.exchange.witnessed if verdict.exchange is not None else None
    return f", by {_moment(witnessed)}" if witnessed is not None else ""


def _moment(milliseconds: int) -> str:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds} ms after 1970"  # a number that is no date


def _short(text: str) -> str:
    return _ORIGIN.sub(r"log \1…", _plain(text))


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _paint(text: str, verdict: Finding, *, colour: bool) -> str:
    return f"\x1b[{_COLOURS[verdict]}m{text}\x1b[0m" if colour else text


def _read(path: Path | str, limit: int, what: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read(limit + 1)
    try:
        with Path(path).open("rb") as file:
            return file.read(limit + 1)
    except OSError as exc:
        exc.filename = f"{what} {path}"
        raise


def _open(path: Path, files: ExitStack) -> BinaryIO:
    return files.enter_context(path.open("rb"))


def _fail(why: str) -> int:
    print(f"qaztech verify: {_plain(why)}", file=sys.stderr)
    return 1
