"""The form of a card: what was typed as a card with all its problems at once, and a card as fields to be typed over.

A field is named by its way in the card's JSON: `names.kk`, `models.0.name`, `prohibited.manipulation.by`. Pure. Not
here: what a card lacks before it can be declared (`ai.register.card.missing`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import msgspec
from msgspec import inspect

from qaztech.ai.register.card import PROHIBITED, Card, check_card, check_text, days_of
from qaztech.core.errors import Error
from qaztech.core.ids import MemberId
from qaztech.web.member_site import Form, one

# Lists of a card and the fields by which a row counts as filled in.
ROWS: Final[dict[str, tuple[str, ...]]] = {
    "models": ("name", "version", "maker", "service"),
    "data": ("name", "maker", "basis"),
    "documents": ("title", "sha256", "day", "address"),
    "evaluation": ("measure", "value", "unit", "sample", "day"),
}
# Rows that a form has more than there are entries.
SPARE: Final = 1
MOST_ROWS: Final = 60
_ADDRESS: Final = ("https://", "http://", "mailto:", "tel:")
_FIELDS: Final = inspect.type_info(Card).fields  # type: ignore[attr-defined]
_KINDS: Final = {field.name: field.type for field in _FIELDS}
Problems = dict[str, str]
"""What is wrong, by the name of the field: required, long, form, character, address, future; or a code."""


def card_of(values: Form, owner: MemberId, today: date) -> tuple[Card | None, Problems]:
    """The card that was typed, or all that is wrong with it."""
    problems: Problems = {}
    found: dict[str, Any] = {"owner": str(owner)}
    for field in _FIELDS:
        name = field.name
        if name == "owner":
            continue
        if name == "prohibited":
            found[name] = _checks(values, problems)
        elif name in ROWS:
            found[name] = _rows(name, values, problems)
        elif name == "audit":
            found[name] = _optional(name, values, problems)
        else:
            _put(found, field, name, values, problems)
    for path, text in ((path, one(values, path)) for path in values):
        _check_character(path, text, problems)
    if problems:
        return None, problems
    try:
        card = check_card(msgspec.convert(found, Card))
    except (msgspec.ValidationError, Error) as exc:
        return None, {"": str(getattr(exc, "detail", exc))[:300]}
    if any(day > today for day in days_of(card)):
        return None, {path: "future" for path in values if path.endswith(("day", "review")) and _is_later(
            one(values, path), today
        )}  # fmt: skip
    return card, {}


def values_of(card: Card) -> Form:
    """A card as its form shows it."""
    plain = msgspec.to_builtins(card)
    plain["prohibited"] = {check["capability"]: _said(check) for check in plain["prohibited"]}
    return {path: [text] for path, text in _flat(plain, "")}


def rows_of(values: Form, more: int = 0) -> dict[str, range]:
    """How many rows of each list the form shows."""
    found = {}
    for name in ROWS:
        filled = [number for number in range(MOST_ROWS) if _is_filled(name, number, values)]
        found[name] = range(min(MOST_ROWS, (filled[-1] + 1 if filled else 0) + SPARE + more))
    return found


def _said(check: dict[str, Any]) -> dict[str, Any]:
    return {**check, "found": "found" if check["found"] else "not-found"}


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _flat(each, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _flat(each, f"{path}.{number}")
    elif isinstance(value, bool):
        yield path, "yes" if value else ""
    elif value is not None:
        yield path, f"{value:.15g}" if isinstance(value, float) else str(value)


def _is_filled(name: str, number: int, values: Form) -> bool:
    return any(one(values, f"{name}.{number}.{field}") for field in ROWS[name])


def _rows(name: str, values: Form, problems: Problems) -> list[dict[str, Any]]:
    kind = _KINDS[name].item_type
    return [
        _struct(kind, f"{name}.{number}", values, problems)
        for number in range(MOST_ROWS)
        if _is_filled(name, number, values)
    ]


def _checks(values: Form, problems: Problems) -> list[dict[str, Any]]:
    found = []
    for capability in PROHIBITED:
        path = f"prohibited.{capability}"
        said = one(values, f"{path}.found")
        if not any(one(values, f"{path}.{name}") for name in ("found", "by", "day", "note")):
            continue
        if said not in {"found", "not-found"}:
            problems[f"{path}.found"] = "required"
        check = _struct(_KINDS["prohibited"].item_type, path, values, problems, without=("capability", "found"))
        found.append({**check, "capability": capability, "found": said == "found"})
    return found


def _optional(name: str, values: Form, problems: Problems) -> dict[str, Any] | None:
    if not any(one(values, f"{name}.{field}") for field in ("by", "day", "sha256", "note")):
        return None
    kind = next(each for each in _KINDS[name].types if isinstance(each, inspect.StructType))
    return _struct(kind, name, values, problems)


def _struct(kind: Any, path: str, values: Form, problems: Problems, without: tuple[str, ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in kind.fields:
        if field.name not in without:
            _put(found, field, f"{path}.{field.name}", values, problems)
    return found


def _put(found: dict[str, Any], field: inspect.Field, path: str, values: Form, problems: Problems) -> None:
    """One field as it was typed; what is left empty keeps its default, unless it has none."""
    kind, name = field.type, field.name
    if isinstance(kind, inspect.StructType):
        found[name] = _struct(kind, path, values, problems)
        return
    if isinstance(kind, inspect.BoolType):
        found[name] = one(values, path) == "yes"
        return
    text = one(values, path).replace("\r\n", "\n").replace("\r", "\n")
    if not text:
        if field.required:
            problems[path] = "required"
        return
    wrong = _wrong(kind, text)
    if wrong is not None:
        problems[path] = wrong
    elif path.endswith(".address") and (not text.startswith(_ADDRESS) or any(each.isspace() for each in text)):
        problems[path] = "address"
    else:
        found[name] = float(text) if isinstance(kind, inspect.FloatType) else text


def _wrong(kind: Any, text: str) -> str | None:
    if isinstance(kind, inspect.UnionType):
        return next((None for each in kind.types if _wrong(each, text) is None), "form")
    if isinstance(kind, inspect.LiteralType):
        return None if text in kind.values else "form"
    if isinstance(kind, inspect.DateType):
        return None if _day(text) is not None else "form"
    if isinstance(kind, inspect.FloatType):
        return _wrong_number(kind, text)
    if isinstance(kind, inspect.StrType):
        if kind.max_length is not None and len(text) > kind.max_length:
            return "long"
        return None if kind.pattern is None or re.search(kind.pattern, text) else "form"
    return "form"


def _wrong_number(kind: inspect.FloatType, text: str) -> str | None:
    try:
        number = float(text)
    except ValueError:
        return "form"
    return None if (kind.ge or -1e9) <= number <= (kind.le or 1e9) else "form"


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _is_later(text: str, today: date) -> bool:
    day = _day(text)
    return day is not None and day > today


def _check_character(path: str, text: str, problems: Problems) -> None:
    try:
        check_text(text.replace("\r\n", "\n").replace("\r", "\n"), path)
    except Error:
        problems.setdefault(path, "character")
