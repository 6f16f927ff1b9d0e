"""Which object a row speaks of: by its id, else by its exact name and owner, else a new one with an id that stays.

Two records for one system are never merged silently: they are a conflict, and a person says what it is. Not here:
systems that are alike (`comparing`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from qaztech.hub.register.snapshot import Register

_NAMES: Final = ("name_kk", "name_ru", "name_en")


class Decision(StrEnum):
    """What a person says of a record that another one is there for: leave it out, it is another, it is the same."""

    SKIP = "skip"
    NEW = "new"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Another record for the same system: of the registry (`row` None) or of this file."""

    other: str
    sheet: str = ""
    row: int | None = None


def plain_name(name: str) -> str:
    """A name without case, quotation marks and double spaces, to be compared."""
    return " ".join(re.findall(r"\w+", name.casefold().replace("ё", "е")))


def made_id(first: str, *others: str) -> str:
    """The id of a row that came without one: always the same for the same owner and name."""
    told = "|".join((first, *map(plain_name, others)))
    return f"im-{sha256(told.encode()).hexdigest()[:12]}"


def name_keys(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Owner and name, for each language that there is a name in."""
    owner = values.get("owner_bin") or ""
    return [(owner, plain) for name in _NAMES if (plain := plain_name(values.get(name) or ""))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A row of objects: its values, by column name, and what else it says (costs), to be compared."""

    sheet: str
    row: int
    values: dict[str, Any]
    extra: Sequence[Any] = ()

    def says_the_same(self, other: Record) -> bool:
        """Whether both say the same, word for word; an id that one does not give does not count."""
        ids = {record.values.get("id") for record in (self, other)} - {None}
        return len(ids) < 2 and self._bare() == other._bare() and list(self.extra) == list(other.extra)

    def adds_to(self, other: Record) -> bool:
        """Whether this comes from another sheet and contradicts the other in nothing."""
        mine, theirs = self._bare(), other._bare()
        return self.sheet != other.sheet and all(_alike(mine[n], theirs[n]) for n in mine.keys() & theirs.keys())

    def _bare(self) -> dict[str, Any]:
        return {name: value for name, value in self.values.items() if name != "id"}


def _alike(one: Any, other: Any) -> bool:
    return one == other or (isinstance(one, str) and isinstance(other, str) and plain_name(one) == plain_name(other))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The object that a row speaks of, or the conflict that is undecided; neither for a row that is left out.

    `note` is a warning's code: `object.by-name` where the name alone has told, `row.joined` to another sheet's row.
    """

    id: str | None = None
    conflict: Conflict | None = None
    note: str = ""


@dataclass(slots=True)
class Identities:
    """Names of the objects of the registry and, as they are read, of a file."""

    register: Register
    _by_name: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    _names_alone: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _in_file: dict[str, Record] = field(default_factory=dict)
    _file_names: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for object_ in self.register.objects.values():
            names = {name: getattr(object_, name) for name in _NAMES}
            for key in name_keys({**names, "owner_bin": object_.owner_bin}):
                self._by_name[key].add(object_.id)
                self._names_alone[key[1]].add(object_.id)

    def settle(self, record: Record, decision: Decision | None) -> Settled:
        """Which object a row speaks of. What is settled is known from then on."""
        given, keys = record.values.get("id"), name_keys(record.values)
        if decision is Decision.SKIP or (given is None and not keys):
            return Settled()
        there, note = self._there(given, keys)
        if decision is None and there and (given is not None or len(there) > 1):
            return Settled(conflict=Conflict(other=", ".join(sorted(there)[:5])))
        if there and decision is not Decision.NEW:
            id_ = min(there)
        else:
            id_, note = given or self._another(made_id(*keys[0]), record.row, decision), ""
        earlier = self._earlier(id_, keys)
        if earlier is not None:
            taken = self._in_file[earlier]
            if decision is None and not record.adds_to(taken):
                return Settled(conflict=Conflict(other=earlier, sheet=taken.sheet, row=taken.row))
            id_ = self._another(id_, record.row, decision) if decision is Decision.NEW else earlier
            note = note or ("row.joined" if decision is None else "")
        self._take(id_, record, keys)
        return Settled(id=id_, note=note)

    def repeats(self, record: Record) -> bool:
        """Whether a row says, word for word, what an earlier row of the file said of the same object."""
        earlier = self._earlier(record.values.get("id"), name_keys(record.values))
        return earlier is not None and record.says_the_same(self._in_file[earlier])

    def find(self, name: str) -> set[str]:
        """The ids of the objects of this name, whoever owns them."""
        return self._names_alone.get(plain_name(name), set())

    def is_known(self, id_: str) -> bool:
        """Whether there is such an object, in the registry or the file."""
        return id_ in self._in_file or id_ in self.register.objects

    @property
    def file_ids(self) -> Iterable[str]:
        """The objects that the file has rows for."""
        return self._in_file.keys()

    def _there(self, given: str | None, keys: list[tuple[str, str]]) -> tuple[set[str], str]:
        """Objects that this may be when its id does not tell: by name and owner, without an owner by name alone."""
        if given is not None and self.is_known(given):
            return set(), ""
        if keys and not keys[0][0] and given is None:
            found = {id_ for _, name in keys for id_ in self._names_alone.get(name, ())}
            return found, "object.by-name" if found else ""
        return {id_ for key in keys for id_ in self._by_name.get(key, ()) if key[0]}, ""

    def _earlier(self, id_: str | None, keys: list[tuple[str, str]]) -> str | None:
        if id_ is not None and id_ in self._in_file:
            return id_
        return next((self._file_names[key] for key in keys if key[0] and key in self._file_names), None)

    def _another(self, id_: str, row: int, decision: Decision | None) -> str:
        """The id, or, for what is said to be another object, one that nobody has."""
        return f"{id_[:80]}-{row}" if decision is Decision.NEW and self.is_known(id_) else id_

    def _take(self, id_: str, record: Record, keys: list[tuple[str, str]]) -> None:
        self._in_file.setdefault(id_, record)
        for key in keys:
            self._file_names.setdefault(key, id_)
            self._names_alone[key[1]].add(id_)
