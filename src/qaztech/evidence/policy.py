"""Witness policies: which logs, which witnesses, and how many of them make a quorum (C2SP tlog-policy).

The whole syntax is read. One rule is ours: a witness line named `NAME.pq` carries the ML-DSA-44 key of the witness
`NAME`, and `NAME` then counts only if both its cosignatures verify, so hybrid evidence cannot be downgraded in silence
(docs/formats/policy.md). `Policy.verify` is the one way from bytes to a `Witnessed` checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from qaztech.core.errors import Malformed, Untrusted
from qaztech.evidence.checkpoint import Checkpoint, SignedCheckpoint
from qaztech.evidence.cosignature import cosigned_at, verify_log
from qaztech.evidence.note import COSIGNATURE_ED25519, ED25519, ML_DSA_44, VerifierKey

MAX_POLICY_BYTES: Final = 1024 * 1024
MAX_LINES: Final = 4096
NONE: Final = "none"
HYBRID: Final = ".pq"

_FORBIDDEN: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_COUNT: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_SPACE: Final = re.compile(r"[ \t]+")


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A log of the policy."""

    key: VerifierKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness of the policy; `hybrid` is its ML-DSA-44 key where one is in force beside the Ed25519 one."""

    name: str
    key: VerifierKey
    url: str = ""
    hybrid: VerifierKey | None = None

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """Every key whose cosignature is required."""
        return (self.key,) if self.hybrid is None else (self.key, self.hybrid)

    def cosigned_at(self, signed: SignedCheckpoint) -> int | None:
        """When the last of the required cosignatures was made, in seconds; None if one is missing or states no time."""
        latest = 0
        for key in self.keys:
            time = cosigned_at(signed, key)
            if not time:
                return None
            latest = max(latest, time)
        return latest


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """A group: it has witnessed what at least `threshold` of its members have witnessed."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint with a verified quorum.

    `times`: when each witness that counts cosigned, in seconds. `time`: the earliest moment by which a full quorum had;
    0 if the policy asks for no witness, for then nobody vouches for a time.
    """

    checkpoint: Checkpoint
    times: dict[str, int]
    time: int


@dataclass(frozen=True, slots=True)
class Policy:
    """Known logs and witnesses, and the rule that says which witnesses are enough."""

    logs: tuple[PolicyLog, ...]
    witnesses: Mapping[str, PolicyWitness]
    groups: tuple[PolicyGroup, ...]
    quorum: str

    @classmethod
    def parse(cls, data: bytes) -> Policy:
        """The policy in these bytes."""
        if len(data) > MAX_POLICY_BYTES or _FORBIDDEN.search(data):
            raise _malformed("control characters, or too long")
        *lines, rest = data.decode("utf-8", "surrogateescape").split("\n")
        if rest or len(lines) > MAX_LINES:
            raise _malformed(f"at most {MAX_LINES} lines, each ended by a newline")
        draft = _Draft()
        for number, line in enumerate(lines, 1):
            words = _SPACE.split(line.strip(" \t"))
            if words[0] and not words[0].startswith("#"):
                try:
                    draft.read(words)
                except Malformed as error:
                    raise _malformed(f"line {number}: {error.detail}") from error
        return draft.policy()

    def format(self) -> bytes:
        """The policy as a file."""
        lines = [["log", str(log.key), log.url] for log in self.logs]
        for witness in self.witnesses.values():
            lines.append(["witness", witness.name, str(witness.key), witness.url])
            if witness.hybrid is not None:
                lines.append(["witness", witness.name + HYBRID, str(witness.hybrid)])
        lines.extend(["group", group.name, str(group.threshold), *group.members] for group in self.groups)
        lines.append(["quorum", self.quorum])
        text = "".join([" ".join(words).rstrip(" ") + "\n" for words in lines])
        return text.encode("utf-8", "surrogateescape")

    def satisfied_by(self, names: Collection[str]) -> bool:
        """Whether these witnesses are a quorum."""
        satisfied = {name for name in names if name in self.witnesses}
        for group in self.groups:
            if sum([member in satisfied for member in group.members]) >= group.threshold:
                satisfied.add(group.name)
        return self.quorum == NONE or self.quorum in satisfied

    def times(self, signed: SignedCheckpoint) -> dict[str, int]:
        """When each witness that counts cosigned this checkpoint, in seconds; a quorum is not asked for."""
        times = {name: witness.cosigned_at(signed) for name, witness in self.witnesses.items()}
        return {name: time for name, time in times.items() if time is not None}

    def verify(self, note: bytes, log_keys: Iterable[VerifierKey] | None = None) -> Witnessed:
        """The checkpoint in `note`, if its log signed it and a quorum cosigned it.

        `log_keys` are the keys of logs known from elsewhere; without them those of the policy count.
        """
        signed = SignedCheckpoint.parse(note)
        checkpoint = verify_log(signed, (log.key for log in self.logs) if log_keys is None else log_keys)
        times = self.times(signed)
        if not self.satisfied_by(times):
            raise Untrusted("policy.quorum", f"no quorum: cosigned by {', '.join(times) or 'nobody'}", at="log")
        return Witnessed(checkpoint, times, self._quorum_time(times))

    def _quorum_time(self, times: dict[str, int]) -> int:
        return next(
            moment
            for moment in sorted({0, *times.values()})
            if self.satisfied_by([name for name, time in times.items() if time <= moment])
        )


@dataclass(slots=True)
class _Draft:
    """A policy being read, line by line; names must stand before they are used."""

    logs: list[PolicyLog] = field(default_factory=list)
    witnesses: dict[str, PolicyWitness] = field(default_factory=dict)
    hybrids: dict[str, VerifierKey] = field(default_factory=dict)
    groups: dict[str, PolicyGroup] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    keys: set[tuple[bool, bytes]] = field(default_factory=set)
    quorum: str = ""

    def read(self, words: list[str]) -> None:
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                self.logs.append(PolicyLog(self.key(vkey, (ED25519, ML_DSA_44), log=True), "".join(url)))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self.witness(name, vkey, "".join(url))
            case ["group", name, count, *members]:
                self.group(name, count, members)
            case ["quorum", name] if not self.quorum:
                self.defined(NONE if name == NONE else name)
                self.quorum = name
            case _:
                raise _malformed("not a line of a policy, or a second quorum")

    def key(self, vkey: str, kinds: Collection[int], *, log: bool = False) -> VerifierKey:
        key = VerifierKey.parse(vkey)
        if key.kind not in kinds:
            raise _malformed("a key of a type that is not for this use")
        if (log, key.public) in self.keys:
            raise _malformed("the same key twice")
        self.keys.add((log, key.public))
        return key

    def witness(self, name: str, vkey: str, url: str) -> None:
        self.free(name)
        if name.endswith(HYBRID):
            self.hybrids[name] = self.key(vkey, (ML_DSA_44,))
        else:
            self.witnesses[name] = PolicyWitness(name, self.key(vkey, (COSIGNATURE_ED25519, ML_DSA_44)), url)

    def group(self, name: str, count: str, members: list[str]) -> None:
        self.free(name)
        if name.endswith(HYBRID):
            raise _malformed(f"names ending in {HYBRID} are kept for ML-DSA-44 keys of witnesses")
        for member in members:
            self.defined(member)
            if member == NONE or member in self.members:
                raise _malformed("a name is a member of at most one group, and `none` of no group")
            self.members.add(member)
        threshold = {"all": len(members), "any": 1}.get(count)
        if threshold is None and _COUNT.fullmatch(count):
            threshold = int(count)
        if threshold is None or not 1 <= threshold <= len(members):
            raise _malformed("a group needs `all`, `any` or a number from 1 to that of its members")
        self.groups[name] = PolicyGroup(name, threshold, tuple(members))

    def free(self, name: str) -> None:
        if name == NONE or name in self.witnesses or name in self.groups or name in self.hybrids:
            raise _malformed("a name that is defined already")

    def defined(self, name: str) -> None:
        if name != NONE and name not in self.witnesses and name not in self.groups:
            raise _malformed("a name that is not defined on a line before")

    def policy(self) -> Policy:
        if not self.quorum:
            raise _malformed("no quorum line")
        for name, key in self.hybrids.items():
            witness = self.witnesses.get(name.removesuffix(HYBRID))
            if witness is None or witness.key.kind != COSIGNATURE_ED25519:
                raise _malformed(f"{name} stands for no witness that has an Ed25519 key")
            self.witnesses[witness.name] = replace(witness, hybrid=key)
        witnesses = MappingProxyType(self.witnesses)
        return Policy(tuple(self.logs), witnesses, tuple(self.groups.values()), self.quorum)


def _malformed(why: str) -> Malformed:
    return Malformed("policy.malformed", why)
