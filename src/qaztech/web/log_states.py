"""Every log with its newest checkpoint, and what each witness has seen of it: fetched, and checked with known keys.

Checkpoints are asked for where the instance's file names a node's address, witnesses where the anchor's policy names
theirs. A signature that does not verify is shown as such and its size is not. Answers are kept for a few seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from qaztech.core.errors import Error
from qaztech.core.ids import MemberId
from qaztech.evidence.checkpoint import Checkpoint, SignedCheckpoint
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.policy import Policy, PolicyWitness
from qaztech.evidence.witness import checkpoint_path
from qaztech.registry.anchor import Anchor, parse_anchor
from qaztech.registry.catalogue import Catalogue
from qaztech.web.asking import ask
from qaztech.web.country import Country

KEPT_SECONDS = 3.0
SECONDS = 2.0
AT_ONCE = 16
MAX_KEPT = 4096
MAX_NODES = 8

Kind = Literal["registry", "admin", "node"]
Finding = Literal["signed", "wrong", "unreachable", "not-public", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessState:
    """What a witness has cosigned of a log last: how many entries, and when (milliseconds)."""

    name: str
    finding: Literal["cosigned", "nothing", "silent", "bad", "forked"]
    size: int = 0
    time: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """A log now. `member` is whose node writes it, None for the registry's two; `root` is hex."""

    origin: str
    kind: Kind
    member: MemberId | None
    node: str
    closed: bool
    finding: Finding
    size: int = 0
    root: str = ""
    witnesses: tuple[WitnessState, ...] = ()
    quorum: int | None = None
    """How many entries a quorum has seen at least, each of it some checkpoint of its own; None without a quorum."""


@dataclass(frozen=True, slots=True)
class _Asked:
    origin: str
    keys: tuple[VerifierKey, ...]
    urls: tuple[str, ...]
    kind: Kind = "node"
    member: MemberId | None = None
    node: str = ""
    closed: bool = False


class LogStates:
    """Asks for the states of logs; `anchor` reads the anchor's file."""

    def __init__(self, *, country: Country, anchor: Callable[[], bytes]) -> None:
        self._country = country
        self._read_anchor = anchor
        self._known: dict[str, tuple[float, LogState]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._parsed: Anchor | None = None

    def rule(self) -> Policy:
        """The witness policy of the anchor."""
        return self._anchor().policy

    async def states(self, catalogue: Catalogue, *, offset: int = 0, limit: int = 20) -> tuple[list[LogState], int]:
        """The states of some of the logs, the registry's two first, then by member; and how many logs there are."""
        anchor = self._anchor()
        places: dict[str, list[str]] = {}
        for node in self._country.nodes:
            places.setdefault(node.member, []).append(f"{node.management}/log/checkpoint")
        registry = self._country.registry
        url = f"{registry}/registry/log/checkpoint"
        asked = [_Asked(anchor.log_origin, anchor.log_keys, (url,), "registry")]
        asked += [
            _Asked(
                origin=line.origin,
                keys=tuple(map(VerifierKey.parse, line.vkeys)),
                urls=(f"{registry}/admin-log/checkpoint",),
                kind="admin",
                closed=line.ended is not None,
            )
            for line in sorted(catalogue.configuration.admin_logs, key=lambda line: line.ended is not None)
        ]
        logs = sorted(catalogue.configuration.logs(), key=lambda log: (str(log.node), log.closed is not None))
        asked += [
            _Asked(
                origin=log.origin,
                keys=log.keys,
                urls=tuple(places.get(str(log.node.member), ())[:MAX_NODES]),
                member=log.node.member,
                node=str(log.node),
                closed=log.closed is not None,
            )
            for log in logs
        ]
        page = asked[offset : offset + limit]
        return list(await asyncio.gather(*(self._state(one, anchor.policy) for one in page))), len(asked)

    def _anchor(self) -> Anchor:
        data = self._read_anchor()
        if self._parsed is None or self._parsed.data != data:
            self._parsed = parse_anchor(data)
        return self._parsed

    async def _state(self, asked: _Asked, policy: Policy) -> LogState:
        known = self._known.get(asked.origin)
        if known is not None and time.monotonic() < known[0] + KEPT_SECONDS:
            return known[1]
        state = await self._look(asked, policy)
        if len(self._known) >= MAX_KEPT:
            self._known.clear()
        self._known[asked.origin] = (time.monotonic(), state)
        return state

    async def _look(self, asked: _Asked, policy: Policy) -> LogState:
        finding, head = ("closed", None) if asked.closed else await self._head(asked)
        found = await asyncio.gather(*(self._witness(one, asked, head) for one in policy.witnesses.values()))
        return LogState(
            origin=asked.origin,
            kind=asked.kind,
            member=asked.member,
            node=asked.node,
            closed=asked.closed,
            finding=finding,
            size=head.size if head is not None else 0,
            root=head.root.hex() if head is not None else "",
            witnesses=tuple(found),
            quorum=_seen_by_quorum(found, policy),
        )

    async def _head(self, asked: _Asked) -> tuple[Finding, Checkpoint | None]:
        """The log's newest checkpoint, from whichever of its member's nodes writes it."""
        finding: Finding = "not-public"
        for url in asked.urls:
            note = await self._get(url)
            head = _verified(note, asked) if note is not None else None
            if head is not None:
                return "signed", head
            if note is None:
                finding = "unreachable"
            elif _origin(note) in {asked.origin, ""}:
                return "wrong", None
        return finding, None

    async def _witness(self, witness: PolicyWitness, asked: _Asked, head: Checkpoint | None) -> WitnessState:
        if not witness.url.startswith("http://"):
            return WitnessState(name=witness.name, finding="silent")
        note = await self._get(f"{witness.url}/{checkpoint_path(asked.origin)}", missing=b"")
        if not note:
            return WitnessState(name=witness.name, finding="silent" if note is None else "nothing")
        seen = _verified(note, asked)
        at = _cosigned_at(witness, note) if seen is not None else None
        if seen is None or at is None:
            return WitnessState(name=witness.name, finding="bad")
        forked = head is not None and seen.size == head.size and seen.root != head.root
        return WitnessState(
            name=witness.name, finding="forked" if forked else "cosigned", size=seen.size, time=at * 1000
        )

    async def _get(self, url: str, *, missing: bytes | None = None) -> bytes | None:
        """What stands there; `missing` where there is nothing, None where nobody answers."""
        try:
            async with self._turn:
                answer = await ask(url, seconds=SECONDS)
        except Error:
            return None
        if answer.status == 404:
            return missing
        return answer.body if answer.status == 200 else None


def _origin(note: bytes) -> str:
    """The log a note speaks of; empty where it is no checkpoint."""
    try:
        return SignedCheckpoint.parse(note).origin
    except Error:
        return ""


def _verified(note: bytes, asked: _Asked) -> Checkpoint | None:
    """The checkpoint, if it is this log's and signed with its keys."""
    try:
        found = SignedCheckpoint.parse(note).verify(asked.keys)
    except Error:
        return None
    return found if found.origin == asked.origin else None


def _seen_by_quorum(found: list[WitnessState], policy: Policy) -> int | None:
    sizes = {one.name: one.size for one in found if one.finding == "cosigned"}
    enough = (size for size in set(sizes.values()) if policy.satisfied_by([n for n, s in sizes.items() if s >= size]))
    return max(enough, default=None)


def _cosigned_at(witness: PolicyWitness, note: bytes) -> int | None:
    """When the witness cosigned it, in seconds; None where it did not, or wrongly."""
    try:
        return witness.cosigned_at(SignedCheckpoint.parse(note))
    except Error:
        return None
