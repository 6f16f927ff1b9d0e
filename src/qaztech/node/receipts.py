"""Receipts as a node makes them: its own records and proofs, the peer's asked over the link, the configuration excerpt.

What the peer sends is checked before it is put in. The format and its checks are `evidence.receipt`'s.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import msgspec

from qaztech.core.commitment import FIELDS, salt
from qaztech.core.errors import Error, Malformed, NotFound, Unavailable, Untrusted
from qaztech.core.exchange import CLOCK_SKEW
from qaztech.core.ids import NodeId, SubsystemId
from qaztech.core.record import STREAMED, Record, hash_text, parse_record
from qaztech.evidence.checkpoint import Checkpoint, SignedCheckpoint
from qaztech.evidence.examination import BAD, Check, Exchange, check_exchange
from qaztech.evidence.examination import Entry as Examined
from qaztech.evidence.log import StoredEntry
from qaztech.evidence.merkle import Frontier, inclusion_proof, leaf_hash, node_hash
from qaztech.evidence.note import ED25519, Note, SignatureLine, VerifierKey, format_note, key_id
from qaztech.evidence.policy import Policy
from qaztech.evidence.proof import TlogProof
from qaztech.evidence.receipt import MAX_MESSAGES
from qaztech.node.journal import (
    ACK,
    PEER_HEAD,
    TIMESTAMP,
    WITNESSED,
    Kept,
    PeerHead,
    open_kept,
    parse_ack,
    parse_peer_head,
)
from qaztech.registry.configuration import Configuration
from qaztech.registry.member_file import verify_member_file

PROOFS = "proofs"
OUTCOME = "outcome"
RECORDED, WITNESSED_STATE, TIMESTAMPED = "recorded", "witnessed", "timestamped"
ASK_AGAIN = 0.25
# How far from its place an acknowledgement may stand.
NEAR = 256
# How long after the request what only the peer has on record may have been made, in milliseconds.
MAX_LATER = 3_600_000


class ReadableLog(Protocol):
    """The own log, read."""

    origin: str

    def find(self, message: bytes) -> list[int]:
        """Indexes of the entries with this message id."""
        ...

    def read(self, index: int) -> StoredEntry:
        """One entry."""
        ...

    @property
    def size(self) -> int:
        """Entries under the newest signed head."""
        ...

    def checkpoint_note(self) -> bytes:
        """The newest signed checkpoint."""
        ...

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """RFC 6962 inclusion proof."""
        ...

    def first_note_at_or_above(self, kind: int, key: int) -> tuple[int, bytes] | None:
        """Key and payload of the first note of a kind whose key is not smaller."""
        ...

    def first_note_ordinal(self, kind: int, key: int) -> int:
        """Ordinal of the first note of a kind whose key is not smaller."""
        ...

    def note_count(self, kind: int) -> int:
        """How many notes of a kind there are."""
        ...

    def read_note(self, kind: int, ordinal: int) -> tuple[int, bytes]:
        """One note."""
        ...


class Asker(Protocol):
    """How a question reaches a peer."""

    def ask(self, node: NodeId, kind: str, payload: bytes, callback: Callable[[bytes | Error], None]) -> None:
        """Ask; the callback gets the answer or why there is none."""
        ...


class PeerProof(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One record as the peer's log holds it."""

    record: bytes
    proof: bytes
    witnessed: bool
    # RFC 3161 token over the proof's checkpoint, where there is one and it was asked for.
    token: bytes = b""


class Timestamps(Protocol):
    """The timestamping of the own log."""

    def want(self) -> None:
        """Have the newest witnessed checkpoint timestamped soon."""
        ...

    def holds(self, token: bytes, note: bytes) -> bool:
        """Whether a token is a timestamp over that note by an authority of the anchor."""
        ...


@dataclass(slots=True)
class Entry:
    """One record of an exchange with the proofs gathered for it, by log origin."""

    record: Record
    kept: Kept
    proofs: dict[str, TlogProof]
    # Timestamp tokens by the checkpoint they are over.
    tokens: dict[bytes, bytes]


class ReceiptMaker:
    """Makes receipts and answers the peers' questions for theirs."""

    def __init__(
        self,
        *,
        log: ReadableLog,
        configuration: Callable[[], Configuration],
        policy: Policy,
        excerpt: Callable[[Sequence[str], Sequence[Record]], Awaitable[dict[str, Any]]],
        asker: Asker,
        timestamps: Timestamps | None,
        witness_soon: Callable[[], None],
    ) -> None:
        self._log = log
        self._configuration = configuration
        self._policy = policy
        self._excerpt = excerpt
        self._asker = asker
        self._timestamps = timestamps
        self._witness_soon = witness_soon

    # The peer asks ----------------------------------------------------------------------------------------------

    def answer_proofs(self, message: bytes, peer: str, *, timestamped: bool) -> bytes:
        """Our proofs for the records of a message that the peer is a party to."""
        found: list[PeerProof] = []
        for index in self._log.find(message):
            record = parse_record(self._log.read(index).data)
            if peer in {record["from"], record["to"]} and len(found) < MAX_MESSAGES:
                proof, witnessed, token = self._own_proof(index, timestamped=timestamped)
                found.append(PeerProof(record.data, proof.format(), witnessed, token))
        return msgspec.msgpack.encode(found)

    # A receipt -----------------------------------------------------------------------------------------------------

    async def make(self, message: UUID, *, wait: str, seconds: float, disclose: Sequence[str]) -> dict[str, Any]:
        """The receipt of a message; `wait` is empty, `recorded`, `witnessed` or `timestamped`.

        With `wait` the peer is asked for its proofs until all are so; after so many seconds `Unavailable` says which
        side is missing. Raises `NotFound` for a message this node has no record of.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            entries = self._own_entries(message, timestamped=wait == TIMESTAMPED)
            other = self._peer_origin(entries)
            peer_failure = await self._add_peer_proofs(message, entries, other, timestamped=wait == TIMESTAMPED)
            missing = self._missing(entries, other, wait) if wait else ""
            if not missing:
                records = [entry.record for entry in entries]
                snapshots = list(dict.fromkeys(r["snapshot"] for r in records if "snapshot" in r.fields))
                excerpt = await self._excerpt(snapshots, records)
                if wait not in {WITNESSED_STATE, TIMESTAMPED} or all(part["proof"] for part in excerpt["snapshots"]):
                    return self._receipt(message, entries, disclose, excerpt)
                missing, peer_failure = "the registry's log is not witnessed yet for the configuration", ""
            if asyncio.get_running_loop().time() >= deadline:
                raise Unavailable("receipt.incomplete", f"{missing}{peer_failure}", at="log", retry_after=1)
            await asyncio.sleep(ASK_AGAIN)

    def _own_entries(self, message: UUID, *, timestamped: bool = False) -> list[Entry]:
        indexes = self._log.find(message.bytes)
        if not indexes:
            raise NotFound("exchange.unknown", f"this node has no record of message {message}", at="log")
        entries: list[Entry] = []
        for index, record, kept in self._one_exchange(indexes):
            if any(entry.record.data == record.data for entry in entries):
                continue  # both members are served by this node: its log has each record twice, and is the only one
            proof, _, token = self._own_proof(index, timestamped=timestamped)
            proofs = {self._log.origin: proof}
            received = self._received_proof(record, kept, index)
            if received is not None and record["from"] != record["to"]:
                proofs[record["from"] if record["from"] != self._log.origin else record["to"]] = received
            entries.append(Entry(record, kept, proofs, {proof.checkpoint: token} if token else {}))
        return entries

    def _one_exchange(self, indexes: Sequence[int]) -> list[tuple[int, Record, Kept]]:
        """The records of one exchange: a peer may have used an id again, for another call or against another's.

        An exchange of our own making goes before, for no one else makes such ids; else the one that was here first.
        """
        found: list[tuple[int, Record, Kept]] = []
        for index in indexes:
            stored = self._log.read(index)
            found.append((index, parse_record(stored.data), open_kept(stored.private)))
        requests = [record for _, record, _ in found if record.kind == "request"]
        request = next((r for r in requests if r["from"] == self._log.origin), requests[0] if requests else None)
        if request is None or len(requests) == 1:
            return found
        bound = {hash_text(leaf_hash(request.data))}
        bound |= {hash_text(leaf_hash(r.data)) for _, r, _ in found if r.fields.get("request", "")[:44] in bound}
        return [
            (index, record, kept)
            for index, record, kept in found
            if record is request or (record.fields.get("request") or record.fields.get("head", ""))[:44] in bound
        ]

    def _own_proof(self, index: int, *, timestamped: bool) -> tuple[TlogProof, bool, bytes]:
        """The proof of an own entry, whether it is witnessed, and (if so asked) the timestamp of its checkpoint."""
        if timestamped:
            stamped = self._log.first_note_at_or_above(TIMESTAMP, index + 1)
            if stamped is not None:
                note, token = msgspec.msgpack.decode(stamped[1], type=tuple[bytes, bytes])
                return self._proof(index, stamped[0], note), True, token
            if self._timestamps is not None:
                self._timestamps.want()
        found = self._log.first_note_at_or_above(WITNESSED, index + 1)
        if found is not None:
            return self._proof(index, *found), True, b""
        self._witness_soon()
        return self._proof(index, self._log.size, self._log.checkpoint_note()), False, b""

    def _proof(self, index: int, size: int, note: bytes) -> TlogProof:
        return TlogProof(index=index, hashes=tuple(self._log.inclusion_proof(index, size)), checkpoint=note)

    def _received_proof(self, record: Record, kept: Kept, index: int) -> TlogProof | None:
        """The peer's proof as it came over the link: with a received record, or in its acknowledgement of ours."""
        if kept.head >= 0:
            return derive_proof(
                parse_peer_head(self._log.read_note(PEER_HEAD, kept.head)[1]), kept.peer_index, self._key
            )
        if record.kind in {"response", "refused", "response-tail"} and record["from"] == self._log.origin:
            return self._acknowledged(index)
        return None

    def _acknowledged(self, index: int) -> TlogProof | None:
        """The peer's proof in its acknowledgement of an own record. They come nearly in the order of the records."""
        near = self._log.first_note_ordinal(ACK, index)
        for ordinal in range(max(0, near - NEAR), min(self._log.note_count(ACK), near + NEAR)):
            key, payload = self._log.read_note(ACK, ordinal)
            if key == index:
                ack = parse_ack(payload)
                head = parse_peer_head(self._log.read_note(PEER_HEAD, ack.head)[1])
                return derive_proof(head, ack.peer_index, self._key)
        return None

    def _key(self, origin: str) -> VerifierKey | None:
        entry = self._configuration().log(origin)
        return next((key for key in entry.keys if key.kind == ED25519), None) if entry is not None else None

    def _peer_origin(self, entries: list[Entry]) -> str:
        record = entries[0].record
        return record["to"] if record["from"] == self._log.origin else record["from"]

    async def _add_peer_proofs(
        self, message: UUID, entries: list[Entry], other: str, *, timestamped: bool = False
    ) -> str:
        """Ask the peer; gives a clause for people when it does not answer."""
        if other == self._log.origin:
            return ""
        log = self._configuration().log(other)
        if log is None:
            return "; the peer is not in the configuration"
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bytes | Error] = loop.create_future()
        question = message.bytes + (b"t" if timestamped else b"")
        self._asker.ask(log.node, PROOFS, question, lambda a: None if answered.done() else answered.set_result(a))
        answer = await answered
        if isinstance(answer, Error):
            return f"; the peer {log.node} does not answer ({answer.code})"
        try:
            for proof in msgspec.msgpack.decode(answer, type=list[PeerProof]):
                self._add_peer_proof(proof, entries, other, log.keys)
        except (msgspec.MsgspecError, Malformed, Untrusted) as exc:
            return f"; the peer {log.node} gave a proof that does not verify ({exc})"
        return ""

    def _add_peer_proof(self, given: PeerProof, entries: list[Entry], other: str, keys: Sequence[VerifierKey]) -> None:
        proof = self._without_strangers(given, other, keys)
        for entry in entries:
            if entry.record.data == given.record:
                if entry.kept.peer_index not in {-1, proof.index}:
                    raise Untrusted("receipt.untrusted", "a proof for another place than it came from", at="caller")
                entry.proofs[other] = proof
                if (
                    given.token
                    and self._timestamps is not None
                    and self._timestamps.holds(given.token, proof.checkpoint)
                ):
                    entry.tokens[proof.checkpoint] = given.token
                return
        # The peer knows more of this exchange than we do (an answer that came too late): it belongs in, unless it
        # contradicts what is here or adds nothing. A peer cannot spoil a receipt by what it alone has on record.
        record = parse_record(given.record)
        more = [*entries, Entry(record, Kept(), {other: proof}, {})]
        if _adds(record, [entry.record for entry in entries]) and _examine(more)[1].verdict != BAD:
            entries[:] = more

    def _without_strangers(self, given: PeerProof, other: str, keys: Sequence[VerifierKey]) -> TlogProof:
        """The peer's proof, verified; what nobody vouches for under its checkpoint would spoil the receipt."""
        proof = TlogProof.parse(given.proof)
        signed = SignedCheckpoint.parse(proof.checkpoint)
        if signed.origin != other:
            raise Untrusted("receipt.untrusted", "a proof from another log", at="caller")
        known = list(keys)
        if given.witnessed:
            proof.verify(leaf_hash(given.record), self._policy, keys)
            known += [key for witness in self._policy.witnesses.values() for key in witness.keys]
        else:
            proof.verify_signed(leaf_hash(given.record), keys)
        lines = tuple(line for line in signed.note.signatures if any(key.made(line) for key in known))
        if lines == signed.note.signatures:
            return proof
        note = format_note(Note(signed.note.text, lines))
        return TlogProof(index=proof.index, hashes=proof.hashes, checkpoint=note)

    def _missing(self, entries: list[Entry], other: str, wait: str) -> str:
        """What is not there yet, in words; empty when all is."""
        for entry in entries:
            owed = [self._log.origin, other]
            if entry.record.kind in {"no-answer", "aborted"}:
                owed = [entry.record["from"]]
            for origin in owed:
                whose = "this node's" if origin == self._log.origin else "the peer's"
                proof = entry.proofs.get(origin)
                if proof is None:
                    return f"{whose} log has not proven the {entry.record.kind} record"
                if wait in {WITNESSED_STATE, TIMESTAMPED} and not self._is_witnessed(proof, origin):
                    return f"{whose} log is not witnessed yet for the {entry.record.kind} record"
                if wait == TIMESTAMPED and proof.checkpoint not in entry.tokens:
                    return f"{whose} log is not timestamped yet for the {entry.record.kind} record"
        return ""

    def _is_witnessed(self, proof: TlogProof, origin: str) -> bool:
        entry = self._configuration().log(origin)
        try:
            self._policy.verify(proof.checkpoint, entry.keys if entry is not None else ())
        except Error:
            return False
        return True

    def _receipt(
        self, message: UUID, entries: list[Entry], disclose: Sequence[str], excerpt: dict[str, Any]
    ) -> dict[str, Any]:
        origins = list(dict.fromkeys(o for e in entries for o in e.proofs))
        witnessed = all(self._is_witnessed(p, o) for e in entries for o, p in e.proofs.items())
        exchange, _ = _examine(entries)
        missing = self._missing(entries, self._peer_origin(entries), RECORDED)
        complete = not missing and exchange is not None and exchange.is_complete()
        return {
            "format": "qaztech-receipt 1",
            "message": str(message),
            "messages": [
                {
                    "role": "request" if entry.record.kind in {"request", "request-tail"} else "response",
                    "record": b64encode(entry.record.data).decode(),
                    "proofs": [{"log": o, "proof": p.format().decode()} for o, p in entry.proofs.items()],
                }
                for entry in entries
            ],
            "logs": self._logs(origins, excerpt),
            "configuration": excerpt,
            "timestamps": _stamps(entries),
            "seals": [],
            "disclosure": _disclosures(entries, disclose),
            "state": _state(entries, complete=complete, witnessed=witnessed),
        }

    def _logs(self, origins: Sequence[str], excerpt: dict[str, Any]) -> list[dict[str, Any]]:
        listed = _listed(excerpt)
        return [listed[origin] for origin in origins if origin in listed] + [
            {"origin": witness.key.name, "member": None, "vkeys": [str(key) for key in witness.keys]}
            for witness in self._policy.witnesses.values()
        ]

    # Outcome -------------------------------------------------------------------------------------------------------

    async def outcome(self, message: UUID, client: SubsystemId | None) -> dict[str, Any]:
        """What became of a message: from the own log, and from the peer where that does not say."""
        entries = self._own_entries(message)
        if client is not None and entries[0].record.fields.get("client") != str(client):
            raise NotFound("exchange.unknown", f"this node has no record of message {message}", at="log")
        other = self._peer_origin(entries)
        failure = ""
        if not any(e.record.kind in {"response", "refused"} for e in entries):
            failure = await self._add_peer_proofs(message, entries, other)
        kinds: Mapping[str, Record] = {e.record.kind: e.record for e in entries}
        request_there = any(e.record.kind == "request" and other in e.proofs for e in entries)
        outcome = "unknown"
        if "response" in kinds:
            outcome = "answered"
        elif "refused" in kinds:
            outcome = "refused"
        elif not failure:
            outcome = "accepted, no answer on record yet" if request_there else "never reached the provider"
        return {
            "message": str(message),
            "outcome": outcome,
            "status": int(kinds["response"]["status"]) if "response" in kinds else None,
            "code": kinds["refused"]["code"] if "refused" in kinds else None,
            "peer": failure.removeprefix("; ") or "answered",
            "records": [e.record.kind for e in entries],
        }


def _state(entries: list[Entry], *, complete: bool, witnessed: bool) -> str:
    if not complete:
        return "one-sided"
    if not witnessed:
        return RECORDED
    stamped = all(proof.checkpoint in entry.tokens for entry in entries for proof in entry.proofs.values())
    return TIMESTAMPED if stamped else WITNESSED_STATE


def _stamps(entries: list[Entry]) -> list[dict[str, str]]:
    found = {
        proof.checkpoint: {
            "log": origin,
            "note": proof.checkpoint.decode(),
            "token": b64encode(entry.tokens[proof.checkpoint]).decode(),
        }
        for entry in entries
        for origin, proof in entry.proofs.items()
        if proof.checkpoint in entry.tokens
    }
    return list(found.values())


def derive_proof(head: PeerHead, index: int, key: Callable[[str], VerifierKey | None]) -> TlogProof | None:
    """A C2SP tlog-proof for one leaf of an accepted head's run, from the frontier and leaf hashes kept with it."""
    verifier = key(head.origin)
    if verifier is None or not head.start <= index < head.size:
        return None
    leaves = [head.leaves[i : i + 32] for i in range(0, len(head.leaves), 32)]
    peaks: dict[tuple[int, int], bytes] = {}
    position = 0
    for level in range(63, -1, -1):
        if head.start >> level & 1:
            peaks[level, position >> level] = head.frontier[len(peaks)]
            position += 1 << level

    def node(level: int, place: int) -> bytes:
        found = peaks.get((level, place))
        if found is not None:
            return found
        if level == 0:
            return leaves[place - head.start]
        return node_hash(node(level - 1, 2 * place), node(level - 1, 2 * place + 1))

    frontier = Frontier(head.start, head.frontier)
    frontier.extend(leaves)
    body = Checkpoint(head.origin, head.size, frontier.root()).body()
    line = SignatureLine(head.origin, key_id(head.origin, ED25519, verifier.public), head.signature)
    hashes = tuple(inclusion_proof(index, head.size, node))
    return TlogProof(index=index, hashes=hashes, checkpoint=format_note(Note(body, (line,))))


def _examine(entries: list[Entry]) -> tuple[Exchange | None, Check]:
    """Whether these records are one exchange, as whoever checks the receipt will ask."""
    found = [Examined(e.record.kind, e.record, leaf_hash(e.record.data), e.proofs) for e in entries]
    return check_exchange(entries[0].record["message"], found)


def _adds(record: Record, own: Sequence[Record]) -> bool:
    """Whether a record that only the peer has tells what ours do not, and can have been made when it says."""
    request = next((r for r in own if r.kind == "request"), None)
    if request is not None and not -CLOCK_SKEW <= record.number("time") - request.number("time") <= MAX_LATER:
        return False
    heads, kinds = {r.kind: r for r in own}, {r.kind for r in own}
    if record.kind in {"no-answer", "aborted"}:
        response = heads.get("response")
        ended = response is not None and (response["size"] != STREAMED or "response-tail" in kinds)
        return not ended and "refused" not in kinds
    return record.kind not in kinds


def _listed(excerpt: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The logs of the excerpt's member files as a receipt lists them: a log may have been given more keys since."""
    found = {}
    for part in excerpt["snapshots"]:
        for path, digest in part["files"].items():
            if path.startswith("members/"):
                file = verify_member_file(excerpt["blobs"][digest].encode())
                for log in file.statement.logs:
                    if NodeId.parse(log.node).member == file.member:
                        found[log.origin] = {"origin": log.origin, "member": str(file.member), "vkeys": list(log.vkeys)}
    return found


def _disclosures(entries: list[Entry], disclose: Sequence[str]) -> list[dict[str, str]]:
    found = {}
    for wanted in disclose:
        role, _, field = wanted.rpartition(".")
        if field not in FIELDS or role not in {"", "request", "response"}:
            raise Malformed("disclosure.malformed", f"not a field to disclose: {wanted!r}", at="caller")
        for entry in entries:
            if entry.record.kind not in {"request", "response"} or role not in {"", entry.record.kind}:
                continue
            if not entry.kept.secret or (entry.record.kind == "response" and field in {"path", "query"}):
                continue
            shown = {
                "role": entry.record.kind,
                "field": field,
                "salt": b64encode(salt(entry.kept.secret, field)).decode(),
            }
            value = entry.kept.value(field)
            if value is not None:
                shown["value"] = b64encode(value).decode()
            found[shown["role"], field] = shown
    return list(found.values())
