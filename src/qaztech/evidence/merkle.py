"""The Merkle tree of RFC 6962, section 2.1: hashes, the growing right edge, proofs and their verification.

Pure functions over bytes: where hashes are kept is the business of whoever passes `node`, a function that returns the
hash of the complete subtree of `2**level` leaves number `index` (counted from the left, from zero) at that level. The
verifying functions return nothing when the proof holds and raise `Untrusted` otherwise. `Frontier.append` and `root`
stand on the data plane's hot path, hence the plain loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

from qaztech.core.errors import Malformed, Untrusted

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()

Node = Callable[[int, int], bytes]
"""(level, index) -> hash of that complete subtree."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of one entry."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an interior node."""
    return sha256(b"\x01" + left + right).digest()


def frontier_nodes(size: int) -> list[tuple[int, int]]:
    """Positions (level, index) of the largest complete subtrees of a tree of `size` leaves, left to right."""
    return [(level, (size >> level) - 1) for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1]


class Frontier:
    """The peaks of a growing tree: all that is needed to append and to know the root.

    Not safe for use by several threads at once. `append` costs one hash on average, `root` one for each peak.
    """

    __slots__ = ("_hashes", "size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if size < 0 or len(hashes) != size.bit_count() or any(len(peak) != HASH_SIZE for peak in hashes):
            raise Malformed("frontier.malformed", "the peaks do not fit the tree size", at="log")
        self.size = size
        self._hashes = list(hashes)

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The peaks, left to right."""
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        size = self.size
        self.size = size + 1
        hashes = self._hashes
        while size & 1:
            leaf = sha256(b"\x01" + hashes.pop() + leaf).digest()
            size >>= 1
        hashes.append(leaf)

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add several leaf hashes in order."""
        append = self.append
        for leaf in leaves:
            append(leaf)

    def root(self) -> bytes:
        """Root of the tree as it stands."""
        hashes = self._hashes
        if not hashes:
            return EMPTY_ROOT
        root = hashes[-1]
        for position in range(len(hashes) - 2, -1, -1):
            root = sha256(b"\x01" + hashes[position] + root).digest()
        return root

    def copy(self) -> Frontier:
        """An independent frontier in the same state."""
        return Frontier(self.size, self._hashes)


def root_of(size: int, node: Node) -> bytes:
    """Root of the tree of `size` leaves, from stored hashes."""
    return _range_hash(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Audit path of leaf `index` in the tree of `size` leaves, from the leaf's sibling up (RFC 6962, 2.1.1)."""
    if not 0 <= index < size:
        raise Malformed("proof.out-of-range", f"there is no leaf {index} in a tree of {size}", at="log")
    inner = (index ^ (size - 1)).bit_length()
    proof = [node(level, (index >> level) ^ 1) for level in range(inner - 1)]
    if inner:  # the last sibling before the paths of this leaf and of the last one meet may be incomplete
        top = inner - 1
        proof.append(_range_hash(((index >> top) ^ 1) << top, size, node))
    level, rest = inner, index >> inner
    while rest:
        if rest & 1:
            proof.append(node(level, rest - 1))
        rest >>= 1
        level += 1
    return proof


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """Proof that the first `old` of `new` leaves form the old tree (RFC 6962, 2.1.2); empty from zero and to itself."""
    if not 0 <= old <= new:
        raise Malformed("proof.out-of-range", f"a tree of {old} leaves cannot precede one of {new}", at="log")
    proof: list[bytes] = []
    low, high = 0, new
    while 0 < old < high:
        half = 1 << (high - low - 1).bit_length() - 1
        if old <= low + half:
            proof.append(_range_hash(low + half, high, node))
            high = low + half
        else:
            proof.append(_range_hash(low, low + half, node))
            low += half
    if low:  # otherwise the old root itself is the starting point, and the verifier has it
        proof.append(_range_hash(low, high, node))
    proof.reverse()
    return proof


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that `leaf` (a leaf hash) is number `index` of the `size` leaves under `root`."""
    if not 0 <= index < size:
        raise Untrusted("proof.inclusion", f"there is no leaf {index} in a tree of {size}", at="log")
    inner = (index ^ (size - 1)).bit_length()
    if len(proof) != inner + (index >> inner).bit_count():
        raise Untrusted("proof.inclusion", "the proof has a wrong number of hashes", at="log")
    computed = leaf
    for level, sibling in enumerate(proof):
        if len(sibling) != HASH_SIZE:
            raise Untrusted("proof.inclusion", "the proof holds something that is not a hash", at="log")
        if level >= inner or index >> level & 1:
            computed = sha256(b"\x01" + sibling + computed).digest()
        else:
            computed = sha256(b"\x01" + computed + sibling).digest()
    if computed != root:
        raise Untrusted("proof.inclusion", "the proof does not lead to the root", at="log")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree (`new_size`, `new_root`) continues (`old_size`, `old_root`) (RFC 9162, 2.1.4.2)."""
    if not 0 <= old_size <= new_size:
        raise _inconsistent(f"a tree of {old_size} leaves cannot precede one of {new_size}")
    if old_size in (0, new_size):
        if proof:
            raise _inconsistent("a proof where none is needed")
        if old_root != (EMPTY_ROOT if old_size == 0 else new_root) or (new_size == 0 and new_root != EMPTY_ROOT):
            raise _inconsistent("two different roots at one size")
        return
    if any(len(sibling) != HASH_SIZE for sibling in proof):
        raise _inconsistent("the proof holds something that is not a hash")
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        raise _inconsistent("the proof has a wrong number of hashes")
    shift = (~(old_size - 1) & old_size).bit_length() - 1  # trailing ones of old_size - 1
    old_at, new_at = (old_size - 1) >> shift, (new_size - 1) >> shift
    old_computed = new_computed = path[0]
    for sibling in path[1:]:
        if new_at == 0:
            raise _inconsistent("the proof has a wrong number of hashes")
        if old_at & 1 or old_at == new_at:
            old_computed = sha256(b"\x01" + sibling + old_computed).digest()
            new_computed = sha256(b"\x01" + sibling + new_computed).digest()
            while old_at and not old_at & 1:
                old_at >>= 1
                new_at >>= 1
        else:
            new_computed = sha256(b"\x01" + new_computed + sibling).digest()
        old_at >>= 1
        new_at >>= 1
    if new_at:
        raise _inconsistent("the proof has a wrong number of hashes")
    if old_computed != old_root or new_computed != new_root:
        raise _inconsistent("the proof does not lead to both roots")


def _range_hash(low: int, high: int, node: Node) -> bytes:
    """Hash of the leaves [low, high) where `low` is aligned to the largest power of two that fits below `high`."""
    computed = b""
    length = high - low
    for level in range(length.bit_length()):
        if length >> level & 1:
            high -= 1 << level
            peak = node(level, high >> level)
            computed = sha256(b"\x01" + peak + computed).digest() if computed else peak
    return computed


def _inconsistent(why: str) -> Untrusted:
    return Untrusted("proof.consistency", why, at="log")
