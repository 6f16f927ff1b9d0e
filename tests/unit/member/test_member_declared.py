"""A declared member: the difference is shown, made once, and then there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from qaztech.core.errors import Conflict, Malformed, NotFound
from qaztech.core.ids import MemberId, ServiceId
from qaztech.core.time import ManualClock
from qaztech.member.declared import directory_lineages, plan, read_declared
from qaztech.registry.desk import Desk
from qaztech.registry.forms import Names

MEMBER = MemberId("KZ", "EDU", "991340000403")
CLIENT = "KZ/GOV/991340000017/permits"
LINEAGES = directory_lineages({"KZ/GOV/991340000017": "a" * 64, "KZ/QUASI/991340000027": "b" * 64})
FILE = f"""
kind: member
member: {MEMBER}
subsystems:
  library:
    names: {{kk: Кітапхана, ru: Библиотека, en: Library}}
    services:
      books:
        names: {{kk: Кітаптар, ru: Книги, en: Books}}
        type: OPENAPI
        rights:
          - client: {CLIENT}
            endpoints: [GET /books, "GET /books/*"]
            until: 2027-12-31
"""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A member's own folder."""
    names = Names(kk="а", ru="б", en="c")
    return Desk.create(tmp_path / "desk", member=MEMBER, names=names, clock=ManualClock(1_790_000_000_000))


def apply(text: str, desk: Desk) -> list[str]:
    steps = plan(read_declared(text.encode()), desk, LINEAGES)
    for step in steps:
        step.do(desk)
    return [f"{step.sign} {step.what}" for step in steps]


def test_what_is_missing_is_made_and_then_nothing_is(desk: Desk) -> None:
    """Subsystem, service and right, in this order; the second time there is no difference."""
    lines = apply(FILE, desk)
    assert [line[:12] for line in lines] == ["+ subsystem ", "+ service KZ", "+ right KZ/G"]
    version = desk.statement.version
    assert apply(FILE, desk) == []
    assert desk.statement.version == version
    (right,) = desk.rights(ServiceId.parse(f"{MEMBER}/library/books")).rights
    # the last day counts to its end in Kazakhstan, UTC+5
    assert (right.client, right.lineage, right.until) == (CLIENT, "a" * 64, 1_830_279_600_000)


def test_a_right_that_is_no_longer_listed_is_taken_away(desk: Desk) -> None:
    """The rights of a service that the file lists are those listed; a service without the list keeps its own."""
    apply(FILE, desk)
    without = FILE[: FILE.index("        rights:")]
    assert apply(without, desk) == []
    assert apply(f"{without}        rights: []\n", desk) == [f"- right {CLIENT} -> {MEMBER}/library/books"]


def test_a_client_keeps_no_right_beside_the_one_that_is_listed(desk: Desk) -> None:
    """Also where the listed one was the last of several it was given."""
    apply(FILE, desk)
    service = ServiceId.parse(f"{MEMBER}/library/books")
    (listed,) = desk.rights(service).rights
    wider = msgspec.structs.replace(listed, endpoints=("GET /**",), until=None)
    desk.change_rights(service, lambda before: replace(before, rights=(wider, listed)))
    assert [line[0] for line in apply(FILE, desk)] == ["~"]
    assert desk.rights(service).rights == (listed,)
    assert apply(FILE, desk) == []


def test_changes_are_shown_as_changes(desk: Desk) -> None:
    """Another name, a notice, other endpoints."""
    apply(FILE, desk)
    changed = FILE.replace("en: Library", "en: The library").replace("GET /books,", "GET /**,")
    changed = changed.replace("type: OPENAPI", "type: OPENAPI\n        disabled: back on Monday")
    lines = apply(changed, desk)
    assert [line[0] for line in lines] == ["~", "~", "~"]
    assert "switched off: back on Monday" in lines[1]
    assert apply(changed, desk) == []


def test_it_is_for_this_desk_and_for_members_there_are(desk: Desk) -> None:
    """Another member's file changes nothing; an unknown client's lineage is not guessed."""
    with pytest.raises(Conflict):
        apply(FILE.replace(str(MEMBER), "KZ/COM/991340000047"), desk)
    with pytest.raises(NotFound):
        apply(FILE.replace("991340000017", "991340000099"), desk)
    assert desk.statement.version == 1


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("kind: member", "kind: country"), ("en: Library", "es: Library"), ("GET /books,", "FLY /books,"),
        ("2027-12-31", "2027-13-31"), ("until:", "unti:"), (str(MEMBER), "KZ/EDU"), ("en: Books", "en: ''"),
        ('[GET /books, "GET /books/*"]', "[]"), ("library:", "lib/rary:"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_changes_nothing(desk: Desk, good: str, bad: str) -> None:
    """And says where."""
    assert good in FILE
    with pytest.raises(Malformed):
        apply(FILE.replace(good, bad), desk)
    assert desk.statement.version == 1
