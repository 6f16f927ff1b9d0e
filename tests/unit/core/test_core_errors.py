"""The tree of errors, and the time that everything is judged by."""

from __future__ import annotations

import inspect

import pytest

from qaztech.core import errors
from qaztech.core.errors import Error, Halt, Limited, Untrusted
from qaztech.core.time import Clock, ManualClock, SystemClock

KINDS = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, Error) and cls is not Error]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_error_is_drawn_in_the_tree_with_its_status(kind: type[Error]) -> None:
    """The picture at the top of the file is the code below it."""
    drawn = next(line for line in (errors.__doc__ or "").splitlines() if f"── {kind.__name__} " in line)
    assert drawn.split("── ")[1].split()[1] == str(kind.status)
    assert kind.__bases__ == (Error,)


def test_an_error_says_what_and_on_whose_side() -> None:
    """Code and detail may be shown; context is for the log only and not in the message."""
    error = Untrusted("proof.wrong", "the proof does not lead to the root", at="provider-node", context="index 7")
    assert (error.code, error.at, error.status) == ("proof.wrong", "provider-node", 502)
    assert str(error) == "proof.wrong: the proof does not lead to the root"
    assert "index 7" not in str(error)


def test_a_limit_says_when_to_come_again() -> None:
    """`retry_after` is kept, in seconds; without one there is none."""
    assert Limited("queue.full", "too many calls at once", retry_after=2).retry_after == 2
    assert Halt("log.contradicted", "the disk contradicts the signature").retry_after is None


def test_a_manual_clock_moves_only_when_told() -> None:
    """Tests own the time, in both directions."""
    clock = ManualClock(1_000)
    assert (clock.now(), clock.now()) == (1_000, 1_000)
    clock.advance(500)
    clock.advance(-2)
    assert clock.now() == 1_498


def test_the_system_clock_counts_milliseconds() -> None:
    """Its unit is the millisecond: this year lies between 2020 and 2100."""
    clock: Clock = SystemClock()
    assert 1_577_836_800_000 < clock.now() < 4_102_444_800_000
