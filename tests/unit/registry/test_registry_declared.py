"""A declared country: who is missing is admitted, who is marked is suspended, and nobody goes by being left out."""

from __future__ import annotations

import pytest

from qaztech.core.errors import Conflict, Malformed
from qaztech.registry.declared import plan, read_country_form

ONE, TWO = "KZ/GOV/991340000017", "KZ/EDU/991340000403"
NAMES = {"kk": "а", "ru": "б", "en": "c"}
TLS = "A" * 43 + "="


def country(**changes: object) -> dict[str, object]:
    return {"kind": "country", "instance": "KZ", "members": {ONE: {"lineage": "1" * 64, "names": NAMES}}, **changes}


def status(*members: tuple[str, str, bool]) -> dict[str, object]:
    listed = [{"id": id_, "lineage": lineage, "suspended": suspended} for id_, lineage, suspended in members]
    return {"instance": "KZ", "members": listed}


def lines(form: dict[str, object], now: dict[str, object], revoked: tuple[str, ...] = ()) -> list[str]:
    return [f"{d.sign} {d.path}" for d in plan(read_country_form(form), now, revoked)]


def test_what_is_so_already_has_no_plan() -> None:
    """Members beyond the file stay as they are."""
    now = status((ONE, "1" * 64, False), (TWO, "2" * 64, False))
    assert lines(country(), now) == []


def test_the_missing_are_admitted_the_marked_suspended() -> None:
    """Another lineage is a new beginning, and shown as one."""
    assert lines(country(), status()) == ["+ members"]
    assert lines(country(), status((ONE, "2" * 64, False))) == ["~ members"]
    marked = country(members={ONE: {"lineage": "1" * 64, "names": NAMES, "suspended": True}})
    assert lines(marked, status((ONE, "1" * 64, False))) == ["- suspend"]
    assert lines(marked, status()) == ["+ members", "- suspend"]
    assert lines(country(), status((ONE, "1" * 64, True))) == ["+ suspend"]


def test_keys_are_revoked_once() -> None:
    """Revoked is revoked."""
    form = country(members={}, revoked_tls=[TLS])
    assert lines(form, status()) == ["- revoke-tls"]
    assert lines(form, status(), (TLS,)) == []


def test_it_is_for_this_instance() -> None:
    """Another country's file decides nothing here."""
    with pytest.raises(Conflict):
        lines(country(instance="UZ", members={}), status())


@pytest.mark.parametrize(
    "changes",
    [{"members": {"KZ/GOV": {}}}, {"members": {"UZ/GOV/1": {"lineage": "1" * 64, "names": NAMES}}}, {"more": 1},
     {"members": {ONE: {"lineage": "x", "names": NAMES}}}, {"revoked_tls": ["x"]}, {"kind": "member"}],
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused(changes: dict[str, object]) -> None:
    """With the place that is wrong."""
    with pytest.raises(Malformed):
        read_country_form(country(**changes))
