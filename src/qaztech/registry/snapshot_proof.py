"""The registry's own log: every snapshot's hash is a leaf of it, and witnesses see that it only grows.

So the registry cannot show one country here and another there without leaving both in one log, or two logs in the
hands of the witnesses (docs/formats/registry-log.md).
"""

from __future__ import annotations

from qaztech.evidence.merkle import leaf_hash
from qaztech.evidence.proof import TlogProof
from qaztech.registry.anchor import Anchor
from qaztech.registry.metadata import snapshot_leaf


def check_snapshot_proof(proof: bytes, version: int, digest: str, anchor: Anchor) -> int:
    """Check that a snapshot is in the registry's witnessed log; raises `Malformed` or `Untrusted`.

    The result is when a quorum of the anchor's policy had seen it, in seconds.
    """
    leaf = leaf_hash(snapshot_leaf(version, digest))
    return TlogProof.parse(proof).verify(leaf, anchor.policy, anchor.log_keys).time
