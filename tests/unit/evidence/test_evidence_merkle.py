"""The Merkle tree against a naive reference that follows RFC 6962, section 2.1, word by word."""

from __future__ import annotations

from hashlib import sha256

import pytest

from qaztech.core.errors import Malformed, Untrusted
from qaztech.evidence.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    frontier_nodes,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LARGEST = 40
ENTRIES = [b"entry %d" % number for number in range(LARGEST)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def split(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def mth(entries: list[bytes]) -> bytes:
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    half = split(len(entries))
    return sha256(b"\x01" + mth(entries[:half]) + mth(entries[half:])).digest()


def path(index: int, entries: list[bytes]) -> list[bytes]:
    if len(entries) <= 1:
        return []
    half = split(len(entries))
    if index < half:
        return [*path(index, entries[:half]), mth(entries[half:])]
    return [*path(index - half, entries[half:]), mth(entries[:half])]


def subproof(old: int, entries: list[bytes], whole: bool) -> list[bytes]:
    if old == len(entries):
        return [] if whole else [mth(entries)]
    half = split(len(entries))
    if old <= half:
        return [*subproof(old, entries[:half], whole), mth(entries[half:])]
    return [*subproof(old - half, entries[half:], False), mth(entries[:half])]


def stored(level: int, index: int) -> bytes:
    """A node function that knows complete subtrees only."""
    low, high = index << level, (index + 1) << level
    assert high <= LARGEST
    return mth(ENTRIES[low:high])


ROOTS = [mth(ENTRIES[:size]) for size in range(LARGEST + 1)]


def test_the_frontier_has_the_root_of_every_size() -> None:
    """Appending one by one gives the reference root at each size, and the peaks stand at the named positions."""
    frontier = Frontier()
    for size in range(LARGEST + 1):
        assert (frontier.size, frontier.root()) == (size, ROOTS[size])
        assert frontier.hashes == tuple(stored(level, index) for level, index in frontier_nodes(size))
        assert root_of(size, stored) == ROOTS[size]
        if size < LARGEST:
            frontier.append(LEAVES[size])


def test_a_frontier_continues_from_its_peaks() -> None:
    """A frontier rebuilt from size and peaks, and a copy, grow as the original does."""
    for size in range(LARGEST):
        original = Frontier()
        original.extend(LEAVES[:size])
        copy = original.copy()
        rebuilt = Frontier(original.size, original.hashes)
        copy.extend(LEAVES[size:])
        rebuilt.extend(iter(LEAVES[size:]))
        assert copy.root() == rebuilt.root() == ROOTS[LARGEST]
        assert (original.size, original.root()) == (size, ROOTS[size])


@pytest.mark.parametrize(
    ("size", "hashes"), [(1, ()), (0, (b"\0" * 32,)), (3, (b"\0" * 32,) * 3), (1, (b"",)), (-1, ())]
)
def test_peaks_that_do_not_fit_are_refused(size: int, hashes: tuple[bytes, ...]) -> None:
    """A frontier is not built from a wrong number of peaks or from something that is not a hash."""
    with pytest.raises(Malformed):
        Frontier(size, hashes)


def test_every_inclusion_proof_is_the_reference_and_verifies() -> None:
    """For all sizes and indexes the proof is PATH of the RFC, and it verifies against the root."""
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = inclusion_proof(index, size, stored)
            assert proof == path(index, ENTRIES[:size])
            verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


def test_every_consistency_proof_is_the_reference_and_verifies() -> None:
    """For all pairs of sizes the proof is PROOF of the RFC, and it verifies against both roots."""
    for new in range(LARGEST + 1):
        for old in range(new + 1):
            proof = consistency_proof(old, new, stored)
            assert proof == (subproof(old, ENTRIES[:new], True) if old else [])
            verify_consistency(old, ROOTS[old], new, ROOTS[new], proof)


def test_an_inclusion_proof_fits_one_place_only() -> None:
    """The proof of one index verifies for no other index, size or leaf."""
    size = 13
    for index in range(size):
        proof = inclusion_proof(index, size, stored)
        for other in range(size):
            if other != index:
                with pytest.raises(Untrusted):
                    verify_inclusion(LEAVES[index], other, size, proof, ROOTS[size])
                with pytest.raises(Untrusted):
                    verify_inclusion(LEAVES[other], index, size, proof, ROOTS[size])
        for wrong in (proof[:-1], [*proof, ROOTS[1]], [ROOTS[0], *proof]):
            with pytest.raises(Untrusted):
                verify_inclusion(LEAVES[index], index, size, wrong, ROOTS[size])


def test_a_consistency_proof_fits_one_pair_of_sizes_only() -> None:
    """The proof of one pair, shortened, lengthened or with another root, does not verify."""
    for new in range(1, 20):
        for old in range(1, new + 1):
            proof = consistency_proof(old, new, stored)
            wrongs = [[*proof, ROOTS[1]], [ROOTS[1], *proof]] + ([proof[:-1], proof[1:]] if proof else [])
            for wrong in wrongs:
                with pytest.raises(Untrusted):
                    verify_consistency(old, ROOTS[old], new, ROOTS[new], wrong)
            for old_root, new_root in ((ROOTS[0], ROOTS[new]), (ROOTS[old], ROOTS[0])):
                with pytest.raises(Untrusted):
                    verify_consistency(old, old_root, new, new_root, proof)


def test_what_lies_outside_the_tree_is_refused() -> None:
    """Indexes and sizes outside the tree are refused by makers and verifiers."""
    for index, size in ((0, 0), (3, 3), (-1, 3)):
        with pytest.raises(Malformed):
            inclusion_proof(index, size, stored)
        with pytest.raises(Untrusted):
            verify_inclusion(LEAVES[0], index, size, [], ROOTS[1])
    for old, new in ((2, 1), (-1, 1)):
        with pytest.raises(Malformed):
            consistency_proof(old, new, stored)
        with pytest.raises(Untrusted):
            verify_consistency(old, ROOTS[1], new, ROOTS[1], [])


def test_the_empty_tree_has_one_root() -> None:
    """From zero only the empty root is accepted, with no proof."""
    verify_consistency(0, EMPTY_ROOT, 5, ROOTS[5], [])
    verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    for old_root, new, new_root, proof in (
        (ROOTS[1], 5, ROOTS[5], []),
        (EMPTY_ROOT, 5, ROOTS[5], [ROOTS[5]]),
        (EMPTY_ROOT, 0, ROOTS[1], []),
        (ROOTS[1], 0, ROOTS[1], []),
    ):
        with pytest.raises(Untrusted):
            verify_consistency(0, old_root, new, new_root, proof)


def test_only_hashes_stand_in_a_proof() -> None:
    """A proof element of another length is refused even where the concatenation would be the same."""
    two = node_hash(LEAVES[0], LEAVES[1])
    verify_inclusion(LEAVES[0], 0, 2, [LEAVES[1]], two)
    with pytest.raises(Untrusted):
        verify_inclusion(LEAVES[0][:31], 0, 2, [LEAVES[0][31:] + LEAVES[1]], two)
    with pytest.raises(Untrusted):
        verify_consistency(1, LEAVES[0], 2, two, [LEAVES[1] + b"\0"])
