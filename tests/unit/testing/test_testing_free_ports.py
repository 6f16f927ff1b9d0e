"""Ports for what tests start: nobody's, and nobody else's."""

from __future__ import annotations

import socket

import pytest

from qaztech.core.errors import Conflict
from qaztech.testing import free_ports as module
from qaztech.testing.free_ports import free_ports


def test_none_is_given_twice_or_to_who_calls_out() -> None:
    """Also where more are wanted than stand together."""
    given = [*free_ports(3), *free_ports(40), *free_ports(17)]
    assert len(set(given)) == 60
    assert max(given) < module._first_outgoing()


def test_one_that_somebody_listens_on_is_left_out() -> None:
    """What else runs on the machine keeps its ports."""
    while not module._left:
        free_ports(1)
    taken = module._left[0]
    with socket.socket() as other:
        other.bind(("127.0.0.1", taken))
        assert taken not in free_ports(2)


def test_who_finds_every_block_claimed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes never have one block."""
    mine = module._claimed()
    monkeypatch.setattr(module, "_FIRST", mine.start)
    monkeypatch.setattr(module, "_first_outgoing", lambda: mine.stop)
    with pytest.raises(Conflict):
        module._claimed()
