"""`node.json`: what it says comes back, and whatever else it holds is refused in the project's own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.core.errors import Malformed, NotFound
from qaztech.core.ids import MemberId, NodeId
from qaztech.evidence.note import ED25519, ML_DSA_44, VerifierKey
from qaztech.evidence.state import ClosedLog
from qaztech.registry.member_file import log_origin
from qaztech.registry.node_identity import NODE_FILE, NodeIdentity
from qaztech.trust.keys import Ed25519Key, MlDsa44Key

KEY, HYBRID = Ed25519Key.from_seed(b"\1" * 32), MlDsa44Key.from_seed(b"\2" * 32)
ORIGIN = log_origin("KZ", KEY.public)
CLOSED = ClosedLog(origin="kz.qaztech.example/log/00000000000000000000", size=7, root=b"\3" * 32, reason="қайта")
NODE = NodeIdentity(
    id=NodeId(MemberId("KZ", "GOV", "991340000017"), "node1"),
    address="node.example:5500",
    tls=b"\4" * 32,
    log=(VerifierKey.of(ORIGIN, ED25519, KEY.public), VerifierKey.of(ORIGIN, ML_DSA_44, HYBRID.public)),
    continues=CLOSED,
)
DATA = NODE.format()


def test_it_comes_back_as_it_was() -> None:
    """With the log before, or without one; with one key, or two."""
    assert NodeIdentity.parse(DATA) == NODE
    plain = NodeIdentity(id=NODE.id, address=NODE.address, tls=NODE.tls, log=NODE.log[:1])
    assert NodeIdentity.parse(plain.format()) == plain


def test_it_is_found_in_its_folder(tmp_path: Path) -> None:
    """By the folder's name or its own."""
    (tmp_path / NODE_FILE).write_bytes(DATA)
    assert NodeIdentity.read(tmp_path) == NodeIdentity.read(tmp_path / NODE_FILE) == NODE
    with pytest.raises(NotFound):
        NodeIdentity.read(tmp_path / "elsewhere")


@settings(max_examples=150)
@given(st.one_of(st.binary(max_size=200), st.tuples(st.integers(0, len(DATA) - 1), st.binary(max_size=3))))
def test_whatever_else_it_holds_is_refused(given_: bytes | tuple[int, bytes]) -> None:
    """A change anywhere makes another node's description, or none; nothing but the project's own error escapes."""
    data = given_ if isinstance(given_, bytes) else DATA[: given_[0]] + given_[1] + DATA[given_[0] + 1 :]
    try:
        parsed = NodeIdentity.parse(data)
    except Malformed:
        return
    assert NodeIdentity.parse(parsed.format()) == parsed


def test_it_is_not_read_for_ever() -> None:
    """A megabyte of it is none."""
    with pytest.raises(Malformed):
        NodeIdentity.parse(DATA + b" " * 1024 * 1024)
