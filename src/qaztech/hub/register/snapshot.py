"""The whole registry of digital objects at one moment, in memory and indexed: what detectors and pages read.

5,000 systems with all their rows are some tens of megabytes. Immutable; the store makes a new one after each change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from qaztech.hub.register.rows import NAMES, DigitalObject, Integration, Organisation, Row

R = TypeVar("R", bound=Row)


class Register:
    """The rows of all tables. `version` counts the batches of changes it holds."""

    def __init__(self, rows: Iterable[Row], version: int = 0) -> None:
        self.version = version
        self._rows: dict[type[Row], dict[str, Any]] = {kind: {} for kind in NAMES}
        self._of_object: dict[type[Row], defaultdict[str, list[Any]]] = {kind: defaultdict(list) for kind in NAMES}
        for row in rows:
            self._rows[type(row)][row.key] = row
            for object_ in _objects_of(row):
                self._of_object[type(row)][object_].append(row)
        self._by_subsystem = {
            subsystem: object_ for object_ in self.objects.values() for subsystem in object_.subsystems
        }

    @property
    def objects(self) -> Mapping[str, DigitalObject]:
        """Digital objects by id."""
        return self._rows[DigitalObject]

    @property
    def organisations(self) -> Mapping[str, Organisation]:
        """Bodies and suppliers by BIN."""
        return self._rows[Organisation]

    def all(self, kind: type[R]) -> Mapping[str, R]:
        """All rows of a kind by key."""
        return self._rows[kind]

    def of(self, kind: type[R], object_id: str) -> Sequence[R]:
        """The rows of a kind that belong to an object; an integration belongs to both its ends."""
        return self._of_object[kind].get(object_id, ())

    def by_subsystem(self, subsystem: str) -> DigitalObject | None:
        """The object whose identity on the backbone this is, written `INSTANCE/CLASS/MEMBER/SUBSYSTEM`."""
        return self._by_subsystem.get(subsystem)

    def __iter__(self) -> Iterator[Row]:
        """All rows of all tables."""
        for rows in self._rows.values():
            yield from rows.values()


def _objects_of(row: Row) -> tuple[str, ...]:
    """The objects to which a row belongs."""
    if isinstance(row, Integration):
        return tuple(dict.fromkeys((row.consumer_object, row.provider_object)))
    object_ = getattr(row, "object", None)
    return () if object_ is None else (object_,)
