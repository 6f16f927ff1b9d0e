"""The passport of a service: what its owner says of it, for people and for search (docs/formats/passport.md).

A form with checks and one spelling, and nothing else: labels for pages and the score of completeness are in
`member.passport`, the signature is that of the showcase it travels in. A passport grants nothing; it names units and
roles, never a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Literal, get_args

from qaztech.core.errors import Error
from qaztech.core.ids import MemberId, ServiceId
from qaztech.registry.forms import Form, Names, decode, encode, malformed

TYPE = "qaztech-passport 1"
MAX_PASSPORT = 64 * 1024
MAX_PURPOSE = 2000
MAX_LINE = 200
MAX_VERSION = 50
MAX_BASES = 32
MAX_ELEMENTS = 256
_CODE = "passport.malformed"

Environment = Literal["production", "test"]
Serves = Literal["public-service", "state-function"]
Category = Literal[
    "identity",
    "contact",
    "family",
    "education",
    "employment",
    "finance",
    "property",
    "health",
    "biometric",
    "location",
    "offences",
    "other",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,63}\Z")
_ADDRESS = re.compile(r"https://(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,63}(?::[0-9]{1,5})?(?:/[!-~]{0,300})?\Z")
_PERCENT = re.compile(r"(?:100\.00|[1-9]?[0-9]\.[0-9]{2})\Z")
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS = re.compile(rf"(?:24x7|([1-7])-([1-7]) ({_CLOCK})-({_CLOCK}|24:00))\Z")


class Owner(Form, frozen=True, forbid_unknown_fields=True):
    """Who answers for the service: a unit of the member, and a role in it."""

    unit: Names
    role: Names


class LegalBasis(Form, frozen=True, forbid_unknown_fields=True):
    """An act the service rests on: its number in the register of acts (may be empty), its title, where in it."""

    act: str
    title: Names
    provision: str


class Served(Form, frozen=True, forbid_unknown_fields=True):
    """The public service or state function it is for; `code` is that of the public register, or empty."""

    kind: Serves
    code: str
    names: Names


class DataElement(Form, frozen=True, forbid_unknown_fields=True):
    """One thing the service tells or takes: the field's name in its messages, and what that means."""

    field: str
    names: Names
    personal: bool


class Register(Form, frozen=True, forbid_unknown_fields=True):
    """The register the data are true by; `original` where this service gives them at their source, not a copy."""

    names: Names
    holder: str | None
    original: bool


class Availability(Form, frozen=True, forbid_unknown_fields=True):
    """What is promised: a percentage with two decimals, within `24x7` or `1-5 09:00-18:00` (ISO weekdays, UTC+5)."""

    percent: str
    hours: str


class Passport(Form, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A service as its owner describes it. What is not known yet is null or empty, and counts as missing.

    `personal` false alone says nothing: so it stood in every passport of release 0.3 whose owner was not asked. That
    there are no personal data is said by `no_personal`, which is left out where it is not true.
    """

    type: str
    names: Names
    purpose: Names | None
    owner: Owner | None
    legal_basis: tuple[LegalBasis, ...]
    serves: Served | None
    data: tuple[DataElement, ...]
    personal: bool
    categories: tuple[Category, ...]
    source: Register | None
    environment: Environment
    contact: str | None
    availability: Availability | None
    version: str
    deprecated: str | None
    successor: str | None
    no_personal: bool = False

    @property
    def states_personal(self) -> bool | None:
        """Whether there are personal data, as the owner says; None where the owner has not said."""
        return True if self.personal else False if self.no_personal else None


def new_passport(names: Names, *, environment: Environment = "test", version: str = "1") -> Passport:
    """A passport in which only what must be there is there."""
    return Passport(
        type=TYPE,
        names=names,
        purpose=None,
        owner=None,
        legal_basis=(),
        serves=None,
        data=(),
        personal=False,
        categories=(),
        source=None,
        environment=environment,
        contact=None,
        availability=None,
        version=version,
        deprecated=None,
        successor=None,
    )


def parse_passport(data: bytes) -> Passport:
    """Read a passport in its one spelling; raises `Malformed`."""
    passport = decode(Passport, data, code=_CODE, limit=MAX_PASSPORT)
    check_passport(passport)
    return passport


def format_passport(passport: Passport) -> bytes:
    """The one spelling of a passport, checked; raises `Malformed`."""
    check_passport(passport)
    data = encode(passport)
    if len(data) > MAX_PASSPORT:
        malformed(_CODE, f"longer than the {MAX_PASSPORT} bytes allowed")
    return data


def check_passport(passport: Passport) -> None:
    """Raise `Malformed`, with the field's name in front, unless every field is what it has to be."""
    for name, problem in passport_problems(passport):
        malformed(_CODE, f"{name}: {problem}")


def passport_problems(passport: Passport) -> Iterable[tuple[str, str]]:
    """Everything wrong with a passport, as field and problem, for a form that shows all of it at once."""
    if passport.type != TYPE:
        yield "type", f"it is not {TYPE!r}"
    yield from _names("names", passport.names)
    if passport.purpose is not None:
        yield from _names("purpose", passport.purpose, MAX_PURPOSE)
    if passport.owner is not None:
        yield from _names("owner.unit", passport.owner.unit)
        yield from _names("owner.role", passport.owner.role)
    yield from _bases(passport.legal_basis)
    if passport.serves is not None:
        yield from _line("serves.code", passport.serves.code, empty=True)
        yield from _names("serves.names", passport.serves.names)
    yield from _data(passport)
    if passport.source is not None:
        yield from _names("source.names", passport.source.names)
        yield from _identifier("source.holder", passport.source.holder, MemberId)
    if passport.contact is not None and not (_EMAIL.match(passport.contact) or _ADDRESS.match(passport.contact)):
        yield "contact", "an e-mail address of an office, or an https address"
    if passport.availability is not None:
        yield from _availability(passport.availability)
    yield from _line("version", passport.version, MAX_VERSION)
    yield from _end(passport)


def _bases(bases: tuple[LegalBasis, ...]) -> Iterable[tuple[str, str]]:
    if len(bases) > MAX_BASES:
        yield "legal_basis", f"more than {MAX_BASES} acts"
    for number, basis in enumerate(bases[:MAX_BASES]):
        yield from _line(f"legal_basis.{number}.act", basis.act, empty=True)
        yield from _names(f"legal_basis.{number}.title", basis.title)
        yield from _line(f"legal_basis.{number}.provision", basis.provision, empty=True)


def _data(passport: Passport) -> Iterable[tuple[str, str]]:
    elements = passport.data[:MAX_ELEMENTS]
    if len(passport.data) > MAX_ELEMENTS:
        yield "data", f"more than {MAX_ELEMENTS} elements"
    for number, element in enumerate(elements):
        yield from _line(f"data.{number}.field", element.field)
        yield from _names(f"data.{number}.names", element.names)
    if len({e.field for e in elements}) != len(elements):
        yield "data", "a field stands twice"
    if list(passport.categories) != [c for c in CATEGORIES if c in passport.categories]:
        yield "categories", "each stands once, in the order of the list of categories"
    if passport.personal and passport.no_personal:
        yield "no_personal", "there are personal data, or there are none"
    if passport.personal and not passport.categories:
        yield "categories", "personal data are of at least one category"
    if not passport.personal and passport.categories:
        yield "personal", "categories are named, so there are personal data"
    if not passport.personal and any(e.personal for e in elements):
        yield "personal", "a data element is personal, so there are personal data"


def _availability(promise: Availability) -> Iterable[tuple[str, str]]:
    if not _PERCENT.match(promise.percent):
        yield "availability.percent", "0.00 to 100.00, with two decimals"
    match = _HOURS.match(promise.hours)
    if match is None:
        yield "availability.hours", "24x7, or days and hours as 1-5 09:00-18:00"
    elif match[1] is not None and (match[1] > match[2] or match[3] >= match[4]):
        yield "availability.hours", "the first day and hour come before the last"


def _end(passport: Passport) -> Iterable[tuple[str, str]]:
    if passport.deprecated is not None and not _is_date(passport.deprecated):
        yield "deprecated", "a date as 2027-12-31"
    if passport.successor is not None and passport.deprecated is None:
        yield "successor", "only what ends has a successor"
    yield from _identifier("successor", passport.successor, ServiceId)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _names(where: str, names: Names, longest: int = 500) -> Iterable[tuple[str, str]]:
    for language, text in (("kk", names.kk), ("ru", names.ru), ("en", names.en)):
        yield from _line(f"{where}.{language}", text, longest)


def _line(where: str, text: str, longest: int = MAX_LINE, *, empty: bool = False) -> Iterable[tuple[str, str]]:
    if (not text and not empty) or len(text) > longest or not text.isprintable() or text != text.strip():
        yield where, f"{0 if empty else 1} to {longest} printable characters, no space at either end"


def _identifier(where: str, text: str | None, kind: type[MemberId | ServiceId]) -> Iterable[tuple[str, str]]:
    if text is None:
        return
    try:
        same = str(kind.parse(text)) == text
    except Error:
        same = False
    if not same:
        yield where, "not an identifier, or not its one spelling"
