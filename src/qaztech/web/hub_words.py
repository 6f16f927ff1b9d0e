"""What stands in the registry and in findings, put into a reader's words: fields, values, facts and their sources.

And from a fact down to where it was read. Not here: the words of pages (`static/texts/hub`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from qaztech.ai.register.law import current_law as ai_law
from qaztech.hub.detectors.finding import Fact
from qaztech.hub.register.columns import Column, Form, columns_of
from qaztech.hub.register.kato import regions
from qaztech.hub.register.law import Law, current_law
from qaztech.hub.register.rows import TABLES, DigitalObject, Organisation
from qaztech.hub.register.snapshot import Register
from qaztech.hub.register.titles import choice_title, column_title, table_title
from qaztech.hub.stakes import Scope
from qaztech.web.hub_pages import count_text, day_text
from qaztech.web.texts import Catalogue

OBJECT, HISTORY, FLOWS, LAW = "/console/objects/object", "/console/objects/history", "/console/flows", "/console/law"
GROUP, AI = "/console/bodies/", "/console/ai"
# Facts whose number is tenge, and those whose number is a share.
_TENGE: Final = frozenset(
    {"upkeep", "invested", "contract", "initial_estimate", "modification", "development", "budget_now", "budget_over"}
    | {"first_budget", "cost", "zero_result_tenge"}
)
# Facts on cards of AI systems, and the texts in which their values are words.
_OF_CARDS: Final = {"ai_document_missing": "documents", "ai_obstacle": "why", "ai_state": "state"}
_SHARE: Final = frozenset({"share_percent", "regularity_percent", "variation_percent"})
# Parts of the source of a fact on one flow: the client's four and the service's five; of one system its four.
_FLOW_PARTS, _SYSTEM_PARTS = 9, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a fact was read: a row of a table and its field, or a flow, or the law data."""

    kind: str
    table: str = ""
    key: str = ""
    field: str = ""
    client: str = ""
    service: str = ""


def source_of(fact: Fact) -> Source:
    """A fact's source, taken apart."""
    head, _, rest = fact.source.partition("/")
    if head in TABLES:
        key, _, field = rest.rpartition("/")
        return Source(kind="row", table=head, key=key or rest, field=field if key else "")
    if head == "flows":
        parts = rest.split("/")
        if len(parts) == _FLOW_PARTS:
            client, service = "/".join(parts[:_SYSTEM_PARTS]), "/".join(parts[_SYSTEM_PARTS:])
            return Source(kind="flow", client=client, service=service)
        if parts[0] == "*":  # whoever called
            return Source(kind="flow", client="*", service="/".join(parts[1:]))
        return Source(kind="flow", client=rest)
    return Source(kind=head, key=rest)


def down(fact: Fact) -> tuple[str, dict[str, str]] | None:
    """The page that shows where a fact comes from, as path and query; None where it has none."""
    source = source_of(fact)
    if source.kind == "row":
        if source.table == "organisations" and not source.field:
            return GROUP + Scope.BODY, {"code": source.key}
        if source.field in TABLES:  # what is missing in another table
            return OBJECT, {"id": source.key}
        return HISTORY, {"table": source.table, "key": source.key, "field": source.field}
    if source.kind == "flow":
        if source.service:
            client = {} if source.client == "*" else {"client": source.client}
            return FLOWS, {**client, "service": source.service}
        return FLOWS, {"system": source.client}
    if source.kind == "ai":  # a card of the register of AI systems
        return f"{AI}/{source.key.partition('/')[0]}", {}
    if source.kind == "similarity":
        return OBJECT, {"id": source.key.partition("|")[0]}
    return (LAW, {}) if source.kind in {"law", "stacks"} else None


class Words:
    """The words of one language for one registry on one day."""

    def __init__(self, language: str, texts: Catalogue, register: Register, today: date) -> None:
        self._language = language
        self._texts = texts
        self._register = register
        self._today = today
        self._law: Law = current_law()

    def name(self, row: DigitalObject | Organisation | None, otherwise: str = "") -> str:
        """The name of an object or body in the reader's language, or in one that it has."""
        if row is None:
            return otherwise
        own = getattr(row, f"name_{self._language}")
        return str(own or row.name_ru or row.name_kk or row.name_en or otherwise or row.key)

    def thing(self, id_: str) -> str:
        """The name of an object, of a supplier written `bin:<BIN>`; the id of a card (`ai:`) or system (`system:`)."""
        for prefix in ("ai:", "system:"):
            if id_.startswith(prefix):
                return id_.removeprefix(prefix)
        if id_.startswith("bin:"):
            return self.body(id_.removeprefix("bin:"))
        return self.name(self._register.objects.get(id_), id_)

    def known(self, id_: str) -> str:
        """The name of an object by its id or of a body by its BIN; nothing where there is none."""
        return self.name(self._register.objects.get(id_)) or self.name(self._register.organisations.get(id_))

    def body(self, bin_: str | None) -> str:
        """The name of a body."""
        return self.name(self._register.organisations.get(bin_ or ""), bin_ or "—")

    def place(self, scope: Scope, code: str) -> str:
        """The name of a body, an area or a region; a word for none."""
        if not code:
            return str(self._texts["bodies"]["undeclared"])
        if scope is Scope.BODY:
            return self.body(code)
        known: Iterable[Any] = self._law.areas(self._today) if scope is Scope.AREA else regions(self._today)
        return next((str(getattr(each, self._language)) for each in known if each.code == code), code)

    def field(self, table: str, name: str) -> str:
        """What a column is called."""
        try:
            return column_title(table, name, self._language)
        except KeyError:
            return name

    def table(self, name: str) -> str:
        """What a table is called."""
        return table_title(name, self._language) if name in TABLES else name

    def value(self, table: str, name: str, value: object) -> str:
        """A value of a field as people write it; a dash for what is not declared."""
        if value is None or (not value and isinstance(value, (str, list, tuple))):
            return "—"
        column = columns_of(table).get(name)
        if column is None:
            return str(value)
        if isinstance(value, (list, tuple)):
            return "; ".join(str(part) for part in value)
        return _WRITERS.get(column.form, _as_it_is)(self, column, value)

    def fact(self, fact: Fact) -> str:
        """What a fact is about."""
        known = self._texts["cases"]["fact"]
        what = fact.what.removeprefix("alike.").removeprefix("shared.")  # why two objects look alike
        if what in known:
            return str(known[what])
        source = source_of(fact)
        return self.field(source.table, source.field) if source.kind == "row" else fact.what

    def told(self, fact: Fact) -> str:
        """What a fact says; empty where its name says all."""
        source = source_of(fact)
        if fact.value == "":
            return ""
        if fact.what == "provision":
            return self.provision(str(fact.value))
        if fact.what == "body":
            return self.body(str(fact.value))
        if fact.what in _OF_CARDS:
            return self._of_card(fact)
        if fact.what in _TENGE:
            return tenge_text(int(fact.value))
        if fact.what in _SHARE:
            return f"{fact.value} %"
        if source.kind == "row" and source.field in columns_of(source.table) and fact.what != "role_left":
            return self.value(source.table, source.field, fact.value)
        if fact.what == "role_left":
            return self.value("roles", "role", fact.value)
        return plain_text(fact.value)

    def _of_card(self, fact: Fact) -> str:
        """What stands against an AI system's card, or its state."""
        texts, value = self._texts["ai"], str(fact.value)
        if fact.what == "ai_document_missing":
            kind = ai_law().document_kinds().get(value)
            return value if kind is None else str(getattr(kind, self._language))
        return str(texts[_OF_CARDS[fact.what]].get(value, value))

    def provision(self, reference: str) -> str:
        """A provision in words, as the law data have it."""
        found = self._law.references.get(reference)
        return reference if found is None else str(getattr(found, self._language))

    def choice(self, column: Column, value: object) -> str:
        """What a word that a cell may hold is called."""
        try:
            return choice_title(column.table, column.name, str(value), self._language)
        except KeyError:
            return str(value)


def _as_it_is(_: Words, __: Column, value: object) -> str:
    return str(value)


_WRITERS: Final[dict[Form, Callable[[Words, Column, Any], str]]] = {
    Form.CHOICE: Words.choice,
    Form.DATE: lambda _, __, value: day_text(value),
    Form.NUMBER: lambda _, column, value: str(value) if column.name == "year" else plain_text(value),
    Form.TENGE: lambda _, __, value: tenge_text(int(value)),
    Form.YES_NO: lambda words, _, value: str(words._texts["yes" if value in {True, "yes"} else "no"]),  # noqa: SLF001
    Form.BIN: lambda words, _, value: _named(words.body(str(value)), str(value)),
    Form.OBJECT: lambda words, _, value: _named(words.thing(str(value)), str(value)),
}


def _named(name: str, code: str) -> str:
    return code if name == code else f"{name} ({code})"


def plain_text(value: object) -> str:
    """A number with thin spaces, a day as people write it, anything else as it is."""
    return count_text(value) if isinstance(value, int) and not isinstance(value, bool) else day_text(value)


def tenge_text(amount: int | None) -> str:
    """Whole tenge; a dash where no money can be told."""
    return "—" if amount is None else f"{count_text(amount)}\N{NARROW NO-BREAK SPACE}₸"


def address(path: str, language: str, **query: str) -> str:
    """A link that keeps the language."""
    return f"{path}?{urlencode({'lang': language, **query})}"
