"""No record is taken twice, also not after a restart."""

from qaztech.node.journal import Remembered
from qaztech.node.replay import ReplayGuard

A, B = "kz.qaztech.example/log/0000000000000000000a", "kz.qaztech.example/log/0000000000000000000b"


def test_each_place_of_a_log_is_taken_once_and_in_order():
    """What is not above the highest index taken has been here, or is dead."""
    guard = ReplayGuard({})
    assert guard.take(A, 0)
    assert not guard.take(A, 0)
    assert guard.take(A, 7)
    assert [guard.take(A, index) for index in (0, 3, 6, 7)] == [False] * 4
    assert guard.take(A, 8)


def test_logs_do_not_share_their_places():
    """Each log counts for itself."""
    guard = ReplayGuard({})
    assert guard.take(A, 5)
    assert guard.take(B, 0)


def test_after_a_restart_the_accepted_head_stands_for_what_was_taken():
    """Everything under it counts as taken, and nothing above it."""
    guard = ReplayGuard({A: Remembered(10, bytes(32), bytes(64))})
    assert not guard.take(A, 9)
    assert guard.take(A, 10)
    assert guard.take(B, 0)
