"""Search over the registry of digital objects: words in any form and three languages; ids, BINs and subsystems.

The catalogue's index (`registry.search`) over names, purposes, functions, data elements and owners. Made once for each
version of the registry. Not here: systems that are alike (`comparing`).
"""

from __future__ import annotations

import threading
from typing import Final

from qaztech.hub.register.rows import DigitalObject
from qaztech.hub.register.snapshot import Register
from qaztech.registry.search import Document, SearchIndex, Three

# Characters of a beginning of an identifier by which it is looked for.
_SHORTEST: Final = 2


class ObjectSearch:
    """Finds objects. Use it from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: tuple[int, SearchIndex] | None = None

    def find(self, register: Register, query: str) -> list[str]:
        """The ids of what a query finds, the best first; of all objects in order of their ids where it is empty."""
        text = query.strip()
        if not text:
            return sorted(register.objects)
        exact = [object_.id for object_ in register.objects.values() if _is_named(object_, text)]
        if exact:
            return sorted(exact)
        index = self._index(register)
        found = list(index.search(text, limit=max(1, len(index))).ids)
        # Who types an identifier has not got to its end yet.
        begun = sorted(object_.id for object_ in register.objects.values() if _begins(object_, text))
        return list(dict.fromkeys((*found, *begun)))

    def _index(self, register: Register) -> SearchIndex:
        with self._lock:
            if self._newest is None or self._newest[0] != register.version:
                documents = (_document(register, register.objects[id_]) for id_ in sorted(register.objects))
                self._newest = (register.version, SearchIndex(documents))
            return self._newest[1]


def _is_named(object_: DigitalObject, text: str) -> bool:
    """Whether a text is one of the object's identifiers, its owner's BIN or one of its subsystems."""
    return text in {object_.id, object_.owner_bin, *object_.subsystems}


def _begins(object_: DigitalObject, text: str) -> bool:
    """Whether an identifier of the object, its owner's BIN or one of its subsystems begins so."""
    wanted = text.casefold()
    names = (object_.id, object_.owner_bin or "", *object_.subsystems)
    return len(wanted) >= _SHORTEST and any(name.casefold().startswith(wanted) for name in names)


def _document(register: Register, object_: DigitalObject) -> Document:
    owner = register.organisations.get(object_.owner_bin or "")
    words = (*object_.functions, *object_.public_services, *object_.data_elements)
    return Document(
        id=object_.id,
        names=(object_.name_kk, object_.name_ru, object_.name_en),
        purpose=(object_.purpose_kk, object_.purpose_ru, object_.purpose_en),
        data=tuple(_any(word) for word in words),
        member=("", "", "") if owner is None else (owner.name_kk, owner.name_ru, owner.name_en),
    )


def _any(word: str) -> Three:
    """A word whose language nobody says."""
    return word, word, word
