"""What ends, and from when on people are told."""

from __future__ import annotations

import pytest

from qaztech.registry.expiry import (
    DAY,
    Expiry,
    authority_expiries,
    certificate_expiry,
    member_file_expiry,
    soonest,
    warnings,
)
from qaztech.trust.certificates import Authority

NOW = 1_800_000_000_000


def ending(begins: int | None, ends: int) -> Expiry:
    return Expiry(kind="metadata", what="the root", begins=begins, ends=ends, remedy="sign it")


@pytest.mark.parametrize(
    ("life", "before"), [(365 * DAY, 30 * DAY), (90 * DAY, 30 * DAY), (30 * DAY, 10 * DAY), (3 * DAY, DAY)]
)
def test_a_warning_comes_thirty_days_before_or_for_the_last_third(life: int, before: int) -> None:
    """Whichever is later."""
    expiry = ending(NOW, NOW + life)
    assert expiry.warns == NOW + life - before
    assert not expiry.is_due(expiry.warns - 1)
    assert expiry.is_due(expiry.warns)
    assert ending(None, NOW).warns == NOW - 30 * DAY


def test_what_it_says() -> None:
    """What, when, and what to do; other words once it is too late."""
    expiry = ending(NOW, NOW + 60 * DAY)
    assert expiry.code(NOW) == "metadata.expiring"
    assert expiry.text(NOW) == "the root ends on 2027-03-16: sign it"
    assert expiry.code(expiry.ends) == "metadata.expired"
    assert expiry.text(expiry.ends).startswith("the root ended on")
    assert expiry.facts(expiry.ends + 1500)["seconds_left"] == -2
    assert warnings([expiry, ending(NOW, NOW + 9 * DAY)], NOW + 7 * DAY) == ["the root ends on 2027-01-24: sign it"]


def test_lists_begin_with_what_ends_first() -> None:
    """A file that is no certificate is not among them: others complain about it."""
    authority = Authority.create("KZ", NOW)
    found = authority_expiries([authority.certificate_pem.decode(), "nothing"], [b"nothing"])
    assert [(e.kind, e.what) for e in found] == [("authority", "certificate authority 1 of the nodes")]
    assert certificate_expiry("authority", "x", b"-----BEGIN", "y") is None
    file = member_file_expiry("KZ/GOV/1", NOW, NOW + 365 * DAY)
    assert soonest([*found, file]) == [file, *found]
