"""Filling in a passport: from the inputs of a page and back, and how complete it is.

The form, its checks and its spelling are in `registry.passport`; labels are in `member.passport_fields`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from qaztech.registry.forms import Names
from qaztech.registry.passport import (
    CATEGORIES,
    MAX_BASES,
    MAX_ELEMENTS,
    TYPE,
    Availability,
    DataElement,
    LegalBasis,
    Owner,
    Passport,
    Register,
    Served,
    Serves,
    passport_problems,
)

Values = Mapping[str, Sequence[str]]
_LANGUAGES = ("kk", "ru", "en")
_YES = "yes"
_NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """How complete a passport is, 0 to 100, and the names of the fields that are missing, the weightiest first."""

    score: int
    missing: tuple[str, ...]


def _translated(names: Names | None) -> bool:
    """A text that is the same in three languages was copied, not translated."""
    return names is not None and len({names.kk, names.ru, names.en}) > 1


_WEIGHTS: tuple[tuple[str, int, Callable[[Passport], bool]], ...] = (
    ("legal_basis", 16, lambda p: bool(p.legal_basis)),
    ("data", 16, lambda p: bool(p.data)),
    ("purpose", 14, lambda p: _translated(p.purpose)),
    ("owner", 12, lambda p: p.owner is not None),
    ("serves", 12, lambda p: p.serves is not None),
    ("names", 10, lambda p: _translated(p.names)),
    ("source", 8, lambda p: p.source is not None),
    ("contact", 8, lambda p: p.contact is not None),
    ("availability", 4, lambda p: p.availability is not None),
)


def completeness(passport: Passport) -> Completeness:
    """What of a passport is there. Names and purpose count once they are really in three languages."""
    there = {name for name, _, given in _WEIGHTS if given(passport)}
    return Completeness(
        score=sum(weight for name, weight, _ in _WEIGHTS if name in there),
        missing=tuple(name for name, _, _ in _WEIGHTS if name not in there),
    )


def passport_from_form(values: Values) -> tuple[Passport, tuple[tuple[str, str], ...]]:
    """The passport that the inputs of a page describe, and everything wrong with it as field and problem.

    Inputs have dotted names: `purpose.kk`, `legal_basis.0.act`, `personal` (`yes`, `no`, else not stated),
    `categories` (several). What is left empty is null; unknown inputs are passed over. With problems, the passport is
    for showing the form again only.
    """
    form = _Form(values)
    passport = Passport(
        type=TYPE,
        names=form.names("names"),
        purpose=form.names("purpose") if form.has("purpose") else None,
        owner=Owner(unit=form.names("owner.unit"), role=form.names("owner.role")) if form.has("owner") else None,
        legal_basis=tuple(
            LegalBasis(
                act=form.line(f"{at}.act"), title=form.names(f"{at}.title"), provision=form.line(f"{at}.provision")
            )
            for at in form.rows("legal_basis", MAX_BASES)
        ),
        serves=_served(form),
        data=tuple(
            DataElement(
                field=form.line(f"{at}.field"), names=form.names(f"{at}.names"), personal=form.yes(f"{at}.personal")
            )
            for at in form.rows("data", MAX_ELEMENTS)
        ),
        personal=form.yes("personal"),
        categories=tuple(c for c in CATEGORIES if c in form.several("categories")),
        source=_register(form),
        environment="production" if form.line("environment") == "production" else "test",
        contact=form.line("contact") or None,
        availability=_availability(form),
        version=form.line("version"),
        deprecated=form.line("deprecated") or None,
        successor=form.line("successor") or None,
        no_personal=form.line("personal") == _NO,
    )
    problems = list(passport_problems(passport))
    if form.line("environment") not in {"production", "test"}:
        problems.append(("environment", "one of production, test"))
    return passport, tuple(problems)


def passport_to_form(passport: Passport) -> dict[str, tuple[str, ...]]:
    """The inputs of a page that describe this passport; `passport_from_form` gives it back."""
    values: dict[str, tuple[str, ...]] = {
        "personal": {True: (_YES,), False: (_NO,), None: ()}[passport.states_personal],
        "categories": passport.categories,
        "environment": (passport.environment,),
        "version": (passport.version,),
    }
    _put(values, "names", passport.names)
    _put(values, "purpose", passport.purpose)
    if passport.owner is not None:
        _put(values, "owner.unit", passport.owner.unit)
        _put(values, "owner.role", passport.owner.role)
    for number, basis in enumerate(passport.legal_basis):
        _put(values, f"legal_basis.{number}.act", basis.act)
        _put(values, f"legal_basis.{number}.title", basis.title)
        _put(values, f"legal_basis.{number}.provision", basis.provision)
    if passport.serves is not None:
        _put(values, "serves.kind", passport.serves.kind)
        _put(values, "serves.code", passport.serves.code)
        _put(values, "serves.names", passport.serves.names)
    for number, element in enumerate(passport.data):
        _put(values, f"data.{number}.field", element.field)
        _put(values, f"data.{number}.names", element.names)
        _put(values, f"data.{number}.personal", _YES if element.personal else None)
    if passport.source is not None:
        _put(values, "source.names", passport.source.names)
        _put(values, "source.holder", passport.source.holder)
        _put(values, "source.original", _YES if passport.source.original else None)
    if passport.availability is not None:
        _put(values, "availability.percent", passport.availability.percent)
        _put(values, "availability.hours", passport.availability.hours)
    for name in ("contact", "deprecated", "successor"):
        _put(values, name, cast("str | None", getattr(passport, name)))
    return values


class _Form:
    """Inputs by dotted name, with the space around them gone."""

    def __init__(self, values: Values) -> None:
        self._values = {name: [v.strip() for v in given] for name, given in values.items()}

    def line(self, name: str) -> str:
        return next(iter(self._values.get(name, ())), "")

    def several(self, name: str) -> set[str]:
        return set(self._values.get(name, ()))

    def yes(self, name: str) -> bool:
        return self.line(name) == _YES

    def names(self, name: str) -> Names:
        # Line breaks of a large input become spaces: a text here is one line.
        kk, ru, en = (" ".join(self.line(f"{name}.{language}").split()) for language in _LANGUAGES)
        return Names(kk=kk, ru=ru, en=en)

    def has(self, name: str) -> bool:
        """Whether anything but a choice that is always there is filled in below this name."""
        return any(key.startswith(f"{name}.") and any(given) for key, given in self._values.items())

    def rows(self, name: str, most: int) -> list[str]:
        """The rows of a list that have something in them, in order; one more than allowed, so that it is noticed."""
        numbers = {
            int(part)
            for key in self._values
            if key.startswith(f"{name}.")
            and (part := key[len(name) + 1 :].partition(".")[0]).isascii()
            and part.isdecimal()
            and len(part) < 6
        }
        return [f"{name}.{n}" for n in sorted(numbers) if self.has(f"{name}.{n}")][: most + 1]


def _served(form: _Form) -> Served | None:
    if not form.has("serves.names") and not form.line("serves.code"):
        return None
    kind = "state-function" if form.line("serves.kind") == "state-function" else "public-service"
    return Served(kind=cast("Serves", kind), code=form.line("serves.code"), names=form.names("serves.names"))


def _register(form: _Form) -> Register | None:
    if not form.has("source"):
        return None
    return Register(
        names=form.names("source.names"),
        holder=form.line("source.holder") or None,
        original=form.yes("source.original"),
    )


def _availability(form: _Form) -> Availability | None:
    if not form.has("availability"):
        return None
    return Availability(percent=form.line("availability.percent"), hours=form.line("availability.hours"))


def _put(values: dict[str, tuple[str, ...]], name: str, given: Names | str | None) -> None:
    if isinstance(given, Names):
        for language in _LANGUAGES:
            values[f"{name}.{language}"] = (getattr(given, language),)
    elif given:
        values[name] = (given,)
