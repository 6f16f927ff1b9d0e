"""What can be found out about a receipt from itself, the logs' keys and the witness policy (docs/formats/receipt.md).

Every finding is a `Check` with a name, a subject and a verdict, as on the page. Pure: the keys, and whatever else only
the registry knows, are handed in by `registry.verification`, which puts the whole verdict together.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Generic, Literal, TypeVar

from qaztech.core.commitment import BODY, EMPTY_DIGEST, commit_digest
from qaztech.core.errors import Error, Untrusted
from qaztech.core.record import STREAMED, Record, parse_record
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.cosignature import cosigned_at
from qaztech.evidence.merkle import leaf_hash, verify_inclusion
from qaztech.evidence.note import ML_DSA_44, VerifierKey
from qaztech.evidence.policy import Policy, Witnessed
from qaztech.evidence.proof import TlogProof
from qaztech.evidence.receipt import Receipt, Role

Finding = Literal["ok", "bad", "cannot check"]
OK: Final[Finding] = "ok"
BAD: Final[Finding] = "bad"
CANNOT: Final[Finding] = "cannot check"

# In the order in which they are told.
NAMES: Final = (
    "form", "record", "exchange", "inclusion", "checkpoint", "cosignatures", "configuration", "logs", "parties",
    "right", "time", "commitment", "timestamp", "seal", "state",
)  # fmt: skip
_FROM_CONSUMER: Final = {"request", "request-tail", "no-answer"}
_FROM_PROVIDER: Final = {"response", "response-tail", "refused"}
_REQUEST_ROLE: Final = {"request", "request-tail"}
_HEADS: Final = {"request-tail": "request", "response-tail": "response"}
ANSWERS: Final = ("response", "refused", "no-answer", "aborted")
# Of these only the writer's log owes a proof: the other side may know nothing of it.
ONE_SIDED: Final = {"no-answer", "aborted"}

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked: what, of what, with which outcome, and why."""

    name: str
    subject: str
    verdict: Finding
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A record that parsed, its leaf hash, and the proofs given for it by log: None where one does not parse."""

    subject: str
    record: Record
    leaf: bytes
    proofs: Mapping[str, TlogProof | None]

    @property
    def kind(self) -> str:
        """The record's kind."""
        return self.record.kind

    def index(self, log: str) -> int | None:
        """The record's place in a log, as its proof there says."""
        proof = self.proofs.get(log)
        return None if proof is None else proof.index

    def owed(self) -> set[str]:
        """The logs that owe a proof of this record."""
        return {self.record["from"]} if self.kind in ONE_SIDED else {self.record["from"], self.record["to"]}


@dataclass(frozen=True, slots=True)
class Exchange:
    """The records of one exchange by what they are. That they belong together is found by `check_exchange`."""

    request: Entry
    entries: tuple[Entry, ...]

    def of(self, kind: str) -> Entry | None:
        """The record of this kind; of several `aborted` the first."""
        return next((entry for entry in self.entries if entry.kind == kind), None)

    def body(self, role: Role) -> Entry | None:
        """The record that commits to a message's body: its tail where it was streamed."""
        head = self.of(role)
        return self.of(f"{role}-tail") if head is not None and head.record["size"] == STREAMED else head

    def is_complete(self) -> bool:
        """Whether the request has an outcome and every streamed head its tail."""
        heads = [head for head in map(self.of, ("request", "response")) if head is not None]
        streamed = [head.kind for head in heads if head.record["size"] == STREAMED]
        return any(self.of(kind) for kind in ANSWERS) and all(self.of(f"{kind}-tail") for kind in streamed)


def proof_subject(entry: Entry, log: str) -> str:
    """How a check names one proof."""
    return f"{entry.subject} in {log}"


def read_entries(receipt: Receipt) -> tuple[list[Entry], list[Check]]:
    """The records that parse, with what was found about each (`record`)."""
    entries, checks = [], []
    for number, message in enumerate(receipt.messages, 1):
        try:
            record = parse_record(message.record)
            if (message.role == "request") != (record.kind in _REQUEST_ROLE):
                raise Untrusted("receipt.role", f"a {record.kind} record in the role of a {message.role}")
        except Error as exc:
            checks.append(Check("record", f"message {number}", BAD, exc.detail))
            continue
        proofs = {log: _parse_proof(data) for log, data in message.proofs.items()}
        entries.append(Entry(record.kind, record, leaf_hash(record.data), proofs))
        checks.append(Check("record", record.kind, OK))
    return entries, checks


def _parse_proof(data: bytes) -> TlogProof | None:
    try:
        return TlogProof.parse(data)
    except Error:
        return None


def check_exchange(message: str, entries: Sequence[Entry], unread: int = 0) -> tuple[Exchange | None, Check]:
    """Whether the records are those of one exchange, each bound to the one it answers or ends (`exchange`).

    `unread` more could not be read. No `Exchange` is given where there is not one request, or one kind stands more
    often than it may.
    """
    exchange = None
    try:
        exchange = _exchange(entries)
        a, b = exchange.request.record["from"], exchange.request.record["to"]
        unknown = [subject for entry in entries for subject in _check_bound(exchange, entry, message, a, b)]
    except Error as exc:
        return exchange, Check("exchange", "receipt", BAD, exc.detail)
    if unread:
        return exchange, Check("exchange", "receipt", CANNOT, "a record cannot be read")
    if unknown:
        return exchange, Check("exchange", "receipt", CANNOT, f"no proof for the index named by: {', '.join(unknown)}")
    return exchange, Check("exchange", "receipt", OK, f"message {message}")


def _exchange(entries: Sequence[Entry]) -> Exchange:
    count = Counter(entry.kind for entry in entries)
    if count["request"] != 1:
        raise Untrusted("receipt.exchange", f"{count['request']} request records instead of one")
    if count["response"] + count["refused"] > 1:
        raise Untrusted("receipt.exchange", "more than one of response, refused")
    for kind in ("request-tail", "response-tail", "no-answer"):
        if count[kind] > 1:
            raise Untrusted("receipt.exchange", f"more than one {kind}")
    writers = [entry.record["from"] for entry in entries if entry.kind == "aborted"]
    if len(set(writers)) != len(writers):
        raise Untrusted("receipt.exchange", "more than one aborted from one side")
    request = next(entry for entry in entries if entry.kind == "request")
    return Exchange(request, tuple(entries))


def _check_bound(exchange: Exchange, entry: Entry, message: str, a: str, b: str) -> list[str]:
    """Raise `Untrusted` where the record is not of this exchange; the subject where an index cannot be compared."""
    record, request = entry.record, exchange.request.record
    if record["message"] != message:
        raise Untrusted("receipt.exchange", f"the {entry.kind} record is of another message")
    for name in ("client", "service"):
        if record.fields.get(name, request[name]) != request[name]:
            raise Untrusted("receipt.exchange", f"the {entry.kind} record names another {name}")
    way = (record["from"], record["to"])
    if way not in {(a, b), (b, a)} or (entry.kind in _FROM_CONSUMER and way != (a, b)):
        raise Untrusted("receipt.exchange", f"the {entry.kind} record is not from and to the logs of the request")
    if entry.kind in _FROM_PROVIDER and way != (b, a):
        raise Untrusted("receipt.exchange", f"the {entry.kind} record does not come from the log the request is for")
    if not entry.proofs.keys() <= {a, b}:
        raise Untrusted("receipt.exchange", f"the {entry.kind} record has a proof in a log that is no party's")
    if record["from"] not in entry.proofs:
        raise Untrusted("receipt.exchange", f"no proof that who is to have written the {entry.kind} record holds it")
    if entry.kind == "request":
        return []
    if entry.kind in _HEADS:
        head = exchange.of(_HEADS[entry.kind])
        if head is None or head.record["size"] != STREAMED:
            raise Untrusted("receipt.exchange", f"a {entry.kind} without a head whose body is streamed")
        return _check_index(entry, "head", head, record["from"])
    return _check_index(entry, "request", exchange.request, a)


def _check_index(entry: Entry, name: str, target: Entry, log: str) -> list[str]:
    leaf, index = entry.record.bound_to(name)
    if leaf != target.leaf:
        raise Untrusted("receipt.exchange", f"the {entry.kind} record names another {target.kind} record")
    found = target.index(log)
    if found is not None and found != index:
        raise Untrusted("receipt.exchange", f"the {entry.kind} record names another place of the {target.kind} record")
    return [entry.subject] if found is None else []


def check_inclusion(entry: Entry, log: str) -> Check:
    """Whether a proof leads from the record to the root of its checkpoint (`inclusion`); signatures come after."""
    subject = proof_subject(entry, log)
    proof = entry.proofs[log]
    if proof is None:
        return Check("inclusion", subject, BAD, "this is not a tlog-proof")
    try:
        signed = SignedCheckpoint.parse(proof.checkpoint)
        verify_inclusion(entry.leaf, proof.index, signed.size, proof.hashes, signed.root)
    except Error as exc:
        return Check("inclusion", subject, BAD, exc.detail)
    return Check("inclusion", subject, OK, f"entry {proof.index} of {signed.size}")


@dataclass(frozen=True, slots=True)
class Head:
    """What was found about one checkpoint: its log's signature, and whether a quorum cosigned it."""

    signature: tuple[Finding, str]
    cosignatures: tuple[Finding, str]
    witnessed: Witnessed | None = None


class Heads:
    """Examines checkpoints under one policy; one met before, with the same keys, is not verified again."""

    def __init__(self, policy: Policy, *, remembered: int = 4096) -> None:
        self._policy = policy
        self._known = {key for witness in policy.witnesses.values() for key in witness.keys}
        self._found: Remembered[tuple[bytes, str, tuple[VerifierKey, ...]], Head] = Remembered(remembered)

    def examine(self, note: bytes, origin: str, keys: Sequence[VerifierKey]) -> Head:
        """What this note is worth as a checkpoint of the log `origin`, which has these keys."""
        keys = tuple(keys)
        return self._found.get((sha256(note).digest(), origin, keys), lambda: self._examine(note, origin, keys))

    def check_lines(self, note: bytes, keys: Iterable[VerifierKey]) -> SignedCheckpoint:
        """The checkpoint, if every line under it is by one of these keys or a witness of the policy.

        A line by nobody known would be passed over anywhere else. A receipt holds nothing that nobody vouches for.
        """
        signed = SignedCheckpoint.parse(note)
        known = {*keys, *self._known}
        for line in signed.note.signatures:
            if not any(key.made(line) for key in known):
                raise Untrusted("receipt.stranger", f"a signature line by a key that is not known: {line.name[:100]}")
        return signed

    def _examine(self, note: bytes, origin: str, keys: tuple[VerifierKey, ...]) -> Head:
        cosigned: tuple[Finding, str] = (CANNOT, "no witness of the policy has cosigned it")
        try:
            signed = self.check_lines(note, keys)
            if signed.origin != origin:
                raise Untrusted("receipt.origin", f"the checkpoint is of another log, {signed.origin[:150]}")
            if self._policy.satisfied_by(()) or self._is_cosigned(signed):
                try:
                    witnessed = self._policy.verify(note, keys)
                except Error as exc:
                    cosigned = (BAD, exc.detail)
                else:  # which the log's own signatures are part of
                    by = ", ".join(witnessed.times) or "nobody, as asked"
                    return Head((OK, f"signed by {origin}"), (OK, f"cosigned by {by}"), witnessed)
            signed.verify(keys)
            for key in keys:
                if key.kind == ML_DSA_44:
                    cosigned_at(signed, key)
        except Error as exc:
            return Head((BAD, exc.detail), (CANNOT, "the checkpoint itself does not verify"))
        return Head((OK, f"signed by {origin}"), cosigned)

    def _is_cosigned(self, signed: SignedCheckpoint) -> bool:
        return any(key.made(line) for line in signed.note.signatures for key in self._known)


def check_disclosures(receipt: Receipt, exchange: Exchange, bodies: Mapping[Role, bytes]) -> list[Check]:
    """Whether each disclosed value, and each body given (its SHA-256), is the one committed to (`commitment`)."""
    checks = []
    for shown in receipt.disclosure:
        subject = f"{shown.role} {shown.field}"
        digest = sha256(shown.value).digest() if shown.value is not None else bodies.get(shown.role)
        entry = exchange.body(shown.role) if shown.field == BODY else exchange.of(shown.role)
        if digest is None and entry is not None and entry.record["size"] == "0":
            digest = EMPTY_DIGEST
        if entry is None:
            checks.append(Check("commitment", subject, CANNOT, "the record that commits to it is not here"))
        elif digest is None:
            checks.append(Check("commitment", subject, CANNOT, "its salt is here, the body itself was not given"))
        elif commit_digest(shown.salt, digest) != entry.record.commitment(shown.field):
            checks.append(Check("commitment", subject, BAD, f"not what the {entry.kind} record commits to"))
        else:
            checks.append(Check("commitment", subject, OK, f"what the {entry.kind} record commits to"))
    closed = [role for role in bodies if receipt.disclosed(role, "body") is None]
    return checks + [Check("commitment", f"{role} body", CANNOT, "the receipt has no salt for it") for role in closed]


class Remembered(Generic[_Key, _Value]):
    """Results by what they are results of; the oldest is forgotten when there are too many."""

    __slots__ = ("_limit", "_values")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[_Key, _Value] = OrderedDict()

    def get(self, key: _Key, find: Callable[[], _Value]) -> _Value:
        """What is known for this key, or what `find` finds."""
        found = self._values.get(key)
        if found is None:
            found = self._values[key] = find()
            if len(self._values) > self._limit:
                self._values.popitem(last=False)
        return found
