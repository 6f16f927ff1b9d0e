"""Detector 11 obsolete_stack: products in use whose makers have long ended support, by the versioned `stacks.json`.

A product or version that the data do not know says nothing; a version older than all that they know is as old as the
oldest. A monolith alone is no finding: it weighs only beside products without support.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from qaztech.hub.detectors.finding import Case, Detector, Fact, Finding, MoneyOf
from qaztech.hub.detectors.reading import fact, in_life, law_fact, limit, objects, upkeep
from qaztech.hub.register.rows import DigitalObject

FILE: Final = Path(__file__).parent / "stacks.json"
# What may stand between a product's name and its version.
_BEFORE_VERSION: Final = re.compile(
    r"^(?:enterprise|standard|community|professional|edition|server|release|version|ver\.?|v(?=[0-9])|версия|нұсқа)+"
)


class Product(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A product: names that it goes by (small letters, no spaces or signs), the day support of each version ended."""

    id: str
    names: Annotated[tuple[str, ...], Meta(min_length=1)]
    source: str
    versions: dict[str, date]


class Stacks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All products that are known, and the day on which the list was last looked through."""

    edition: date
    mark: Literal["T", "R", "M"]
    products: tuple[Product, ...]


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A version found in the list, and the last day of its support."""

    product: str
    version: str
    day: date


@cache
def stacks() -> Stacks:
    """The list of this release."""
    return msgspec.json.decode(FILE.read_bytes(), type=Stacks)


@cache
def _names() -> list[tuple[str, Product]]:
    """Names with their products, the longest first."""
    pairs = [(name, product) for product in stacks().products for name in product.names]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


@cache
def support_end(text: str) -> Ended | None:
    """When support of a product, as bodies write it (`php5.3`, `Win Server 2008 R2`), ended or ends; None: unknown."""
    plain = re.sub(r"[\s_\-:®™()]+", "", text.lower())
    for name, product in _names():
        if plain.startswith(name):
            version = _BEFORE_VERSION.sub("", plain[len(name) :])
            if not version[:1].isalpha() or any(name and version.startswith(name) for name in product.versions):
                return _version(product, version)
    return None


def _version(product: Product, version: str) -> Ended | None:
    fitting = [name for name in product.versions if _is_of(version, name)]
    if fitting:
        name = max(fitting, key=len)
        return Ended(product=product.id, version=name, day=product.versions[name])
    parts = [name for name in product.versions if version and name.startswith(f"{version}.")]
    if parts:  # "PHP 5" is at best the last 5.x
        return Ended(product=product.id, version=version, day=max(product.versions[name] for name in parts))
    numbers = {name: number for name in product.versions if (number := _number(name)) is not None}
    own = _number(version)
    if own is None or not numbers or own >= min(numbers.values()):
        return None
    oldest = min(numbers, key=lambda name: numbers[name])
    return Ended(product=product.id, version=version, day=product.versions[oldest])


def _is_of(version: str, name: str) -> bool:
    """Whether a version is this one, or a later part of it: 16.4 is of 16, 163 is not; 2008sp1 is of 2008."""
    if not name:
        return True
    if not version.startswith(name):
        return False
    rest = version[len(name) :]
    return not rest or (not rest[0].isdigit() and not (name[-1].isdigit() and rest.startswith("r2")))


def _number(version: str) -> tuple[int, ...] | None:
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else None


def obsolete_stack(case: Case) -> Iterator[Finding]:
    """It works, or is being made, on products whose support ended more than the set time ago."""
    old = case.today - timedelta(days=limit(case, "obsolete_days"))
    for object_ in objects(case):
        if not in_life(object_):
            continue
        ended = [(text, found) for text in object_.stack if (found := support_end(text)) and found.day < old]
        if ended:
            yield _finding(case, object_, ended)


def _finding(case: Case, object_: DigitalObject, ended: list[tuple[str, Ended]]) -> Finding:
    told: list[Fact] = []
    for text, found in ended:
        told.append(fact("product", text, object_, "stack"))
        told.append(
            Fact(
                what="support_ended",
                value=found.day.isoformat(),
                source=f"stacks/{found.product}/{found.version}",
                as_of=stacks().edition,
            )
        )
    if object_.monolith:
        told.append(fact("monolith", "yes", object_, "monolith"))
    total, facts = upkeep(case, object_)
    return Finding(
        detector="obsolete_stack",
        objects=(object_.id,),
        evidence=(*told, *facts, law_fact(case.law, "obsolete_days", case.today)),
        confidence=0.95 if len(ended) > 1 or object_.monolith else 0.9,
        money=total or None,
        money_of=MoneyOf.UPKEEP,
    )


DETECTORS = (
    Detector(slug="obsolete_stack", detect=obsolete_stack, deterministic=False, references=("center.settings",)),
)
