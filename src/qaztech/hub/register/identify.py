"""Which object a row speaks of: by its id, else by its exact name and owner, else a new one with an id that stays.

Two records for one system are never merged silently: they are a conflict, and a person says what it is. Not here:
systems that are alike (`comparing`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
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


def made_id(owner: str, name: str) -> str:
    """The id of an object that came without one: always the same for the same owner and name."""
    return f"im-{sha256(f'{owner}|{plain_name(name)}'.encode()).hexdigest()[:12]}"


def name_keys(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Owner and name, for each language that there is a name in."""
    owner = values.get("owner_bin") or ""
    return [(owner, plain) for name in _NAMES if (plain := plain_name(values.get(name) or ""))]


@dataclass(slots=True)
class _Taken:
    """The rows of a file that speak of one object."""

    sheet: str
    row: int
    values: dict[str, Any]


@dataclass(slots=True)
class Identities:
    """Names of the objects of the registry and, as they are read, of a file."""

    register: Register
    _by_name: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    _names_alone: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _in_file: dict[str, _Taken] = field(default_factory=dict)
    _file_names: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for object_ in self.register.objects.values():
            names = {name: getattr(object_, name) for name in _NAMES}
            for key in name_keys({**names, "owner_bin": object_.owner_bin}):
                self._by_name[key].add(object_.id)
                self._names_alone[key[1]].add(object_.id)

    def settle(
        self, values: dict[str, Any], sheet: str, row: int, decision: Decision | None
    ) -> tuple[str | None, Conflict | None]:
        """The id of a row of objects, or the conflict that is undecided; neither for a row that is left out.

        `values` may have an id of its own. What is settled is known from then on.
        """
        if decision is Decision.SKIP:
            return None, None
        given = values.get("id")
        keys = name_keys(values)
        if given is None and not keys:
            return None, None
        there = self._there(given, keys)
        if given is None and len(there) == 1 and decision is not Decision.NEW:
            given, there = next(iter(there)), set()
        elif given is None and decision is Decision.SAME and there:
            given, there = min(there), set()
        id_ = given or made_id(*keys[0])
        if id_ in there:
            there = set()
        if there and decision is None:
            return None, Conflict(other=", ".join(sorted(there)[:5]))
        if there and decision is Decision.SAME:
            id_ = min(there)
        earlier = self._earlier(id_, keys)
        if earlier is not None:
            taken = self._in_file[earlier]
            if decision is None:
                return None, Conflict(other=earlier, sheet=taken.sheet, row=taken.row)
            id_ = earlier if decision is Decision.SAME else self._another(id_, row)
        self._take(id_, values, keys, sheet, row)
        return id_, None

    def repeats(self, values: dict[str, Any]) -> bool:
        """Whether a row says, word for word, what an earlier row of the file said of the same object."""
        given = values.get("id")
        earlier = self._earlier(given, name_keys(values))
        if earlier is None:
            return False
        bare = {name: value for name, value in self._in_file[earlier].values.items() if name != "id"}
        return (given is None or given == earlier) and bare == {n: v for n, v in values.items() if n != "id"}

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

    def _there(self, given: str | None, keys: list[tuple[str, str]]) -> set[str]:
        """Objects of the registry that this may be, when it is not one by its id."""
        if given is not None and given in self.register.objects:
            return set()
        return {id_ for key in keys for id_ in self._by_name.get(key, ()) if key[0]}

    def _earlier(self, id_: str | None, keys: list[tuple[str, str]]) -> str | None:
        if id_ is not None and id_ in self._in_file:
            return id_
        return next((self._file_names[key] for key in keys if key[0] and key in self._file_names), None)

    def _another(self, id_: str, row: int) -> str:
        return id_ if not self.is_known(id_) else f"{id_[:80]}-{row}"

    def _take(self, id_: str, values: dict[str, Any], keys: list[tuple[str, str]], sheet: str, row: int) -> None:
        self._in_file[id_] = _Taken(sheet=sheet, row=row, values=values)
        for key in keys:
            self._file_names.setdefault(key, id_)
            self._names_alone[key[1]].add(id_)
