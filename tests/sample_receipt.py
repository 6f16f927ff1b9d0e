"""A real receipt without nodes: a small country, two logs, witnesses, records, proofs and the excerpt, all of them signed."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qaztech.core.commitment import BODY, FIELDS, HEADERS, PATH, QUERY, commit, salt
from qaztech.core.record import Record, format_record, hash_text
from qaztech.evidence.checkpoint import Checkpoint, SignedCheckpoint, sign_checkpoint
from qaztech.evidence.cosignature import cosign_ed25519
from qaztech.evidence.merkle import Frontier, inclusion_proof, leaf_hash, node_hash
from qaztech.evidence.note import ED25519, VerifierKey, format_note
from qaztech.evidence.proof import TlogProof
from qaztech.registry.excerpt_maker import ExcerptMaker
from registry_country import HOST, Country, MemberDesk, seed

MESSAGE = "0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11"
OTHERS = 6  # leaves of other exchanges before and after
VALUES = {PATH: b"/countries/KZ", QUERY: b"?lang=kk", HEADERS: b"accept:application/json\r\n", BODY: b""}
BODY_ANSWERED = '{"alpha_2": "KZ", "name": {"kk": "Қазақстан", "en": "Kazakhstan"}}'.encode()


@dataclass(frozen=True)
class Sample:
    """A receipt and what it is checked against."""

    receipt: dict[str, Any]
    anchor: bytes
    country: Country
    body: bytes = BODY_ANSWERED

    def text(self) -> str:
        """The receipt as a file."""
        return json.dumps(self.receipt, indent=1)


class _Tree:
    """One party's log: leaves around those of the exchange."""

    def __init__(self, desk: MemberDesk, country: Country) -> None:
        self.desk = desk
        self.country = country
        self.leaves = [leaf_hash(f"{desk.id} {n}".encode()) for n in range(OTHERS)]

    def append(self, record: Record) -> int:
        self.leaves.append(leaf_hash(record.data))
        return len(self.leaves) - 1

    def _node(self, level: int, index: int) -> bytes:
        if level == 0:
            return self.leaves[index]
        return node_hash(self._node(level - 1, 2 * index), self._node(level - 1, 2 * index + 1))

    def proof(self, record: Record, witnesses: Sequence[str]) -> dict[str, str]:
        index = self.leaves.index(leaf_hash(record.data))
        frontier = Frontier()
        frontier.extend(self.leaves)
        note = sign_checkpoint(self.desk.origin, frontier.size, frontier.root(), self.desk.log_key)
        signed = SignedCheckpoint.parse(note)
        when = self.country.clock.now() // 1000 + 2
        lines = [cosign_ed25519(signed, f"{HOST}/witness/{n}", self.country.witnesses[n], when) for n in witnesses]
        proof = TlogProof(
            index=index,
            hashes=tuple(inclusion_proof(index, frontier.size, self._node)),
            checkpoint=format_note(signed.note.with_signatures(lines)),
        )
        assert Checkpoint(signed.origin, signed.size, signed.root).body() == signed.note.text
        return {"log": self.desk.origin, "proof": proof.format().decode()}


def make_sample(
    directory: Path,
    *,
    witnesses: Sequence[str] = ("registry", "third"),
    disclose: Sequence[str] = FIELDS,
    answer: str = "response",
) -> Sample:
    """One exchange between two members, with its receipt as the consumer's node would make it."""
    country = Country(directory)
    provider = country.new_member(1, "Registers", member_class="QUASI")
    consumer = country.new_member(2, "Permits")
    service = country.add_service(provider, "countries")
    country.admit(consumer)
    country.admit(provider)
    country.grant(provider, service, consumer.subsystem("main"), consumer.lineage, "GET /countries/*")
    client, fetcher = country.client(consumer)
    client.want(provider.id)
    client.refresh()
    snapshot = client.configuration().snapshot_text
    ours, theirs = _Tree(consumer, country), _Tree(provider, country)
    now = country.clock.now()
    secrets = {"request": seed("request"), "response": seed("response")}
    exchange = {"message": MESSAGE, "client": str(consumer.subsystem("main")), "service": str(service)}

    def committed(role: str, field: str, value: bytes) -> str:
        return hash_text(commit(secrets[role], field, value))

    request = format_record(
        "request", **exchange, from_=consumer.origin, to=provider.origin, method="GET", endpoint="GET /countries/*",
        snapshot=snapshot, time=now, expires=now + 30_000, attempt=1, size=0,
        **{field: committed("request", field, VALUES[field]) for field in FIELDS},
    )  # fmt: skip
    bound = f"{hash_text(leaf_hash(request.data))} {ours.append(request)}"
    theirs.append(request)
    back = {**exchange, "from_": provider.origin, "to": consumer.origin, "request": bound, "time": now + 40}
    headers = b"content-type:application/json\r\n"
    if answer == "response":
        ending = format_record(
            "response", **back, snapshot=snapshot, status=200, size=len(BODY_ANSWERED),
            headers=committed("response", HEADERS, headers), body=committed("response", BODY, BODY_ANSWERED),
        )  # fmt: skip
    else:
        ending = format_record("refused", **back, snapshot=snapshot, code="service.unreachable")
    for tree in (ours, theirs):
        tree.append(ending)
        tree.leaves += [leaf_hash(f"later {n}".encode()) for n in range(OTHERS)]
    disclosure = [
        {"role": "request", "field": field, "salt": _base64(salt(secrets["request"], field))}
        | ({"value": _base64(VALUES[field])} if field != BODY else {})
        for field in disclose
    ]
    if answer == "response" and BODY in disclose:
        disclosure.append({"role": "response", "field": BODY, "salt": _base64(salt(secrets["response"], BODY))})
    maker = ExcerptMaker(anchor=country.anchor, archive=client.archive, source=fetcher)
    receipt = {
        "format": "qaztech-receipt 1",
        "message": MESSAGE,
        "messages": [
            {
                "role": role,
                "record": _base64(record.data),
                "proofs": [tree.proof(record, witnesses) for tree in (ours, theirs)],
            }
            for role, record in (("request", request), ("response", ending))
        ],
        "logs": [
            *({"origin": d.origin, "member": str(d.id), "vkeys": [_log_key(d)]} for d in (consumer, provider)),
            *(
                {"origin": witness.key.name, "member": None, "vkeys": [str(key) for key in witness.keys]}
                for witness in country.anchor.policy.witnesses.values()
            ),
        ],
        "configuration": maker.make([snapshot], [request, ending]),
        "timestamps": [],
        "seals": [],
        "disclosure": disclosure,
        "state": "witnessed" if witnesses else "recorded",
    }
    return Sample(json.loads(json.dumps(receipt)), country.anchor_bytes, country)


def _log_key(desk: MemberDesk) -> str:
    return str(VerifierKey.of(desk.origin, ED25519, desk.log_key.public))


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
