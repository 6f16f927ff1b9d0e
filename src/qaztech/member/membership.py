"""From an organisation without a key to a member with nodes: the steps of joining, the key, and who may call.

The same steps as `qaztech member new|apply|application|grant-node|accept-node|rotate-key|revoke`, and the same files at
the desk, so that console and command line go on where the other stopped. Whom to admit is the registry's to decide.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from qaztech.core.bin import is_bin
from qaztech.core.errors import Conflict, Error, Malformed, NotFound
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.member.desk_work import DeskWork, Outcome
from qaztech.member.publishing import check_code
from qaztech.people.actors import Actor
from qaztech.registry import enrolling
from qaztech.registry.application import CLASSES, binding_text, make_application, new_contact
from qaztech.registry.authoring import ServiceRights
from qaztech.registry.desk import Desk
from qaztech.registry.enrolment import Token
from qaztech.registry.files import replace_file, write_private
from qaztech.registry.forms import Names, base64
from qaztech.registry.node_identity import NodeIdentity
from qaztech.registry.submitting import fetch, send
from qaztech.trust.envelope import key_id
from qaztech.trust.national import TestSigner

APPLICATION, GRANTS = "application.json", "grants"
MAX_SIGNER = 64 * 1024

Step = Literal["key", "apply", "wait", "refused", "submit", "node", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What was applied for, as the registry tells it now; `trouble` is a code where it does not answer."""

    id: str
    state: str | None
    reason: str | None
    trouble: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A node that may enrol. `enrolled` says whether one has, `accepted` whether the member file names it."""

    node: str
    expires: int | None
    enrolled: bool
    accepted: bool
    address: str | None
    tls: str | None
    origin: str | None
    trouble: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRight:
    """Who may call a service: a client, or a group with its clients; `until` in milliseconds."""

    service: str
    client: str | None
    group: str | None
    clients: tuple[str, ...]
    endpoints: tuple[str, ...]
    until: int | None


class Membership:
    """One organisation's way into the country and its standing there. Methods block: call from a thread."""

    def __init__(self, *, work: DeskWork, registry: str, instance: str, fingerprint: str = "") -> None:
        self._work = work
        self._fingerprint = fingerprint
        self._registry = registry
        self._instance = instance

    # Joining --------------------------------------------------------------------------------------------------------

    def create(self, member_class: str, bin_: str, names: Names, by: Actor) -> None:
        """A member key and a first, empty member file. Raises `Malformed`, or `Conflict` where there is one."""
        if member_class not in CLASSES:
            raise Malformed("console.class", f"the classes are {', '.join(CLASSES)}", at="caller")
        if not is_bin(bin_):
            raise Malformed("console.bin", "a BIN is twelve digits, the last a check digit", at="caller")
        names.check("console.names")
        member = MemberId(self._instance, member_class, bin_)
        with self._work.alone():
            if self._work.exists:
                raise Conflict("member.exists", "there is a member key here already", at="caller")
            self._work.note(by, "member.create", str(member), None, {"names": _plain(names)})
            Desk.create(self._work.directory, member=member, names=names, clock=self._work.clock)

    def apply(self, *, unit: str, email: str, phone: str, signer: bytes, by: Actor) -> str:
        """Ask the registry to admit the member; gives the application's id. `signer` (PEM, test kind) is not kept."""
        if len(signer) > MAX_SIGNER:
            raise Malformed("national.signer", "the signer's file holds a private key, then its certificate (PEM)")
        contact = new_contact(unit.strip(), email.strip(), phone.strip())
        person = TestSigner.parse(signer)
        with self._work.turn() as desk:
            now = self._work.clock.now()
            binding = person.sign(binding_text(str(desk.member), base64(desk.key.public), now))
            envelope = make_application(
                member=desk.member, key=desk.key, names=desk.statement.names, contact=contact, issued=now,
                binding=binding,
            )  # fmt: skip
            after = {"lineage": desk.lineage, "envelope": sha256(envelope).hexdigest()}
            self._work.note(by, "member.apply", str(desk.member), None, after)
            answer = send(self._registry, "/members/applications", envelope)
            kept = {"id": str(answer["id"]), "registry": self._registry}
            replace_file(self._work.directory / APPLICATION, json.dumps(kept).encode())
        return kept["id"]

    def application(self) -> Application | None:
        """What became of the application; None where nothing was applied for."""
        try:
            kept = json.loads((self._work.directory / APPLICATION).read_bytes())
            id_ = str(kept["id"])
        except (FileNotFoundError, ValueError, LookupError):
            return None
        try:
            answer = fetch(self._registry, f"/members/applications/{id_}")
            return Application(id=id_, state=str(answer["state"]), reason=answer["reason"], trouble=None)
        except Error as exc:
            return Application(id=id_, state=None, reason=None, trouble=exc.code)

    def step(self) -> Step:
        """What the organisation has to do next, to be a member that can be called."""
        if not self._work.exists:
            return "key"
        statement, brought = self._work.file().statement, self._work.brought
        if statement.nodes and (brought >= statement.version or not self._has_applied):
            return "done"
        application = self.application()
        if application is None:
            return "apply" if brought == 0 else "node"
        if application.state == "admitted":
            return "submit" if brought == 0 or statement.nodes else "node"
        return "refused" if application.state in {"refused", "withdrawn"} else "wait"

    @property
    def _has_applied(self) -> bool:
        return (self._work.directory / APPLICATION).exists()

    def renew(self, by: Actor) -> Outcome:
        """Sign the member file anew, for another year."""
        return self._work.change(by, lambda desk: _nothing(desk.change()), act="member.renew", subject=self._subject())

    def rotate_key(self, by: Actor) -> Outcome:
        """A new member key, introduced by the present one."""
        old = self._work.file().statement.key
        before = {"key": old}
        return self._work.change(
            by,
            lambda desk: _nothing(desk.rotate_key()),
            act="member.rotate-key",
            subject=self._subject(),
            before=before,
        )

    def _subject(self) -> str:
        return str(self._work.file().member)

    # Nodes ----------------------------------------------------------------------------------------------------------

    def grant_node(self, code: str, by: Actor) -> str:
        """Let a new node of this name enrol; the token, which is shown once. Raises what the registry says."""
        with self._work.turn() as desk:
            check_code(code)
            node = NodeId.parse(f"{desk.member}/{code}")
            self._work.note(by, "node.grant", str(node))
            now, known = self._work.clock.now(), self._fingerprint
            token = enrolling.grant(desk, node, registry=self._registry, now=now, fingerprint=known)
            file = self._token_file(node)
            file.parent.mkdir(exist_ok=True, mode=0o700)
            file.unlink(missing_ok=True)
            write_private(file, token.format().encode())
        return token.format()

    def grants(self) -> list[Grant]:
        """The enrolments that were granted here, and what became of them."""
        named = {line.id: line.tls for line in self._work.file().statement.nodes} if self._work.exists else {}
        folder = self._work.directory / GRANTS
        found = []
        for file in sorted(folder.glob("*.grant")) if folder.is_dir() else ():
            try:
                token = Token.parse(file.read_text())
            except (Error, OSError):
                continue
            found.append(_grant(token, named))
        return sorted(found, key=lambda grant: grant.node)

    def accept_node(self, node: NodeId, by: Actor) -> Outcome:
        """Let an enrolled node speak for the member. Raises `NotFound`, `Conflict`, `Untrusted`."""
        try:
            token = Token.parse(self._token_file(node).read_text())
        except FileNotFoundError as exc:
            raise NotFound("enrolment.unknown", f"no enrolment of {node} was granted here", at="caller") from exc
        granted = enrolling.granted(token)
        after = {"identity": sha256(granted.identity or b"").hexdigest()}

        def work(desk: Desk) -> None:
            enrolling.accept(desk, granted)

        return self._work.change(by, work, act="node.accept", subject=str(node), after=after)

    def _token_file(self, node: NodeId) -> Any:
        return self._work.directory / GRANTS / f"{sha256(str(node).encode()).hexdigest()[:16]}.grant"

    # Rights -----------------------------------------------------------------------------------------------------------

    def rights(self, service: ServiceId | None = None) -> list[HeldRight]:
        """Who may call what, by service and client."""
        desk = self._work.reading()
        services = [ServiceId.parse(line.id) for line in desk.statement.services] if service is None else [service]
        found = [held for one in services for held in _held(desk.rights(one))]
        return sorted(found, key=lambda held: (held.service, held.group or "", held.client or ""))

    def grant(
        self, service: ServiceId, client: SubsystemId, *, lineage: str, endpoints: list[Endpoint], until: int | None,
        by: Actor,
    ) -> Outcome:  # fmt: skip
        """A right without a request, in place of any the client had."""
        after = {"client": str(client), "lineage": lineage, "endpoints": [str(e) for e in endpoints], "until": until}

        def work(desk: Desk) -> None:
            desk.grant(service, client, lineage, endpoints, until)

        return self._work.change(by, work, act="right.grant", subject=f"{service} {client}", after=after)

    def revoke(self, service: ServiceId, *, client: str | None, group: str | None, by: Actor) -> Outcome:
        """Take a right away, of a client or of a group; it counts at the node at once. Raises `NotFound`."""
        mine = [r for r in self.rights(service) if (r.client, r.group) == (client, group)]
        if not mine or (client is None) == (group is None):
            raise NotFound("access-right.missing", "there is no such right", at="caller")
        before = {"endpoints": sorted({e for r in mine for e in r.endpoints})}

        def change(rights: ServiceRights) -> ServiceRights:
            return rights.revoke(SubsystemId.parse(client)) if client is not None else rights.revoke_group(group or "")

        return self._work.change(
            by, lambda desk: _nothing(desk.change_rights(service, change)), act="right.revoke",
            subject=f"{service} {client or group}", before=before,
        )  # fmt: skip


def _grant(token: Token, named: dict[str, str]) -> Grant:
    empty = {"enrolled": False, "accepted": False, "address": None, "tls": None, "origin": None}
    try:
        granted = enrolling.granted(token)
    except Error as exc:
        return Grant(node=token.node, expires=None, trouble=exc.code, **empty)  # type: ignore[arg-type]
    if granted.identity is None:
        return Grant(node=token.node, expires=granted.expires, trouble=None, **empty)  # type: ignore[arg-type]
    identity = NodeIdentity.parse(granted.identity)
    return Grant(
        node=token.node,
        expires=granted.expires,
        enrolled=True,
        accepted=named.get(token.node) == base64(identity.tls),
        address=identity.address,
        tls=identity.tls.hex(),
        origin=identity.log[0].name,
        trouble=None,
    )


def grant_id(token: Token) -> str:
    """How the registry knows a grant."""
    return key_id(token.key.public)


def _held(rights: ServiceRights) -> list[HeldRight]:
    return [
        HeldRight(
            service=str(rights.service),
            client=right.client,
            group=right.group,
            clients=tuple(m.client for m in rights.groups.get(right.group, ())) if right.group else (),
            endpoints=right.endpoints,
            until=right.until,
        )
        for right in rights.rights
    ]


def _plain(names: Names) -> dict[str, str]:
    return {"kk": names.kk, "ru": names.ru, "en": names.en}


def _nothing(_: object) -> None:
    return None
