"""Receipts for tests, of real records in real logs of a real small country, as two nodes would make them together."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from qaztech.core.commitment import BODY, HEADERS, PATH, QUERY, commit, salt
from qaztech.core.ids import ServiceId
from qaztech.core.record import STREAMED, Record, format_record, hash_text
from qaztech.evidence.checkpoint import SignedCheckpoint, sign_checkpoint
from qaztech.evidence.cosignature import cosign_ed25519
from qaztech.evidence.merkle import Frontier, inclusion_proof, leaf_hash, node_hash
from qaztech.evidence.note import ED25519, VerifierKey, format_note
from qaztech.evidence.proof import TlogProof
from qaztech.evidence.receipt import Disclosure, ListedLog, Message, Receipt, Role, State, Token
from qaztech.registry.anchor import Anchor, make_anchor, parse_anchor
from qaztech.registry.client import ConfigurationClient
from qaztech.registry.excerpt_maker import ExcerptMaker
from registry_country import HOST, Country, MemberDesk, seed

MESSAGE = "0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11"
PATH_CALLED, QUERY_CALLED, HEADERS_SENT = b"/countries/KZ", b"?lang=kk", b"accept:application/json\r\n"
BODIES: dict[str, bytes] = {"request": b"", "response": '{"name":"Қазақстан"}'.encode()}


@dataclass
class PaperLog:
    """A node's log as far as proofs need it: leaf hashes in memory, signed and cosigned on demand."""

    desk: MemberDesk
    country: Country
    leaves: list[bytes] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.desk.origin

    def append(self, record: Record) -> int:
        self.leaves.append(leaf_hash(record.data))
        return len(self.leaves) - 1

    def note(self, size: int, *, witnesses: tuple[str, ...] = ("registry", "third", "small"), after: int = 1) -> bytes:
        """The checkpoint at a size, cosigned by these witnesses so many seconds from now."""
        frontier = Frontier()
        frontier.extend(self.leaves[:size])
        note = sign_checkpoint(self.origin, size, frontier.root(), self.desk.log_key)
        signed = SignedCheckpoint.parse(note)
        time = self.country.clock.now() // 1000 + after
        lines = [cosign_ed25519(signed, f"{HOST}/witness/{n}", self.country.witnesses[n], time) for n in witnesses]
        return format_note(signed.note.with_signatures(lines))

    def proof(self, index: int, **options: Any) -> bytes:
        """The proof of one entry under the newest checkpoint."""

        @lru_cache(None)
        def node(level: int, place: int) -> bytes:
            if level == 0:
                return self.leaves[place]
            return node_hash(node(level - 1, 2 * place), node(level - 1, 2 * place + 1))

        size = len(self.leaves)
        hashes = tuple(inclusion_proof(index, size, node))
        return TlogProof(index=index, hashes=hashes, checkpoint=self.note(size, **options)).format()


@dataclass
class Call:
    """One exchange on record: who wrote what, where it stands in both logs, and the secrets."""

    a: PaperLog
    b: PaperLog
    records: list[tuple[Record, dict[str, int]]] = field(default_factory=list)
    secrets: dict[str, bytes] = field(default_factory=dict)

    def put(self, record: Record, *logs: PaperLog) -> dict[str, int]:
        places = {log.origin: log.append(record) for log in logs or (self.a, self.b)}
        self.records.append((record, places))
        return places


class ReceiptCountry:
    """A country in which `consumer` may call `provider`, and the receipts of its calls."""

    def __init__(self, country: Country) -> None:
        self.country = country
        self.provider, self.consumer = country.new_member(1, "provider"), country.new_member(2, "consumer")
        self.service: ServiceId = country.add_service(self.provider, "registers")
        country.admit(self.consumer)
        country.admit(self.provider)
        country.grant(
            self.provider, self.service, self.consumer.subsystem("main"), self.consumer.lineage, "GET /countries/*"
        )
        self.client: ConfigurationClient
        self.client, fetcher = country.client(self.consumer)
        self.client.want(self.provider.id)
        self.client.refresh()
        self.maker = ExcerptMaker(anchor=country.anchor, archive=self.client.archive, source=fetcher)
        self.a, self.b = PaperLog(self.consumer, country), PaperLog(self.provider, country)
        for number in range(5):  # others' entries before ours
            self.a.leaves.append(leaf_hash(b"a %d" % number))
            self.b.leaves.append(leaf_hash(b"b %d" % number))

    @property
    def snapshot(self) -> str:
        return self.client.configuration().snapshot_text

    def anchor(self, *, tsas: tuple[bytes, ...] = ()) -> Anchor:
        """The country's anchor, with time-stamping authorities."""
        known = self.country.anchor
        return parse_anchor(
            make_anchor(
                instance=known.instance, root=known.root, log_origin=known.log_origin,
                log_vkeys=tuple(map(str, known.log_keys)), policy=known.policy.format(), tsas=tsas, issued=known.issued,
            )
        )  # fmt: skip

    # Records

    def fields(self, **changes: Any) -> dict[str, Any]:
        """The fields of a request."""
        now = self.country.clock.now()
        secret = seed("request secret")
        found: dict[str, Any] = {
            "message": MESSAGE, "from_": self.a.origin, "to": self.b.origin,
            "client": str(self.consumer.subsystem("main")), "service": str(self.service), "method": "GET",
            "endpoint": "GET /countries/*", "snapshot": self.snapshot, "time": now, "expires": now + 30_000,
            "attempt": 1, "size": 0, "path": hash_text(commit(secret, PATH, PATH_CALLED)),
            "query": hash_text(commit(secret, QUERY, QUERY_CALLED)),
            "headers": hash_text(commit(secret, HEADERS, HEADERS_SENT)),
            "body": hash_text(commit(secret, BODY, BODIES["request"])),
        }  # fmt: skip
        return found | changes

    def request(self, **changes: Any) -> Call:
        """A call whose request is on record in both logs."""
        call = Call(self.a, self.b, secrets={"request": seed("request secret"), "response": seed("response secret")})
        call.put(format_record("request", **self.fields(**changes)))
        return call

    def answer(self, call: Call, kind: str = "response", *logs: PaperLog, **changes: Any) -> Call:
        """One more record, bound to the request."""
        request, places = call.records[0]
        back = kind in {"response", "refused"}
        secret = call.secrets["response"]
        body = BODIES["response"]
        found: dict[str, Any] = {
            "message": MESSAGE, "from_": request["to" if back else "from"], "to": request["from" if back else "to"],
            "client": request["client"], "service": request["service"],
            "request": f"{hash_text(leaf_hash(request.data))} {places[self.a.origin]}", "snapshot": self.snapshot,
            "time": self.country.clock.now(), "status": 200, "size": len(body), "code": "peer.timeout",
            "headers": hash_text(commit(secret, HEADERS, HEADERS_SENT)), "body": hash_text(commit(secret, BODY, body)),
        }  # fmt: skip
        call.put(format_record(kind, **(found | changes)), *logs)  # type: ignore[arg-type]
        return call

    def tail(self, call: Call, role: Role, **changes: Any) -> Call:
        """The tail of a streamed head."""
        head, places = next((r, p) for r, p in call.records if r.kind == role)
        body = BODIES[role]
        found: dict[str, Any] = {
            "message": MESSAGE, "from_": head["from"], "to": head["to"],
            "head": f"{hash_text(leaf_hash(head.data))} {places[head['from']]}", "time": self.country.clock.now(),
            "size": len(body), "body": hash_text(commit(call.secrets[role], BODY, body)), "outcome": "complete",
        }  # fmt: skip
        call.put(format_record(f"{role}-tail", **(found | changes)))  # type: ignore[arg-type]
        return call

    def answered(self) -> Call:
        """The usual call: a request and its response."""
        return self.answer(self.request())

    def streamed(self) -> Call:
        """A call whose bodies were streamed both ways."""
        call = self.tail(self.request(size=STREAMED, body=STREAMED), "request")
        return self.tail(self.answer(call, size=STREAMED, body=STREAMED), "response")

    # Receipts

    def receipt(
        self,
        call: Call,
        *,
        state: State = "witnessed",
        disclose: tuple[tuple[Role, str], ...] = (),
        snapshots: tuple[str, ...] = (),
        **options: Any,
    ) -> Receipt:
        """The receipt of a call; `options` are those of the proofs' checkpoints."""
        records = [record for record, _ in call.records]
        named = snapshots or tuple(dict.fromkeys(r["snapshot"] for r in records if "snapshot" in r.fields))
        logs = {log.origin: log for log in (self.a, self.b)}
        return Receipt(
            message=MESSAGE,
            messages=tuple(
                Message(
                    "request" if record.kind in {"request", "request-tail"} else "response",
                    record.data,
                    {origin: logs[origin].proof(index, **options) for origin, index in places.items()},
                )
                for record, places in call.records
            ),
            logs=self._listed(),
            configuration=json.loads(json.dumps(self.maker.make(named, records))),
            timestamps=(),
            seals=(),
            disclosure=tuple(self._disclosed(call, role, name) for role, name in disclose),
            state=state,
        )

    def stamped(self, receipt: Receipt, issue: Any) -> Receipt:
        """The receipt with a token of `issue(note)` over each of its checkpoints."""
        notes = {
            (log, data.partition(b"\n\n")[2]): None
            for message in receipt.messages
            for log, data in message.proofs.items()
        }
        tokens = tuple(Token(log, note, issue(note)) for log, note in notes)
        return replace(receipt, timestamps=tokens, state="timestamped")

    def _listed(self) -> tuple[ListedLog, ...]:
        logs = tuple(
            ListedLog(
                log.origin, str(log.desk.id), (str(VerifierKey.of(log.origin, ED25519, log.desk.log_key.public)),)
            )
            for log in (self.a, self.b)
        )
        witnesses = self.country.anchor.policy.witnesses.values()
        return logs + tuple(ListedLog(w.key.name, None, tuple(map(str, w.keys))) for w in witnesses)

    def _disclosed(self, call: Call, role: Role, name: str) -> Disclosure:
        values = {PATH: PATH_CALLED, QUERY: QUERY_CALLED, HEADERS: HEADERS_SENT, BODY: None}
        return Disclosure(role, name, salt(call.secrets[role], name), values[name])  # type: ignore[arg-type]


__all__ = ["BODIES", "MESSAGE", "Call", "PaperLog", "ReceiptCountry"]
