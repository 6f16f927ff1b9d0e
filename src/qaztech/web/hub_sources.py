"""Where a fact was read, in a reader's words, with acts by their titles; and what a row of the registry is called.

Not here: the words of the facts themselves (`hub_words`), the page a source leads to (`hub_words.down`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, Final

from qaztech.hub.detectors.finding import Fact
from qaztech.hub.register.columns import Form, columns_of
from qaztech.hub.register.law import Reference, Value, current_law
from qaztech.hub.register.rows import TABLES
from qaztech.hub.register.titles import choice_title, column_title, table_title
from qaztech.web.hub_pages import day_text, hub_texts
from qaztech.web.hub_words import Source, source_of

# Where the center's own settings come from: no act of law.
_SETTINGS: Final = "center.settings"
_SYSTEM_PARTS: Final = 4
Named = Callable[[str], str]


def row_title(table: str, key: str, language: str, thing: Named) -> str:
    """What a row is called: the objects and bodies of its key by their names, words of its key in the language.

    `thing` gives the name of an object or body, or nothing where it has none.
    """
    columns = [columns_of(table).get(name) for name in TABLES[table].KEY]
    found = []
    for column, part in zip(columns, key.split("|", len(columns) - 1), strict=False):
        if column is None or not part:
            continue
        if column.form in {Form.OBJECT, Form.BIN}:
            found.append(thing(part) or part)
        elif column.form is Form.CHOICE and part in column.choices:
            found.append(choice_title(table, column.name, part, language))
        else:
            found.append(day_text(part))
    return " · ".join(found)


def act_title(reference: Reference, language: str) -> str:
    """The act and article of a provision, by the act's title in the language."""
    texts = hub_texts(language)["cases"]
    act = str(texts["act"].get(reference.act, reference.act))
    return f"{act}, {texts['article'].replace('{n}', reference.article)}" if reference.article else act


def in_force(value: Value) -> tuple[date | None, date]:
    """Since when a limit or date holds, and the edition it was taken from; None for the center's own settings.

    A limit of an act holds no earlier than the act.
    """
    reference = current_law().references[value.reference]
    return (None if reference.id == _SETTINGS else max(value.since, reference.since)), reference.edition


class SourceWords:
    """The sources of facts in one language. `thing` names an object or body, `called` a system or service."""

    def __init__(self, language: str, thing: Named, called: Named, today: date) -> None:
        self._language = language
        self._texts: Any = hub_texts(language)["cases"]["source"]
        self._thing = thing
        self._called = called
        self._today = today

    def told(self, fact: Fact) -> str:
        """Where a fact was read."""
        source = source_of(fact)
        if source.kind == "row":
            return self._row(source)
        if source.kind == "flow":
            return self._flow(source)
        if source.kind == "law":
            return self._law(source.key)
        text = str(self._texts.get(source.kind, source.kind))
        if source.kind == "similarity":
            return f"{text}: {' / '.join(self._thing(part) or part for part in source.key.split('|'))}"
        return f"{text}: {source.key.replace('/', ' ')}" if source.key else text

    def holds(self, fact: Fact) -> str:
        """Since when a fact of law holds; nothing for other facts."""
        source = source_of(fact)
        if source.kind != "law":
            return ""
        value = current_law().value(source.key, self._today)
        if value is not None:
            since, edition = in_force(value)
        elif (reference := current_law().references.get(source.key)) is not None:
            since, edition = reference.since, reference.edition
        else:
            return ""
        return str(self._texts["since"].replace("{day}", day_text(since)) if since else
                   self._texts["settings"].replace("{day}", day_text(edition)))  # fmt: skip

    def _row(self, source: Source) -> str:
        name = row_title(source.table, source.key, self._language, self._thing)
        start = f"{table_title(source.table, self._language)}: {name}"
        if source.field in TABLES:  # what is missing in another table
            return f"{start} → {table_title(source.field, self._language)}"
        known = source.field in columns_of(source.table)
        return f"{start} → {column_title(source.table, source.field, self._language)}" if known else start

    def _flow(self, source: Source) -> str:
        if not source.client:
            return str(self._texts["flows"])
        client = self._texts["anybody"] if source.client == "*" else self._system(source.client)
        service = f" → {self._system(source.service)}" if source.service else ""
        return f"{self._texts['flow']}: {client}{service}"

    def _system(self, identifier: str) -> str:
        """A system by its name, with the code of a service after it."""
        parts = identifier.split("/")
        name = self._called("/".join(parts[:_SYSTEM_PARTS])) or "/".join(parts[:_SYSTEM_PARTS])
        return " ".join((name, *parts[_SYSTEM_PARTS:]))

    def _law(self, key: str) -> str:
        law = current_law()
        value = law.value(key, self._today)
        reference = law.references.get(value.reference if value is not None else key)
        return key if reference is None else act_title(reference, self._language)
