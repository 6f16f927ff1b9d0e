"""The card of an AI system: what its owner declares of it, in the words of the law on artificial intelligence.

One card is one system of one member. A draft may lack anything; what is there is well-formed. `missing` tells what a
card lacks before it can be declared. Names of people have no place in a card: who did something is told by a post. Not
here: what follows from a card (`life`), what the law asks for (`law`).
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Final, Literal
from unicodedata import category

import msgspec
from msgspec import Meta

from qaztech.ai.terms import Autonomy, DataClass, Mode, Risk
from qaztech.core.errors import Malformed
from qaztech.core.ids import MemberId, SubsystemId

MOST_BYTES: Final = 256 * 1024
# Kinds of characters that break a line of a page or its direction, or are not seen; new lines and tabs may be.
_BAD: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters without a shape, which are of no such kind.
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
# More signs over one letter than any language has reach over the lines around.
_MOST_MARKS: Final = 4
_WEB: Final = re.compile(r"(https?://|mailto:|tel:)[^\s<>\"']+\Z", re.ASCII)

Line = Annotated[str, Meta(max_length=300)]
Text = Annotated[str, Meta(max_length=4_000)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
CardId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]
Language = Literal["kk", "ru", "en"]

# The seven capabilities that article 17 (3) prohibits, in its order.
Prohibited = Literal[
    "manipulation",
    "vulnerability",
    "social-scoring",
    "unlawful-personal-data",
    "biometric-classification",
    "emotion-recognition",
    "prohibited-results",
]
PROHIBITED: Final[tuple[Prohibited, ...]] = Prohibited.__args__  # type: ignore[attr-defined]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a card: strict."""


class Words(_Part, frozen=True, kw_only=True):
    """The same in three languages."""

    kk: Text = ""
    ru: Text = ""
    en: Text = ""

    @property
    def complete(self) -> bool:
        """Whether it is said in all three."""
        return all(text.strip() for text in (self.kk, self.ru, self.en))

    def said(self, language: str) -> str:
        """In that language, or in the first in which it is said."""
        return getattr(self, language, "") or self.kk or self.ru or self.en


class Model(_Part, frozen=True, kw_only=True):
    """A model that the system works with: its name as gateways call it, its version, who hosts it and where."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    version: Annotated[str, Meta(max_length=100)] = ""
    maker: Line = ""
    # The service on the backbone, where the model is called over it.
    service: Annotated[str, Meta(max_length=1_500)] = ""
    # Where it runs: a country by its two letters.
    residency: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] = "KZ"


class DataLibrary(_Part, frozen=True, kw_only=True):
    """Data that the system was trained on or reads: who made the library, on what lawful basis, of what class."""

    name: Annotated[str, Meta(min_length=1, max_length=300)]
    maker: Line = ""
    use: Literal["training", "tuning", "reference", "input"]
    # The provision, contract or consent by which it may be used.
    basis: Annotated[str, Meta(max_length=1_000)] = ""
    data_class: DataClass
    personal: bool = False


class Check(_Part, frozen=True, kw_only=True):
    """One prohibited capability, looked for: whether it was found, by whom (a post) and when."""

    capability: Prohibited
    found: bool
    by: Annotated[str, Meta(min_length=1, max_length=200)]
    day: date
    note: Annotated[str, Meta(max_length=1_000)] = ""


class Document(_Part, frozen=True, kw_only=True):
    """A document: its kind (law data), title, the SHA-256 of its bytes, where it can be read if it is public."""

    kind: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{1,59}$")]
    title: Annotated[str, Meta(min_length=1, max_length=300)]
    sha256: Sha256
    day: date
    address: Annotated[str, Meta(max_length=1_000)] = ""


class Audit(_Part, frozen=True, kw_only=True):
    """An audit by the rules for information systems: by which organisation, when, what came of it."""

    by: Annotated[str, Meta(min_length=1, max_length=300)]
    day: date
    passed: bool
    sha256: Sha256
    note: Annotated[str, Meta(max_length=1_000)] = ""


class Trusted(_Part, frozen=True, kw_only=True):
    """Whether it is on a sector's list of trusted high-risk systems (article 19)."""

    state: Literal["none", "candidate", "listed", "removed"] = "none"
    kept_by: Line = ""
    day: date | None = None


class Marking(_Part, frozen=True, kw_only=True):
    """How synthetic output is marked (article 21 (2)): for machines, and so that a person sees it."""

    # Whether there is any: a system that only sorts makes none.
    synthetic: bool = True
    machine: Annotated[str, Meta(max_length=1_000)] = ""
    visible: Words = Words()


class Contact(_Part, frozen=True, kw_only=True):
    """How a citizen gets something done: what to do in words, and an address, mail or telephone."""

    how: Words = Words()
    address: Annotated[str, Meta(max_length=300)] = ""


class Evaluation(_Part, frozen=True, kw_only=True):
    """How well it does in one language: what was measured, on what, the value, when."""

    language: Language
    measure: Annotated[str, Meta(min_length=1, max_length=200)]
    value: Annotated[float, Meta(ge=-1e9, le=1e9)]
    unit: Annotated[str, Meta(max_length=30)] = ""
    sample: Line = ""
    day: date


class Eu(_Part, frozen=True, kw_only=True):
    """The class by the European Union's AI Act: kept apart, and nothing follows from it here."""

    risk: Literal["", "minimal", "limited", "high", "prohibited"] = ""
    note: Annotated[str, Meta(max_length=1_000)] = ""


class Card(_Part, frozen=True, kw_only=True):
    """The card. `owner` is a member's id, `system` the code of its subsystem, `object` the support center's id."""

    id: CardId
    owner: Annotated[str, Meta(min_length=1, max_length=800)]
    system: Annotated[str, Meta(min_length=1, max_length=255)]
    object: Annotated[str, Meta(max_length=100)] = ""
    names: Words = Words()
    purpose: Words = Words()
    # What it decides about people, or that it decides nothing.
    decides: Words = Words()
    models: Annotated[tuple[Model, ...], Meta(max_length=50)] = ()
    data: Annotated[tuple[DataLibrary, ...], Meta(max_length=200)] = ()
    risk: Risk = "high"
    risk_reasons: Words = Words()
    autonomy: Autonomy = "low"
    mode: Mode = "local"
    highest_class: DataClass = "public"
    prohibited: Annotated[tuple[Check, ...], Meta(max_length=len(PROHIBITED))] = ()
    documents: Annotated[tuple[Document, ...], Meta(max_length=200)] = ()
    risk_review: date | None = None
    audit: Audit | None = None
    trusted: Trusted = Trusted()
    marking: Marking = Marking()
    human_review: Contact = Contact()
    objection: Contact = Contact()
    # The law by which a citizen must deal with this system; empty: who does not wish to may refuse (article 16).
    mandatory_by: Line = ""
    evaluation: Annotated[tuple[Evaluation, ...], Meta(max_length=300)] = ()
    eu: Eu = Eu()


def parse_card(data: bytes) -> Card:
    """A card as it travels or stands in a file. Raises `Malformed`."""
    if len(data) > MOST_BYTES:
        raise _malformed(f"a card has at most {MOST_BYTES} bytes")
    try:
        card = msgspec.json.decode(data, type=Card)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise _malformed(f"not a card: {str(exc)[:200]}") from exc
    return check_card(card)


def card_bytes(card: Card) -> bytes:
    """The card as it is kept and travels: the same bytes for the same card."""
    return msgspec.json.encode(card)


def check_card(card: Card) -> Card:
    """The same card, if what is in it can stand on a page and is not there twice. Raises `Malformed`."""
    owner = MemberId.parse(card.owner)
    if str(owner) != card.owner:
        raise _malformed("the owner is written as identifiers are")
    SubsystemId(owner, card.system)
    if card.system.strip() != card.system or "/" in card.system:
        raise _malformed("the system is the code of a subsystem")
    for where, text in _texts(msgspec.to_builtins(card), ""):
        check_text(text, where)
    names = [check.capability for check in card.prohibited]
    if len(set(names)) != len(names):
        raise _malformed("a prohibited capability is checked once")
    for contact in (card.human_review.address, card.objection.address, *(doc.address for doc in card.documents)):
        if contact and not _WEB.match(contact):
            raise _malformed("an address begins with https://, http://, mailto: or tel:")
    return card


def check_text(text: str, where: str) -> None:
    """Raises `Malformed` where a text has characters that have no place on a page."""
    if text.isascii() and text.isprintable():
        return
    marks = 0
    for each in text:
        kind = category(each)
        if (kind in _BAD and each not in "\n\t") or each in _BLANK:
            raise _malformed(f"{where}: a character that is not seen, or turns text around")
        marks = marks + 1 if kind in {"Mn", "Me"} else 0
        if marks > _MOST_MARKS:
            raise _malformed(f"{where}: more signs over one letter than any language has")


def days_of(card: Card) -> list[date]:
    """Every day that a card tells of something that has happened."""
    found = [*(check.day for check in card.prohibited), *(document.day for document in card.documents)]
    found += [each.day for each in card.evaluation]
    found += [day for day in (card.risk_review, card.trusted.day) if day is not None]
    return [*found, card.audit.day] if card.audit is not None else found


def missing(card: Card) -> tuple[str, ...]:
    """What a card lacks before it can be declared, by the names of its fields."""
    gaps = {
        "names": not card.names.complete,
        "purpose": not card.purpose.complete,
        "decides": not card.decides.complete,
        "models": not card.models,
        "data": not card.data,
        "data.basis": any(not library.basis.strip() for library in card.data),
        "risk_reasons": not card.risk_reasons.complete,
        "risk_review": card.risk_review is None,
        "marking": card.marking.synthetic and not (card.marking.machine.strip() and card.marking.visible.complete),
        "human_review": not (card.human_review.how.complete and card.human_review.address),
        "objection": not (card.objection.how.complete and card.objection.address),
        "evaluation": {each.language for each in card.evaluation} != {"kk", "ru", "en"},
    }
    return tuple(name for name, lacks in gaps.items() if lacks)


def unchecked(card: Card) -> tuple[Prohibited, ...]:
    """The prohibited capabilities that nobody has looked for."""
    known = {check.capability for check in card.prohibited}
    return tuple(name for name in PROHIBITED if name not in known)


def _texts(value: Any, where: str) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(where, value)]
    if isinstance(value, dict):
        return [pair for name, each in value.items() for pair in _texts(each, f"{where}.{name}".lstrip("."))]
    if isinstance(value, (list, tuple)):
        return [pair for number, each in enumerate(value) for pair in _texts(each, f"{where}.{number}")]
    return []


def _malformed(detail: str) -> Malformed:
    return Malformed("ai.card.malformed", detail, at="caller")
