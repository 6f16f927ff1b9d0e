"""What the witnesses have seen of a log: asked when a log is to be closed, for then its own disk is not to be believed.

Each witness shows the checkpoint it cosigned last (C2SP tlog-witness, monitor retrieval), under the log's signature
and its own; both are verified, so no witness can make up a size. Enough have answered when those that did are a quorum
of the policy: whatever a quorum has cosigned, one of them has seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qaztech.core.errors import Error, NotFound, Unavailable, Untrusted
from qaztech.evidence.checkpoint import Checkpoint, SignedCheckpoint
from qaztech.evidence.merkle import EMPTY_ROOT
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.policy import Policy, PolicyWitness
from qaztech.evidence.view import LogView
from qaztech.evidence.witness import checkpoint_path

Get = Callable[[str], bytes]
"""The body at a URL; raises `NotFound` where there is none, another `Error` where that cannot be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSeen:
    """The largest checkpoint that any witness has cosigned, the sizes by witness, and why others did not say."""

    checkpoint: Checkpoint
    sizes: dict[str, int]
    failures: dict[str, str]
    is_enough: bool


def last_seen(origin: str, key: VerifierKey, policy: Policy, get: Get) -> LastSeen:
    """Ask every witness of the policy; `key` is the log's Ed25519 key."""
    newest = Checkpoint(origin, 0, EMPTY_ROOT)
    sizes: dict[str, int] = {}
    failures: dict[str, str] = {}
    for witness in policy.witnesses.values():
        try:
            checkpoint = ask_witness(witness, origin, key, get)
        except Error as exc:
            failures[witness.name] = exc.detail
            continue
        sizes[witness.name] = checkpoint.size if checkpoint is not None else 0
        if checkpoint is not None and checkpoint.size > newest.size:
            newest = checkpoint
    return LastSeen(checkpoint=newest, sizes=sizes, failures=failures, is_enough=policy.satisfied_by(sizes))


def ask_witness(witness: PolicyWitness, origin: str, key: VerifierKey, get: Get) -> Checkpoint | None:
    """The checkpoint that one witness shows of a log, verified; None if it has cosigned none."""
    if not witness.url:
        raise Unavailable("witness.unreachable", "the policy names no URL for this witness", at="log")
    try:
        note = get(f"{witness.url.rstrip('/')}/{checkpoint_path(origin)}")
    except NotFound:
        return None
    signed = SignedCheckpoint.parse(note)
    if signed.origin != origin or witness.cosigned_at(signed) is None:
        raise Untrusted("witness.answer", "it shows another log, or does not sign what it shows", at="log")
    return signed.verify([key])


def check_enough(seen: LastSeen) -> None:
    """Raise `Unavailable`, with the reasons, where too few witnesses have answered."""
    if not seen.is_enough:
        why = "; ".join(f"{name}: {failure}" for name, failure in seen.failures.items())
        raise Unavailable("witness.quorum", f"too few witnesses say what they have seen ({why})", at="log")


def contradiction(log: LogView, seen: LastSeen) -> str:
    """Why the log cannot be the one that the witnesses have seen; empty if it can be."""
    checkpoint = seen.checkpoint
    if checkpoint.size > log.size:
        return f"witnesses have seen {checkpoint.size} entries, and it has {log.size}: it was restored or copied"
    if log.root_at(checkpoint.size) != checkpoint.root:
        return f"witnesses have seen another root at {checkpoint.size} entries: it was copied, and the copy went on"
    return ""
