"""The registry's office: every administrative act, written to the admin log before it is carried out.

An act is checked, recorded, carried out and published, one at a time. What is recorded is decided: if the process ends
before it is carried out, that is done at the next start, before anything else. Where the log is halted nothing is
decided. Acts say what may be public; of an application they hold the hash of its envelope and nothing of its contact,
signatory or reason. Not here: who may (`scopes`), the rules (`admission`, `applications`), acts on accounts (`people`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol, TypeVar

import msgspec

from qaztech.core.errors import Conflict, Error, Halt, Malformed, Unavailable
from qaztech.core.ids import MemberId, NodeId
from qaztech.core.time import Clock
from qaztech.people.actors import Act, Actor, State, new_salt
from qaztech.people.acts import MOST_AT_ONCE, LoggedAct
from qaztech.registry.applications import Applications, Filed
from qaztech.registry.forms import Names, base64, bytes32
from qaztech.registry.publisher import Publisher
from qaztech.trust.certificates import Authority

OPERATOR_TOKEN = Actor(name="operator-token", role="machine-owner")
REGISTRY = Actor(name="registry", role="process")
ADMIT, SUSPEND, RESUME, REVOKE = "member.admit", "member.suspend", "member.resume", "tls.revoke"
ADMIT_APPLICATION, REFUSE_APPLICATION = "application.admit", "application.refuse"
CERTIFICATE, FAILED = "certificate.issue", "act.failed"
MAX_REASON = 1000
_FINISHED = frozenset({CERTIFICATE, FAILED})
_OURS = frozenset({ADMIT, SUSPEND, RESUME, REVOKE, ADMIT_APPLICATION, REFUSE_APPLICATION}) | _FINISHED
_T = TypeVar("_T")


class ActLog(Protocol):
    """The admin log, as acts are recorded in it and found again."""

    @property
    def halted(self) -> Halt | None:
        """Why nothing can be recorded any more."""
        ...

    async def record(self, act: Act) -> int:
        """Append an act; its index, once it is durable."""
        ...

    def acts(self, *, newest_first: bool = True, limit: int = 50, before: int | None = None) -> Sequence[LoggedAct]:
        """Acts by their place."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """An act to be: what, to whom, and what is so before and after."""

    act: str
    subject: str
    before: State
    after: State


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unfinished:
    """An act that is recorded and not carried out yet; `do` is None where that is not possible any more."""

    index: int
    act: Act
    do: Callable[[], object] | None


class Office:
    """Carries out what people decide at the registry."""

    def __init__(
        self,
        *,
        publisher: Publisher,
        applications: Applications | None,
        authority: Authority | None,
        log: ActLog,
        clock: Clock,
    ) -> None:
        self._publisher = publisher
        self._registry = publisher.registry
        self._applications = applications
        self._authority = authority
        self._log = log
        self._clock = clock
        self._unfinished: _Unfinished | None = None

    # Acts --------------------------------------------------------------------------------------------------------

    async def decide_application(self, by: Actor, id_: str, *, version: int, admit: bool, reason: str) -> Filed:
        """Admit or refuse; `version` is the one that was seen. Raises `Conflict` when it has changed since."""
        applications = self._applications
        if applications is None:
            raise Conflict("application.none", "this registry takes no applications", at="registry")

        def plan() -> _Plan:
            filed = applications.check_decision(id_, version=version, admit=admit, reason=reason)
            envelope = sha256(filed.envelope).hexdigest()
            before = {"application": envelope, "state": filed.state, "version": version}
            after = {"application": envelope, "state": "admitted" if admit else "refused", "version": version + 1}
            if admit:
                after["lineage"] = filed.lineage
            if reason:
                after["reason-sha256"] = sha256(reason.encode()).hexdigest()
            act = ADMIT_APPLICATION if admit else REFUSE_APPLICATION
            return _Plan(act=act, subject=filed.member, before=before, after=after)

        def do() -> Filed:
            return applications.decide(id_, version=version, admit=admit, by=by.name, reason=reason)

        return await self._carry_out(by, plan, do, publish=admit)

    async def admit(self, by: Actor, member: MemberId, lineage: str, names: Names) -> None:
        """Admit a member without an application."""

        def plan() -> _Plan:
            self._registry.check_admission(member, lineage, names)
            known = self._registry.members().get(str(member))
            before = {"lineage": known[0]} if known is not None else None
            after = {"lineage": lineage, "names": msgspec.to_builtins(names)}
            return _Plan(act=ADMIT, subject=str(member), before=before, after=after)

        await self._carry_out(by, plan, lambda: self._registry.admit(member, lineage, names))

    async def suspend(self, by: Actor, member: MemberId, *, suspended: bool, reason: str = "") -> None:
        """Take a member out of the configuration, or let it back. The reason stands in the admin log for good."""
        check_reason(reason)

        def plan() -> _Plan:
            self._registry.check_suspension(member, suspended=suspended)
            after: dict[str, Any] = {"suspended": suspended}
            if reason:
                after["reason"] = reason
            act = SUSPEND if suspended else RESUME
            return _Plan(act=act, subject=str(member), before={"suspended": not suspended}, after=after)

        do = self._registry.suspend if suspended else self._registry.resume
        await self._carry_out(by, plan, lambda: do(member))

    async def revoke_tls(self, by: Actor, spki: bytes, *, reason: str = "") -> None:
        """Take a TLS key (SHA-256 of SPKI) off the wire for good. One that is revoked already stays so."""
        check_reason(reason)
        name = base64(spki)

        def plan() -> _Plan | None:
            if self._registry.is_revoked(spki):
                return None
            after: dict[str, Any] = {"revoked": True}
            if reason:
                after["reason"] = reason
            return _Plan(act=REVOKE, subject=name, before={"revoked": False}, after=after)

        await self._carry_out(by, plan, lambda: self._registry.revoke_tls(spki))

    async def certificate(self, by: Actor, node: NodeId, request: bytes) -> bytes:
        """A certificate (PEM) for a node's request (PEM); recorded before it leaves."""
        authority = self._authority
        if authority is None:
            raise Conflict("certificate.authority", "this registry issues no certificates", at="registry")
        self._registry.may_have_certificate(node)
        issued = authority.issue(request, node, self._clock.now())
        after = {"certificate": sha256(issued).hexdigest()}
        await self._log.record(self._act(by, _Plan(act=CERTIFICATE, subject=str(node), before=None, after=after)))
        return issued

    # Carrying out ------------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """At the start: carry out what was recorded last, if the process ended before it did."""
        last = self._last()
        if last is not None and last.act is not None and not await asyncio.to_thread(self._stands, last.act):
            self._unfinished = _Unfinished(index=last.index, act=last.act, do=self._again(last.act))
        await self.finish()

    async def finish(self) -> None:
        """Carry out what is recorded and was held up; the next publication shows it. Raises `Unavailable`, `Halt`."""
        if self._unfinished is not None:
            await self._publisher.decide(lambda: None, first=self._finish, publish=False)

    async def _carry_out(
        self, by: Actor, plan: Callable[[], _Plan | None], do: Callable[[], _T], *, publish: bool = True
    ) -> _T:
        recorded: _Unfinished | None = None

        async def first() -> None:
            nonlocal recorded
            await self._finish()
            planned = await asyncio.to_thread(plan)
            if planned is not None:
                act = self._act(by, planned)
                self._unfinished = recorded = _Unfinished(index=await self._log.record(act), act=act, do=do)

        def carry_out() -> _T:
            done = do()
            self._unfinished = None
            return done

        try:
            return await self._publisher.decide(carry_out, first=first, publish=publish)
        except Unavailable as exc:
            if recorded is None or self._unfinished is not recorded:
                raise
            detail = f"it is decided, recorded, and carried out as soon as that can be: {exc.detail} ({exc.code})"
            raise Unavailable("act.held-up", detail, at="registry", context=exc.context) from exc

    async def _finish(self) -> None:
        left = self._unfinished
        if left is None:
            return
        if await asyncio.to_thread(self._stands, left.act):
            self._unfinished = None  # it was stored, and the answer was lost
            return
        try:
            if left.do is None:
                raise Conflict("act.lost", "the process ended before it was carried out", at="registry")
            await asyncio.to_thread(left.do)
        except (Unavailable, Halt):
            raise
        except Error as exc:
            before = {"index": left.index, "act": left.act.act}
            plan = _Plan(act=FAILED, subject=left.act.subject, before=before, after={"code": exc.code})
            await self._log.record(self._act(REGISTRY, plan))
        self._unfinished = None

    def _act(self, by: Actor, plan: _Plan) -> Act:
        return Act(
            who=by.name, role=by.role, when=self._clock.now(), act=plan.act, subject=plan.subject, before=plan.before,
            after=plan.after, salt=new_salt(),
        )  # fmt: skip

    def _last(self) -> LoggedAct | None:
        """The newest act of this office."""
        before: int | None = None
        while page := self._log.acts(limit=MOST_AT_ONCE, before=before):
            for logged in page:
                if logged.act is not None and logged.act.act in _OURS:
                    return logged
            before = page[-1].index
        return None

    def _stands(self, act: Act) -> bool:
        """Whether what an act says is so."""
        after, registry = act.after or {}, self._registry
        if act.act in _FINISHED:
            return True
        if act.act == REVOKE:
            return registry.is_revoked(bytes32(act.subject, "act.malformed", "TLS key"))
        if act.act in {ADMIT_APPLICATION, REFUSE_APPLICATION}:
            filed = self._filed(act)
            return filed is None or filed.state != "submitted"
        known = registry.members().get(act.subject)
        if act.act == ADMIT:
            return known is not None and known[0] == after.get("lineage")
        return known is None or known[1] == after.get("suspended")

    def _again(self, act: Act) -> Callable[[], object] | None:
        """How to carry out an act of which only the log is left. A refusal needs its reason, which no log holds."""
        after, registry = act.after or {}, self._registry
        if act.act == REVOKE:
            return lambda: registry.revoke_tls(bytes32(act.subject, "act.malformed", "TLS key"))
        if act.act == ADMIT_APPLICATION:
            filed, applications = self._filed(act), self._applications
            if filed is None or applications is None:
                return None
            return lambda: applications.decide(filed.id, version=filed.version, admit=True, by=act.who, reason="")
        if act.act == REFUSE_APPLICATION:
            return None
        member = MemberId.parse(act.subject)
        if act.act == ADMIT:
            return lambda: registry.admit(member, after["lineage"], msgspec.convert(after["names"], Names))
        return lambda: (registry.suspend if act.act == SUSPEND else registry.resume)(member)

    def _filed(self, act: Act) -> Filed | None:
        """The application that an act decided."""
        if self._applications is None:
            return None
        wanted = (act.after or {}).get("application")
        mine = self._applications.of(act.subject)
        return next((filed for filed in mine if sha256(filed.envelope).hexdigest() == wanted), None)


def check_reason(reason: str) -> None:
    """Raise `Malformed` for a reason that cannot be told."""
    if len(reason) > MAX_REASON or not all(c.isprintable() or c == "\n" for c in reason):
        raise Malformed("act.reason", f"a reason has at most {MAX_REASON} printable characters", at="caller")
