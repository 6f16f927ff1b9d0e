"""Filling in a passport: from a form and back, what is missing, labels for every field."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from qaztech.member.passport import completeness, passport_from_form, passport_to_form
from qaztech.member.passport_fields import CATEGORY_CHOICES, FIELDS, SECTIONS, Field, field_named
from qaztech.registry.forms import Names
from qaztech.registry.passport import CATEGORIES, Environment, Passport, format_passport, new_passport

FILLED = {
    "names.kk": [" Рұқсаттар "],
    "names.ru": ["Разрешения"],
    "names.en": ["Permits"],
    "purpose.kk": ["Рұқсатты\r\nтексеру"],
    "purpose.ru": ["Проверка разрешения"],
    "purpose.en": ["Checking a permit"],
    "owner.unit.kk": ["Тізілімдер бөлімі"],
    "owner.unit.ru": ["Отдел реестров"],
    "owner.unit.en": ["Registers unit"],
    "owner.role.kk": ["тізілім иесі"],
    "owner.role.ru": ["владелец реестра"],
    "owner.role.en": ["owner of the register"],
    "legal_basis.0.act": [""],
    "legal_basis.3.title.kk": ["Кодекс"],
    "legal_basis.3.title.ru": ["Кодекс"],
    "legal_basis.3.title.en": ["Code"],
    "serves.kind": ["state-function"],
    "serves.names.kk": ["Рұқсат беру"],
    "serves.names.ru": ["Выдача разрешений"],
    "serves.names.en": ["Issuing permits"],
    "data.0.field": ["iin"],
    "data.0.names.kk": ["ЖСН"],
    "data.0.names.ru": ["ИИН"],
    "data.0.names.en": ["IIN"],
    "data.0.personal": ["yes"],
    "personal": ["yes"],
    "categories": ["contact", "identity", "nonsense"],
    "source.names.kk": ["Тізілім"],
    "source.names.ru": ["Реестр"],
    "source.names.en": ["Register"],
    "environment": ["production"],
    "contact": ["permits@agency.example"],
    "availability.percent": ["99.50"],
    "availability.hours": ["24x7"],
    "version": ["1.2"],
    "data.99999999999.field": ["x"],
    "unknown": ["x"],
}


def test_a_form_filled_in_is_a_passport_and_comes_back_the_same() -> None:
    """Empty rows are left out, line breaks become spaces, unknown inputs are passed over."""
    passport, problems = passport_from_form(FILLED)
    assert problems == ()
    format_passport(passport)
    assert passport.purpose == Names(kk="Рұқсатты тексеру", ru="Проверка разрешения", en="Checking a permit")
    assert passport.categories == ("identity", "contact")
    assert [b.title.en for b in passport.legal_basis] == ["Code"]
    assert passport.serves is not None
    assert passport.serves.kind == "state-function"
    assert passport_from_form(passport_to_form(passport)) == (passport, ())
    assert completeness(passport).score == 100


@pytest.mark.parametrize(("answer", "stated"), [("", None), ("no", False), ("maybe", None)])
def test_what_is_not_answered_about_personal_data_is_not_stated(answer: str, stated: bool | None) -> None:
    """No answer is not a no, and the form shows again what was said."""
    passport, _ = passport_from_form({"personal": [answer]})
    assert passport.states_personal is stated
    assert passport_to_form(passport)["personal"] == (("no",) if stated is False else ())


def test_an_empty_form_says_what_must_be_there() -> None:
    """Every problem bears the name of a field that the page has."""
    _, problems = passport_from_form({})
    assert {name for name, _ in problems} == {"names.kk", "names.ru", "names.en", "environment", "version"}
    assert all(field_named(name) is not None for name, _ in problems)


def test_a_half_filled_group_is_a_problem_and_not_left_out() -> None:
    """Who names a register in one language only is asked for the others."""
    _, problems = passport_from_form({**FILLED, "source.names.kk": [""]})
    assert [name for name, _ in problems] == ["source.names.kk"]


def test_more_rows_than_allowed_are_noticed() -> None:
    """They are not silently cut."""
    rows = {f"legal_basis.{n}.act": ["x"] for n in range(500)}
    _, problems = passport_from_form({**FILLED, **rows})
    assert ("legal_basis", "more than 32 acts") in problems


def test_completeness_counts_what_is_there_and_names_what_is_not() -> None:
    """A name that is the same in three languages was not translated."""
    bare = new_passport(Names(kk="Permits", ru="Permits", en="Permits"))
    assert completeness(bare).score == 0
    assert completeness(bare).missing[:2] == ("legal_basis", "data")
    assert all(field_named(name) is not None for name in completeness(bare).missing)
    translated = new_passport(Names(kk="Рұқсаттар", ru="Разрешения", en="Permits"))
    assert completeness(translated).score == 10


def every_field() -> list[Field]:
    """All fields with those of their rows."""
    return [f for field in FIELDS for f in (field, *field.fields)]


def test_every_field_of_a_passport_has_a_label_and_every_choice_too() -> None:
    """In Kazakh, Russian and English, each different from the others."""
    heads = {field.name.partition(".")[0] for field in FIELDS}
    assert heads == set(Passport.__struct_fields__) - {"type", "no_personal"}  # `personal` asks for both
    assert {head for _, names in SECTIONS for head in names} == heads
    assert tuple(c.value for c in CATEGORY_CHOICES) == CATEGORIES
    environment = next(f for f in FIELDS if f.name == "environment")
    assert {c.value for c in environment.choices} == set(get_args(Environment))
    texts = [t for f in every_field() for t in (f.label, f.help, *(c.label for c in f.choices))]
    for text in texts:
        text.check("x.y")
        assert len({text.kk, text.ru, text.en}) == 3
        assert not re.search("[A-Za-z]{4,}", re.sub("OpenAPI|KZ/GOV|https|UTC", "", text.kk + text.ru))
