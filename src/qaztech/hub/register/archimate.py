"""The registry as an ArchiMate model, in The Open Group's Model Exchange File Format 3, and back.

Objects become application components (platforms and infrastructure nodes, data resources data objects), bodies business
actors, functions and public services what objects serve, integrations flows. What ArchiMate has no word for stands in
properties named as our columns, so a model of ours comes back as it went. Names are given in each language. Of a
model made elsewhere, components, nodes, data objects, actors with a BIN and flows are taken.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from qaztech.core.errors import Malformed
from qaztech.hub.register.columns import columns_of, read_cell, values_of, write_cell
from qaztech.hub.register.rows import (
    NAMES,
    TABLES,
    Affiliation,
    DigitalObject,
    Integration,
    ObjectKind,
    Organisation,
    Row,
)
from qaztech.hub.register.snapshot import Register

if TYPE_CHECKING:
    from qaztech.hub.register.store import Edit

R = TypeVar("R", bound=Row)
NAMESPACE: Final = "http://www.opengroup.org/xsd/archimate/3.0/"
MOST_BYTES: Final = 60 * 1024**2
# Tags and attributes of a model, counted by `<` and `=`: what it costs in memory.
MOST_MARKS: Final = 4_000_000
_SCHEMA: Final = f"{NAMESPACE} http://www.opengroup.org/xsd/archimate/3.1/archimate3_Diagram.xsd"
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_TYPE: Final = f"{{{_XSI}}}type"
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_LANGUAGES: Final = ("kk", "ru", "en")
_OWN: Final = "qaztech."
_KINDS: Final = {
    ObjectKind.PLATFORM: "Node",
    ObjectKind.INFRASTRUCTURE: "Node",
    ObjectKind.RESOURCE: "DataObject",
    ObjectKind.DATA_PRODUCT: "DataObject",
}
_COMPONENT: Final = "ApplicationComponent"
_FOREIGN: Final = {
    _COMPONENT: ObjectKind.SYSTEM,
    "Node": ObjectKind.PLATFORM,
    "SystemSoftware": ObjectKind.SOFTWARE,
    "DataObject": ObjectKind.RESOURCE,
}
_PARTIES: Final = ("owner_bin", "holder_bin", "operator_bin")
_FOLDERS: Final = {
    "BusinessActor": "Organisations",
    _COMPONENT: "Digital systems",
    "Node": "Platforms and infrastructure",
    "DataObject": "Data",
    "BusinessFunction": "State functions",
    "BusinessService": "Public services",
    "ApplicationService": "Services of the backbone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a model says in our words: edits of the registry, and what of it has no place there, in short."""

    edits: tuple[Edit, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One row that a model tells: its table, its cells as `write_cell` has them, and whether the model is ours."""

    table: str
    cells: Mapping[str, str | int]
    ours: bool = True


class _Writer:
    """Collects elements, relationships and property definitions, each once."""

    def __init__(self) -> None:
        self.elements: dict[str, ET.Element] = {}
        self.relationships: dict[str, ET.Element] = {}
        self.properties: dict[str, str] = {}
        self.folders: defaultdict[str, list[str]] = defaultdict(list)

    def element(
        self,
        type_: str,
        key: str,
        names: Mapping[str, str],
        documentation: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> str:
        id_ = _id(type_, key)
        if id_ not in self.elements:
            made = ET.Element("element", {"identifier": id_, "xsi:type": type_})
            self._fill(made, names, documentation or {}, properties or {})
            self.elements[id_] = made
            self.folders[_FOLDERS[type_]].append(id_)
        return id_

    def relationship(
        self,
        type_: str,
        source: str,
        target: str,
        name: str = "",
        properties: Mapping[str, str] | None = None,
        **more: str,
    ) -> None:
        id_ = _id(type_, f"{source}|{target}|{name}|{(properties or {}).get(_OWN + 'id', '')}")
        if id_ in self.relationships or source == target:
            return
        attributes = {"identifier": id_, "source": source, "target": target, "xsi:type": type_, **more}
        made = ET.Element("relationship", attributes)
        self._fill(made, {"en": name} if name else {}, {}, properties or {})
        self.relationships[id_] = made

    def _fill(
        self,
        made: ET.Element,
        names: Mapping[str, str],
        documentation: Mapping[str, str],
        properties: Mapping[str, str],
    ) -> None:
        for tag, texts in (("name", names), ("documentation", documentation)):
            for language, text in texts.items():
                ET.SubElement(made, tag, {"xml:lang": language}).text = _clean(text)
        if properties:
            group = ET.SubElement(made, "properties")
            for name, text in properties.items():
                definition = self.properties.setdefault(name, _id("property", name))
                given = ET.SubElement(group, "property", {"propertyDefinitionRef": definition})
                ET.SubElement(given, "value", {"xml:lang": "en"}).text = _clean(text)


def write_model(register: Register, *, name: str) -> bytes:
    """The registry as a model, in UTF-8; the same registry gives the same bytes."""
    writer = _Writer()
    objects = {object_.id: _object_element(writer, register, object_) for object_ in _sorted(register.objects)}
    actors = {body.bin: _actor(writer, register, body) for body in _sorted(register.organisations)}
    for body in register.organisations.values():
        if body.parent_bin in actors:
            writer.relationship("Aggregation", actors[body.parent_bin], actors[body.bin])
    for object_ in _sorted(register.objects):
        _relations(writer, object_, objects[object_.id], actors)
    for row in _sorted(register.all(Integration)):
        _integration(writer, row, objects)
    root = ET.Element("model", {
        "xmlns": NAMESPACE,
        "xmlns:xsi": _XSI,
        "xsi:schemaLocation": _SCHEMA,
        "identifier": _id("model", name),
    })  # fmt: skip
    ET.SubElement(root, "name", {"xml:lang": "en"}).text = _clean(name)
    _group(root, "elements", writer.elements.values())
    _group(root, "relationships", writer.relationships.values())
    _organizations(root, writer)
    definitions = [_definition(id_, title) for title, id_ in writer.properties.items()]
    _group(root, "propertyDefinitions", definitions)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def read_model(data: bytes) -> Taken:
    """What a model says, as edits of the registry. Raises `Malformed` for what is no such model."""
    from qaztech.hub.register.store import Edit  # noqa: PLC0415  # the process that reads files needs no database

    found, left_out = read_rows(data)
    edits = []
    for row in found:
        columns = columns_of(row.table)
        values = {name: read_cell(columns[name], cell) for name, cell in row.cells.items()}
        edits.append(Edit(table=row.table, values=values))
    return Taken(edits=tuple(edits), left_out=left_out)


def read_rows(data: bytes) -> tuple[list[Found], tuple[str, ...]]:
    """The rows that a model tells, in its order, with their cells unread; and what has no place, in short.

    Raises `Malformed` for what is no such model.
    """
    root = _tree(data)
    definitions = {
        node.get("identifier", ""): _text_of(node, "name") for node in root.iterfind(f"{_tag('propertyDefinitions')}/*")
    }
    found: list[Found] = []
    left_out: defaultdict[str, int] = defaultdict(int)
    objects: dict[str, str] = {}
    for node in root.iterfind(f"{_tag('elements')}/{_tag('element')}"):
        own = _properties(node, definitions)
        type_ = node.get(_TYPE, "")
        if _OWN + "table" in own:
            made = list(_own_rows(own))
            objects[node.get("identifier", "")] = str(made[0].cells.get("id", ""))
            found.extend(made)
        elif type_ in _FOREIGN and _OWN + "word" not in own:
            cells = {"id": _made_id(node), "kind": _FOREIGN[type_].value, **_names(node)}
            objects[node.get("identifier", "")] = cells["id"]
            found.append(Found(table="objects", cells=cells, ours=False))
        elif _OWN + "word" not in own:
            left_out[type_] += 1
    for node in root.iterfind(f"{_tag('relationships')}/{_tag('relationship')}"):
        own = _properties(node, definitions)
        ends = [objects.get(node.get(end, ""), "") for end in ("source", "target")]
        if _OWN + "table" in own:
            found.extend(_own_rows(own))
        elif node.get(_TYPE) == "Flow" and all(ends):
            cells = {"id": _made_id(node), "provider_object": ends[0], "consumer_object": ends[1]}
            found.append(Found(table="integrations", cells=cells, ours=False))
    return found, tuple(f"{count} × {type_}" for type_, count in sorted(left_out.items()))


def _made_id(node: ET.Element) -> str:
    """The id of what another program's model has: always the same for the same identifier."""
    return f"am-{sha256(node.get('identifier', '').encode()).hexdigest()[:16]}"


def _object_element(writer: _Writer, register: Register, object_: DigitalObject) -> str:
    properties = _row_properties(object_)
    for kind, table in NAMES.items():
        held = sorted(register.of(kind, object_.id), key=lambda row: row.key)
        rows = [values_of(row) for row in held if not (isinstance(row, Integration) and _is_whole(register, row))]
        if rows:
            properties[f"{_OWN}rows.{table}"] = msgspec.json.encode(rows).decode()
    names = _by_language(object_, "name") or {"en": object_.id}
    type_ = _KINDS.get(object_.kind, _COMPONENT) if object_.kind else _COMPONENT
    return writer.element(type_, f"object {object_.id}", names, _by_language(object_, "purpose"), properties)


def _is_whole(register: Register, row: Integration) -> bool:
    """Whether it has two ends that are there: then it is a relationship, else a row of the one that is."""
    ends = {row.consumer_object, row.provider_object}
    return len(ends) == 2 and ends <= register.objects.keys()


def _actor(writer: _Writer, register: Register, body: Organisation) -> str:
    properties = _row_properties(body)
    groups = [values_of(row) for row in _sorted(register.all(Affiliation)) if row.supplier_bin == body.bin]
    if groups:
        properties[f"{_OWN}rows.affiliations"] = msgspec.json.encode(groups).decode()
    return writer.element("BusinessActor", body.bin, _by_language(body, "name") or {"en": body.bin}, None, properties)


def _relations(writer: _Writer, object_: DigitalObject, element: str, actors: Mapping[str, str]) -> None:
    passive = object_.kind in {ObjectKind.RESOURCE, ObjectKind.DATA_PRODUCT}
    for party in _PARTIES:
        if (actor := actors.get(getattr(object_, party) or "")) is not None:
            writer.relationship("Association", actor, element, party.removesuffix("_bin"))
    for type_, words in (("BusinessFunction", object_.functions), ("BusinessService", object_.public_services)):
        for word in words:
            served = writer.element(type_, word, {"en": word}, None, {_OWN + "word": word})
            writer.relationship("Association" if passive else "Serving", element, served)
    for word in object_.data_elements:
        held = writer.element("DataObject", f"word {word}", {"en": word}, None, {_OWN + "word": word})
        if passive:
            writer.relationship("Aggregation", element, held)
        else:
            writer.relationship("Access", element, held, accessType="ReadWrite")


def _integration(writer: _Writer, row: Integration, objects: Mapping[str, str]) -> None:
    source, target = objects.get(row.provider_object), objects.get(row.consumer_object)
    if source is None or target is None or source == target:
        return
    passive = any(writer.elements[end].get("xsi:type") == "DataObject" for end in (source, target))
    name = ", ".join(row.elements) or row.service
    writer.relationship("Association" if passive else "Flow", source, target, name, _row_properties(row))
    if row.service and not passive:
        service = writer.element(
            "ApplicationService", row.service, {"en": row.service}, None, {_OWN + "word": row.service}
        )
        writer.relationship("Realization", source, service)
        writer.relationship("Serving", service, target)


def _row_properties(row: Row) -> dict[str, str]:
    table = NAMES[type(row)]
    values = values_of(row)
    cells = {
        f"{_OWN}{name}": str(write_cell(values[name])) for name in columns_of(table) if values.get(name) is not None
    }
    return {f"{_OWN}table": table, **cells}


def _own_rows(own: Mapping[str, str]) -> Iterator[Found]:
    """The row that properties of ours tell, and the rows that belong to it."""
    table = own[_OWN + "table"]
    if table not in TABLES:
        raise Malformed("archimate.table", "the model names a table that is none", at="caller")
    cells = {name: own[_OWN + name] for name in columns_of(table) if _OWN + name in own}
    yield Found(table=table, cells=cells)
    for name, text in own.items():
        if not name.startswith(_OWN + "rows."):
            continue
        other = name.removeprefix(_OWN + "rows.")
        try:
            rows = msgspec.json.decode(text, type=list[dict[str, Any]])
        except (msgspec.DecodeError, RecursionError) as exc:
            raise Malformed("archimate.rows", "rows in a property are not JSON", at="caller") from exc
        if other not in TABLES:
            raise Malformed("archimate.table", "the model names a table that is none", at="caller")
        known = columns_of(other)
        for row in rows:
            # What came from outside is read again as a cell would be.
            yield Found(table=other, cells={name: write_cell(value) for name, value in row.items() if name in known})


def _organizations(root: ET.Element, writer: _Writer) -> None:
    if not writer.elements:
        return
    group = ET.SubElement(root, "organizations")
    for label, ids in writer.folders.items():
        folder = ET.SubElement(group, "item")
        ET.SubElement(folder, "label", {"xml:lang": "en"}).text = label
        for id_ in ids:
            ET.SubElement(folder, "item", {"identifierRef": id_})


def _definition(id_: str, name: str) -> ET.Element:
    made = ET.Element("propertyDefinition", {"identifier": id_, "type": "string"})
    ET.SubElement(made, "name", {"xml:lang": "en"}).text = name
    return made


def _group(root: ET.Element, tag: str, members: Iterable[ET.Element]) -> None:
    found = list(members)
    if found:
        ET.SubElement(root, tag).extend(found)


def _by_language(row: Row, stem: str) -> dict[str, str]:
    texts = {language: getattr(row, f"{stem}_{language}") for language in _LANGUAGES}
    return {language: text for language, text in texts.items() if text}


def _sorted(rows: Mapping[str, R]) -> list[R]:
    return [rows[key] for key in sorted(rows)]


def _id(kind: str, key: str) -> str:
    """An NCName that is the same for the same thing."""
    return f"id-{sha256(f'{kind}|{key}'.encode()).hexdigest()[:24]}"


def _clean(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return "".join(
        c for c in text if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff")
    )


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _tree(data: bytes) -> ET.Element:
    """The root of a model. A document type could name entities and other files: a file with one is not read."""
    if len(data) > MOST_BYTES:
        raise Malformed("archimate.large", f"the model has more than {MOST_BYTES // 1024**2} MiB", at="caller")
    if data.count(b"<") + data.count(b"=") > MOST_MARKS:
        raise Malformed("archimate.large", "the model has too many elements and attributes", at="caller")
    try:
        text = data.decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise Malformed("archimate.doctype", "a model with a document type is not read", at="caller")
        root = ET.fromstring(text.encode())  # noqa: S314 - without entities
    except (UnicodeDecodeError, ET.ParseError, ValueError, LookupError) as exc:
        raise Malformed("archimate.xml", "this is no XML in UTF-8", at="caller") from exc
    if root.tag != _tag("model"):
        raise Malformed("archimate.model", "this is no ArchiMate model of the exchange format 3", at="caller")
    return root


def _properties(node: ET.Element, definitions: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for given in node.iterfind(f"{_tag('properties')}/{_tag('property')}"):
        name = definitions.get(given.get("propertyDefinitionRef", ""), "")
        if name:
            found[name] = _text_of(given, "value")
    return found


def _text_of(node: ET.Element, tag: str) -> str:
    found = node.find(_tag(tag))
    return "" if found is None else (found.text or "")


def _names(node: ET.Element) -> dict[str, str]:
    """Names and purposes by language; one without a language is taken for Russian."""
    values: dict[str, str] = {}
    for tag, stem in (("name", "name"), ("documentation", "purpose")):
        for given in node.iterfind(_tag(tag)):
            language = (given.get(_LANG) or "ru")[:2].lower()
            if language in _LANGUAGES and given.text and given.text.strip():
                values.setdefault(f"{stem}_{language}", given.text.strip()[:20_000])
    return values
