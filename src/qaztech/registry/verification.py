"""Verifying a receipt offline, from the anchor alone (docs/formats/receipt.md).

A `Verifier` holds one anchor and remembers what it verified: parts of configurations, checkpoints, timestamps. What a
receipt says of itself is not believed. Every failure is a `Check` of the verdict: what a receipt holds raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import BinaryIO

from qaztech.core.errors import Error, Untrusted
from qaztech.evidence.examination import (
    BAD,
    CANNOT,
    NAMES,
    OK,
    Check,
    Entry,
    Exchange,
    Finding,
    Head,
    Heads,
    Remembered,
    check_disclosures,
    check_exchange,
    check_inclusion,
    proof_subject,
    read_entries,
)
from qaztech.evidence.receipt import STATES, Receipt, Role, State, Token, parse_receipt
from qaztech.evidence.timestamp import Authorities
from qaztech.registry.anchor import Anchor, parse_anchor
from qaztech.registry.configuration import Configuration, LogEntry
from qaztech.registry.excerpt import ExcerptVerifier, VerifiedExcerpt
from qaztech.registry.standing import SKEW, check_listed, check_parties, check_right, check_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The exchange in a few words, as its records name it."""

    client: str
    service: str
    method: str
    endpoint: str
    outcome: str
    time: int
    witnessed: int | None
    """When the last record was witnessed, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found. `state` is recomputed; `unmet` says what of that which was asked for was not found."""

    checks: tuple[Check, ...]
    message: str = ""
    stated: State | None = None
    state: State | None = None
    exchange: Summary | None = None
    unmet: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the receipt verifies: nothing is bad, and what was asked for is there."""
        return not self.unmet and all(check.verdict != BAD for check in self.checks)

    def bad(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.verdict == BAD)


def verify_receipt(
    data: bytes,
    anchor: bytes,
    *,
    require: State | None = None,
    body: BinaryIO | None = None,
    request_body: BinaryIO | None = None,
) -> Verdict:
    """Verify one receipt; raises `Malformed` where the anchor is none. Whoever verifies many keeps a `Verifier`."""
    return Verifier(parse_anchor(anchor)).verify(data, require=require, body=body, request_body=request_body)


class Verifier:
    """Verifies receipts against one anchor. What was verified once is remembered, within bounds."""

    def __init__(self, anchor: Anchor) -> None:
        self._anchor = anchor
        self._excerpts = ExcerptVerifier(anchor)
        self._heads = Heads(anchor.policy)
        self._proofs: Remembered[bytes, Error | str] = Remembered(512)
        self._authorities = Authorities(anchor.tsas)
        self._stamps: Remembered[bytes, int | Error] = Remembered(1024)

    def verify(
        self,
        data: bytes,
        *,
        require: State | None = None,
        body: BinaryIO | None = None,
        request_body: BinaryIO | None = None,
    ) -> Verdict:
        """Check everything the page of the format names, in its order; bodies are read to their ends."""
        try:
            receipt = parse_receipt(data)
        except Error as exc:
            unmet = ("the receipt cannot be read",)
            return Verdict(checks=(Check("form", "receipt", BAD, exc.detail),), unmet=unmet)
        given: dict[Role, BinaryIO | None] = {"request": request_body, "response": body}
        bodies = {role: _digest(file) for role, file in given.items() if file is not None}
        return _Examination(self, receipt, bodies).verdict(require)

    def configurations(self, receipt: Receipt) -> VerifiedExcerpt:
        """What the receipt's excerpt proves; raises `Malformed` or `Untrusted`."""
        excerpt = self._excerpts.verify(receipt.configuration)
        for part in receipt.configuration["snapshots"]:
            # The excerpt verified, so its shape is known; only lines that nobody vouches for are left to look for.
            data = part["proof"].encode()
            found = self._proofs.get(sha256(data).digest(), partial(self._lines, data))
            if isinstance(found, Error):
                raise found
        return excerpt

    def _lines(self, proof: bytes) -> Error | str:
        try:
            return self._heads.check_lines(proof.partition(b"\n\n")[2], self._anchor.log_keys).origin
        except Error as exc:
            return exc

    def head(self, note: bytes, log: LogEntry) -> Head:
        """What a checkpoint of this log is worth."""
        return self._heads.examine(note, log.origin, log.keys)

    def stamped(self, stamp: Token) -> int:
        """When a time-stamping authority of the anchor saw the note, in milliseconds; raises `Untrusted`."""
        key = sha256(stamp.note).digest() + sha256(stamp.token).digest()
        found = self._stamps.get(key, partial(self._stamped, stamp))
        if isinstance(found, Error):
            raise found
        return found

    def _stamped(self, stamp: Token) -> int | Error:
        try:
            return self._authorities.verify(stamp.token, stamp.note)
        except Error as exc:
            return exc

    @property
    def knows_authorities(self) -> bool:
        """Whether the anchor names any time-stamping authority."""
        return bool(self._authorities)

    def witness_keys(self) -> dict[str, set[str]]:
        """The policy's witnesses by key name, with their keys as `logs` lists them."""
        found: dict[str, set[str]] = {}
        for witness in self._anchor.policy.witnesses.values():
            for key in witness.keys:
                found.setdefault(key.name, set()).add(str(key))
        return found


@dataclass(slots=True)
class _Examination:
    """One receipt on the table: what was found so far."""

    verifier: Verifier
    receipt: Receipt
    bodies: dict[Role, bytes]
    checks: list[Check] = field(default_factory=lambda: [Check("form", "receipt", OK)])
    entries: list[Entry] = field(default_factory=list)
    exchange: Exchange | None = None
    excerpt: VerifiedExcerpt | None = None
    heads: dict[tuple[int, str], Head] = field(default_factory=dict)
    """By entry and log: the checkpoints of proofs whose path and signature are right."""
    stamped: set[bytes] = field(default_factory=set)

    def verdict(self, require: State | None) -> Verdict:
        self.entries, found = read_entries(self.receipt)
        self.checks += found
        self.exchange, bound = check_exchange(
            self.receipt.message, self.entries, len(self.receipt.messages) - len(self.entries)
        )
        self.checks.append(bound)
        self._configuration()
        for number, entry in enumerate(self.entries):
            for log in entry.proofs:
                self._proof(number, entry, log)
        witnesses = self.verifier.witness_keys()
        configurations = None if self.excerpt is None else list(self.excerpt.configurations.values())
        self.checks += [check_listed(listed, witnesses, configurations) for listed in self.receipt.logs]
        if self.exchange is not None:
            self._exchange(self.exchange)
        self._tokens()
        state = self._state()
        self.checks.sort(key=lambda check: NAMES.index(check.name))
        return Verdict(
            checks=tuple(self.checks),
            message=self.receipt.message,
            stated=self.receipt.state,
            state=state,
            exchange=self._summary(),
            unmet=tuple(self._unmet(state, require)),
        )

    def _exchange(self, exchange: Exchange) -> None:
        for number, entry in enumerate(self.entries):
            configuration = self._configured(entry)
            self.checks.append(check_parties(entry, exchange, configuration))
            self.checks.append(check_time(entry, exchange, configuration, self._witnessed(number)))
        path = self.receipt.disclosed("request", "path")
        self.checks.append(check_right(exchange, self._configured(exchange.request), path))
        self.checks += check_disclosures(self.receipt, exchange, self.bodies)

    def _add(self, name: str, subject: str, verdict: Finding, detail: str = "") -> None:
        self.checks.append(Check(name, subject, verdict, detail))

    # Configuration

    def _snapshot(self, entry: Entry) -> str | None:
        """The snapshot a record is judged by: the one it names, else the one the request names."""
        named = entry.record.fields.get("snapshot")
        if named is None and self.exchange is not None:
            named = self.exchange.request.record["snapshot"]
        return named

    def _configured(self, entry: Entry) -> Configuration | None:
        snapshot = self._snapshot(entry)
        return None if self.excerpt is None or snapshot is None else self.excerpt.configurations.get(snapshot)

    def _configuration(self) -> None:
        try:
            self.excerpt = self.verifier.configurations(self.receipt)
        except Error as exc:
            self._add("configuration", "excerpt", BAD, exc.detail)
            return
        latest: dict[str, int] = {}
        for entry in self.entries:
            snapshot = entry.record.fields.get("snapshot")
            if snapshot is not None:
                latest[snapshot] = max(latest.get(snapshot, 0), entry.record.number("time"))
        for snapshot, time in latest.items():
            subject = f"snapshot {snapshot.partition(' ')[0]}"
            try:
                self.excerpt.at(snapshot, time)
            except Error as exc:
                self._add("configuration", subject, BAD, exc.detail)
            else:
                self._add("configuration", subject, OK, f"in the registry's witnessed log, {snapshot[-64:-48]}…")

    # Proofs

    def _proof(self, number: int, entry: Entry, log: str) -> None:
        subject = proof_subject(entry, log)
        inclusion = check_inclusion(entry, log)
        self.checks.append(inclusion)
        proof, configuration = entry.proofs[log], self._configured(entry)
        if proof is None:
            return
        known = configuration.log(log) if configuration is not None else None
        if known is None:
            verdict, why = (CANNOT, "the configuration does not verify")
            if configuration is not None:
                verdict, why = (BAD, "no member has this log in the snapshot of the record")
            self._add("checkpoint", subject, verdict, why)
            self._add("cosignatures", subject, CANNOT, "the log's keys are not known")
            return
        head = self.verifier.head(proof.checkpoint, known)
        self._add("checkpoint", subject, *head.signature)
        self._add("cosignatures", subject, *head.cosignatures)
        if inclusion.verdict == OK and head.signature[0] == OK:
            self.heads[number, log] = head

    def _witnessed(self, number: int) -> int | None:
        """When a record was witnessed, in milliseconds: the latest over its proofs, if each is witnessed."""
        logs = self.entries[number].proofs
        heads = [self.heads.get((number, log)) for log in logs]
        times = [head.witnessed.time for head in heads if head is not None and head.witnessed is not None]
        return 1000 * max(times) if times and len(times) == len(logs) and all(times) else None

    # Timestamps and seals

    def _tokens(self) -> None:
        for stamp in self.receipt.timestamps:
            self._stamp(stamp)
        for seal in self.receipt.seals:
            self._add("seal", seal.log, CANNOT, "seals are not checked yet")

    def _stamp(self, stamp: Token) -> None:
        found = [
            head
            for (number, log), head in self.heads.items()
            if log == stamp.log and _note(self.entries[number], log) == stamp.note
        ]
        if not self.verifier.knows_authorities:
            self._add("timestamp", stamp.log, CANNOT, "the anchor names no time-stamping authority")
            return
        try:
            if not found or found[0].witnessed is None:
                raise Untrusted("receipt.timestamp", "not over a witnessed checkpoint of this receipt")
            time = self.verifier.stamped(stamp)
            if time + SKEW < 1000 * found[0].witnessed.time:
                raise Untrusted("receipt.timestamp", "older than the cosignatures it covers")
        except Error as exc:
            self._add("timestamp", stamp.log, BAD, exc.detail)
            return
        self.stamped.add(stamp.note)
        self._add(
            "timestamp", stamp.log, OK, f"{(time - 1000 * found[0].witnessed.time) / 1000:+.0f} s after the quorum"
        )

    # State

    def _found(self) -> State:
        if self.exchange is None or len(self.entries) < len(self.receipt.messages) or not self.exchange.is_complete():
            return "one-sided"
        proven = set(self.heads)
        for number, entry in enumerate(self.entries):
            if not all((number, log) in proven for log in entry.owed()):
                return "one-sided"
        if not all(
            self._witnessed_head(number, log) for number, entry in enumerate(self.entries) for log in entry.proofs
        ):
            return "recorded"
        notes = {_note(entry, log) for entry in self.entries for log in entry.proofs}
        return "timestamped" if notes <= self.stamped else "witnessed"

    def _witnessed_head(self, number: int, log: str) -> bool:
        head = self.heads.get((number, log))
        return head is not None and head.witnessed is not None

    def _state(self) -> State:
        state, stated = self._found(), self.receipt.state
        wanting = "timestamp" if stated == "timestamped" else "seal"
        if STATES.index(state) >= STATES.index(stated):
            self._add("state", "receipt", OK, state)
        elif state in {"witnessed", "timestamped"} and any(
            check.verdict == CANNOT for check in self.checks if check.name == wanting
        ):
            # Only what nobody here can check lies between what is said and what was found.
            self._add("state", "receipt", CANNOT, f"{state}, and it says {stated}")
        else:
            self._add("state", "receipt", BAD, f"{state}, and it says {stated}")
        return state

    def _unmet(self, state: State, require: State | None) -> Iterable[str]:
        if require is not None and STATES.index(state) < STATES.index(require):
            yield f"{require} was asked for, and the receipt is {state}"
        for role in self.bodies:
            if not any(c.subject == f"{role} body" and c.verdict == OK for c in self.checks if c.name == "commitment"):
                yield f"the {role}'s body was to be checked, and could not be, or is another"

    def _summary(self) -> Summary | None:
        if self.exchange is None:
            return None
        request = self.exchange.request.record
        answer = next(
            (e for kind in ("response", "refused", "no-answer", "aborted") if (e := self.exchange.of(kind))), None
        )
        outcome = "no outcome on record"
        if answer is not None:
            outcome = answer.record["status"] if answer.kind == "response" else f"{answer.kind} {answer.record['code']}"
        tail = self.exchange.of("response-tail")
        if tail is not None and tail.record["outcome"] != "complete":
            outcome += ", body cut short"
        times = [self._witnessed(number) for number in range(len(self.entries))]
        witnessed = [time for time in times if time is not None]
        return Summary(
            client=request["client"],
            service=request["service"],
            method=request["method"],
            endpoint=request["endpoint"],
            outcome=outcome,
            time=request.number("time"),
            witnessed=max(witnessed) if witnessed and len(witnessed) == len(times) else None,
        )


def _digest(file: BinaryIO) -> bytes:
    digest = sha256()
    while data := file.read(1 << 20):
        digest.update(data)
    return digest.digest()


def _note(entry: Entry, log: str) -> bytes:
    proof = entry.proofs.get(log)
    return proof.checkpoint if proof is not None else b""
