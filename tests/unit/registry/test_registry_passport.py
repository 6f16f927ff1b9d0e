"""The passport of a service: one spelling, every field checked, nothing personal needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qaztech.core.errors import Malformed
from qaztech.registry.forms import Names
from qaztech.registry.passport import (
    MAX_ELEMENTS,
    Availability,
    DataElement,
    LegalBasis,
    Owner,
    Passport,
    Register,
    Served,
    check_passport,
    format_passport,
    new_passport,
    parse_passport,
    passport_problems,
)

NAMES = Names(kk="Рұқсат туралы анықтама", ru="Справка о разрешении", en="Permit statement")


def whole() -> Passport:
    """A passport in which everything is filled in."""
    return msgspec.structs.replace(
        new_passport(NAMES, environment="production", version="2.1"),
        purpose=Names(kk="Рұқсатты тексеру", ru="Проверка разрешения", en="Checking a permit"),
        owner=Owner(unit=NAMES, role=NAMES),
        legal_basis=(LegalBasis(act="K2600000255", title=NAMES, provision="12-бап"),),
        serves=Served(kind="public-service", code="00101001", names=NAMES),
        data=(DataElement(field="holder", names=NAMES, personal=True),),
        personal=True,
        categories=("identity", "contact"),
        source=Register(names=NAMES, holder="KZ/GOV/991340000017", original=True),
        contact="permits@agency.example",
        availability=Availability(percent="99.50", hours="1-5 09:00-18:00"),
        deprecated="2027-12-31",
        successor="KZ/GOV/991340000017/main/permits2",
    )


def test_a_passport_has_one_spelling() -> None:
    """What is written is read back, and nothing else is read."""
    for passport in (whole(), new_passport(NAMES)):
        data = format_passport(passport)
        assert parse_passport(data) == passport
        for other in (data + b" ", data.replace(b",", b", ", 1), data[:-1] + b',"owner":null}', data[:-1]):
            with pytest.raises(Malformed) as caught:
                parse_passport(other)
            assert caught.value.code == "passport.malformed"


def test_that_there_are_no_personal_data_is_said_or_not_stated() -> None:
    """Silence is spelled as release 0.3 reads it, and is no answer; a no is a word more."""
    silent, yes = new_passport(NAMES), whole()
    none = msgspec.structs.replace(silent, no_personal=True)
    assert [passport.states_personal for passport in (silent, yes, none)] == [None, True, False]
    assert b"no_personal" not in format_passport(silent) + format_passport(yes)
    assert format_passport(none).endswith(b',"no_personal":true}')
    assert parse_passport(format_passport(none)) == none
    with pytest.raises(Malformed):
        parse_passport(format_passport(none).replace(b'"no_personal":true', b'"no_personal":false'))
    both = msgspec.structs.replace(yes, no_personal=True)
    assert [name for name, _ in passport_problems(both)] == ["no_personal"]


def test_the_example_of_the_page_is_a_passport() -> None:
    """What a reader copies is read."""
    page = (Path(__file__).parents[3] / "docs/formats/passport.md").read_text(encoding="utf-8")
    example = json.loads(page.partition("```json\n")[2].partition("```")[0])
    assert parse_passport(json.dumps(example, ensure_ascii=False, separators=(",", ":")).encode()).personal


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("type", "qaztech-passport 2", "type"),
        ("names", Names(kk="", ru="a", en="a"), "names.kk"),
        ("names", Names(kk="a", ru="a\n", en="a"), "names.ru"),
        ("names", Names(kk="a", ru="a", en="a\u202eb"), "names.en"),
        ("purpose", Names(kk="a" * 2001, ru="a", en="a"), "purpose.kk"),
        ("owner", Owner(unit=NAMES, role=Names(kk="a", ru=" a", en="a")), "owner.role.ru"),
        ("legal_basis", (LegalBasis(act="a\x00", title=NAMES, provision=""),), "legal_basis.0.act"),
        ("legal_basis", (LegalBasis(act="", title=NAMES, provision=""),) * 33, "legal_basis"),
        ("serves", Served(kind="state-function", code="", names=Names(kk="a", ru="a", en="")), "serves.names.en"),
        ("data", (DataElement(field="a", names=NAMES, personal=False),) * 2, "data"),
        ("data", (DataElement(field="", names=NAMES, personal=False),), "data.0.field"),
        ("personal", False, "personal"),
        ("categories", (), "categories"),
        ("categories", ("contact", "identity"), "categories"),
        ("categories", ("contact", "contact"), "categories"),
        ("source", Register(names=NAMES, holder="KZ/GOV", original=True), "source.holder"),
        ("contact", "Somebody", "contact"),
        ("contact", "http://agency.example/", "contact"),
        ("contact", "javascript:alert(1)", "contact"),
        ("contact", "a@b.example\n", "contact"),
        ("availability", Availability(percent="100.01", hours="24x7"), "availability.percent"),
        ("availability", Availability(percent="99.5", hours="24x7"), "availability.percent"),
        ("availability", Availability(percent="99.50", hours="5-1 09:00-18:00"), "availability.hours"),
        ("availability", Availability(percent="99.50", hours="1-5 18:00-09:00"), "availability.hours"),
        ("version", "", "version"),
        ("deprecated", "2027-02-30", "deprecated"),
        ("deprecated", "20271231", "deprecated"),
        ("deprecated", None, "successor"),
        ("successor", "KZ/GOV/991340000017/main", "successor"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: Any, named: str) -> None:
    """The problem comes with the name of the input it belongs to."""
    passport = msgspec.structs.replace(whole(), **{field: value})
    assert named in {name for name, _ in passport_problems(passport)}
    with pytest.raises(Malformed):
        check_passport(passport)


def test_a_personal_element_makes_the_passport_personal() -> None:
    """The flag cannot be left out by oversight."""
    element = DataElement(field="iin", names=NAMES, personal=True)
    passport = msgspec.structs.replace(new_passport(NAMES), data=(element,))
    assert [name for name, _ in passport_problems(passport)] == ["personal"]


def test_a_passport_too_long_is_refused() -> None:
    """As many elements as are allowed, each with long names, are more than a passport holds."""
    long = Names(kk="қ" * 500, ru="қ" * 500, en="қ" * 500)
    data = tuple(DataElement(field=f"f{n}", names=long, personal=False) for n in range(MAX_ELEMENTS))
    with pytest.raises(Malformed, match="longer"):
        format_passport(msgspec.structs.replace(new_passport(NAMES), data=data))
