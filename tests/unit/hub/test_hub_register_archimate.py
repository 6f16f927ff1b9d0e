"""The registry as an ArchiMate model: its form, and that it comes back as it went."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import date
from pathlib import Path

import pytest

from databases import database_at
from qaztech.core.bin import reserved_bin
from qaztech.core.errors import Malformed
from qaztech.hub.register.archimate import MOST_MARKS, NAMESPACE, read_model, write_model
from qaztech.hub.register.export import export
from qaztech.hub.register.importing import Plan, make_plan
from qaztech.hub.register.mapping import known, propose
from qaztech.hub.register.rows import Integration
from qaztech.hub.register.snapshot import Register
from qaztech.hub.register.store import METADATA, Edit, ObjectStore
from qaztech.hub.register.workbook import read_tables
from qaztech.runtime.database import open_database

BODY, SUPPLIER = reserved_bin(710), reserved_bin(711)
XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"
# The order of the children of a model, an element and a relationship (Model Exchange File Format 3.1, XSD).
ORDER = {
    "model": ["name", "elements", "relationships", "organizations", "propertyDefinitions"],
    "element": ["name", "documentation", "properties"],
    "relationship": ["name", "documentation", "properties"],
}
EDITS = [
    Edit(table="organisations", values={"bin": BODY, "class": "GOV", "name_kk": "Комитет", "name_ru": "Комитет"}),
    Edit(table="organisations", values={"bin": SUPPLIER, "kind": "supplier", "parent_bin": BODY}),
    Edit(table="affiliations", values={"supplier_bin": SUPPLIER, "group": "A & <b>"}),
    Edit(
        table="objects",
        values={
            "id": "ds-1", "kind": "digital_system", "name_kk": "Орман есебі", "name_ru": "Учёт леса",
            "purpose_en": "Forests", "owner_bin": BODY, "functions": ["F1", "F2"], "public_services": ["S1"],
            "data_elements": ["лес"], "created": "2020-02-03", "ai": False,
            "status": "operation", "declared_users": 40_000,
        },
    ),
    Edit(table="objects", values={"id": "ds-2", "kind": "platform", "name_ru": 'Платформа \u0001 "&'}),
    Edit(table="objects", values={"id": "ds-3", "kind": "digital_resource", "data_elements": ["лес"]}),
    Edit(table="costs", values={"object": "ds-1", "year": 2026, "kind": "support", "tenge": 12_000_000}),
    Edit(table="documents", values={"object": "ds-1", "type": "concept", "number": "7", "date": "2020-01-01"}),
    Edit(
        table="integrations",
        values={"id": "i-1", "provider_object": "ds-1", "consumer_object": "ds-2", "service": "KZ/GOV/1/a/s"},
    ),
    Edit(table="integrations", values={"id": "i-2", "provider_object": "ds-3", "consumer_object": "ds-1"}),
]  # fmt: skip


def registry(tmp_path: Path, edits: list[Edit], name: str = "one") -> Register:
    """A registry with these rows."""
    store = ObjectStore(open_database(database_at(tmp_path / f"{name}.db"), METADATA))
    store.apply(edits, by="a", source="s", at=1)
    return store.register()


def local(node: ET.Element) -> str:
    """The name of a node without its namespace, which is the format's."""
    assert node.tag.startswith(f"{{{NAMESPACE}}}")
    return node.tag.removeprefix(f"{{{NAMESPACE}}}")


def test_a_model_has_the_form_of_the_schema(tmp_path: Path) -> None:
    """Order of children, unique names of the right form, references that lead somewhere, types that exist."""
    root = ET.fromstring(write_model(registry(tmp_path, EDITS), name="Sample"))
    assert [local(child) for child in root] == ORDER["model"]
    ids = [node.get("identifier") for node in root.iter() if node.get("identifier")]
    assert len(ids) == len(set(ids))
    assert all(id_ and id_[0].isalpha() and id_.replace("-", "").isalnum() for id_ in ids)
    for node in root.iter():
        for attribute in ("source", "target", "propertyDefinitionRef", "identifierRef"):
            assert node.get(attribute) is None or node.get(attribute) in ids
        if local(node) in {"element", "relationship"}:
            places = [ORDER[local(node)].index(local(child)) for child in node]
            assert places == sorted(places)
            assert node.get(XSI)
        if local(node) == "element":
            assert local(node[0]) == "name"
    types = {node.get(XSI) for node in root.iter() if node.get(XSI)}
    assert types == {
        "BusinessActor", "ApplicationComponent", "Node", "DataObject", "BusinessFunction", "BusinessService",
        "ApplicationService", "Aggregation", "Association", "Serving", "Access", "Flow", "Realization",
    }  # fmt: skip


def test_a_model_of_ours_comes_back_as_it_went(tmp_path: Path) -> None:
    """Every row of every table; the characters that XML cannot hold are gone."""
    before = registry(tmp_path, EDITS)
    model = write_model(before, name="Sample")
    after = registry(tmp_path, list(read_model(model).edits), "two")
    expected = {(type(row), row.key): row for row in before}
    found = {(type(row), row.key): row for row in after}
    assert {place: row for place, row in found.items() if row != expected[place]}.keys() == {
        place for place, row in expected.items() if getattr(row, "id", "") == "ds-2"
    }
    assert found.keys() == expected.keys()
    assert write_model(after, name="Sample") == model


def test_a_model_made_elsewhere_gives_what_can_be_taken() -> None:
    """Components, flows and data objects; what has no place is counted."""
    model = f"""<model xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" identifier="m">
      <name>X</name><elements>
      <element identifier="a" xsi:type="ApplicationComponent"><name xml:lang="ru">Учёт</name>
        <documentation>Зачем</documentation></element>
      <element identifier="b" xsi:type="SystemSoftware"><name xml:lang="en">Engine</name></element>
      <element identifier="g" xsi:type="Goal"><name>Happiness</name></element></elements>
      <relationships><relationship identifier="f" source="a" target="b" xsi:type="Flow"/>
      <relationship identifier="x" source="g" target="b" xsi:type="Flow"/></relationships></model>"""
    taken = read_model(model.encode())
    assert [(edit.table, edit.values.get("name_ru"), edit.values.get("kind")) for edit in taken.edits] == [
        ("objects", "Учёт", "digital_system"),
        ("objects", None, "software"),
        ("integrations", None, None),
    ]
    assert taken.edits[0].values["purpose_ru"] == "Зачем"
    assert taken.left_out == ("1 × Goal",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<model/>",
        b"\xff\xfe<model/>",
        b'<!DOCTYPE m [<!ENTITY a "aaaa">]><m>&a;</m>',
        f'<model xmlns="{NAMESPACE}"><elements>'.encode(),
        '<?xml version="1.0" encoding="utf-16"?><model/>'.encode("utf-16"),
    ],
)
def test_what_is_no_model_is_refused(data: bytes) -> None:
    """Entities, other encodings and half a file too."""
    with pytest.raises(Malformed):
        read_model(data)


def test_a_model_of_too_many_parts_is_not_read() -> None:
    """However few bytes each of them has."""
    with pytest.raises(Malformed) as caught:
        read_model(b"<a/>" * (MOST_MARKS + 1))
    assert caught.value.code == "archimate.large"


def rows_told(register: Register, folder: Path, model: bytes) -> Plan:
    """The plan of importing a model, as of any other file."""
    path = folder / "model.xml"
    path.write_bytes(model)
    tables = read_tables(path, known)
    return make_plan(tables, propose(tables), register, today=date(2026, 11, 23))


def test_a_model_is_exported_and_imported_like_any_file(tmp_path: Path) -> None:
    """Into an empty registry it brings every row; into its own it changes nothing."""
    edits = [edit for edit in EDITS if "\u0001" not in str(edit.values.get("name_ru"))]
    edits.append(Edit(table="objects", values={"id": "ds-2", "kind": "platform", "name_ru": 'Платформа "&'}))
    before = registry(tmp_path, edits)
    export(before, tmp_path / "model.xml")
    plan = rows_told(Register([]), tmp_path, (tmp_path / "model.xml").read_bytes())
    assert plan.problems == ()
    assert plan.rows["objects"] == 3
    after = registry(tmp_path, list(plan.good), "two")
    assert {row.key for row in after} == {row.key for row in before}
    store = ObjectStore(open_database(database_at(tmp_path / "one.db"), METADATA))
    assert store.preview(rows_told(before, tmp_path, write_model(before, name="x")).good) == []


def test_a_wrong_cell_of_a_model_is_told_with_its_row(tmp_path: Path) -> None:
    """And the other rows could be taken."""
    model = write_model(registry(tmp_path, EDITS), name="x").replace(b">40000<", b">many<")
    plan = rows_told(Register([]), tmp_path, model)
    problem = next(problem for problem in plan.errors if problem.sheet == "objects")
    assert {each.code for each in plan.errors} == {problem.code, "object.left-out"}
    assert (problem.sheet, problem.row, problem.column, problem.code) == ("objects", 1, "declared_users", "cell.number")
    assert {edit.values.get("id") for edit in plan.good if edit.table == "objects"} == {"ds-2", "ds-3"}


def test_a_model_made_elsewhere_is_planned(tmp_path: Path) -> None:
    """What has no place in the registry is told as a warning."""
    model = f"""<model xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" identifier="m">
      <name>X</name><elements>
      <element identifier="a" xsi:type="ApplicationComponent"><name xml:lang="ru">=1+1</name></element>
      <element identifier="b" xsi:type="Node"><name xml:lang="en">Engine</name></element>
      <element identifier="g" xsi:type="Goal"><name>Happiness</name></element></elements>
      <relationships><relationship identifier="f" source="a" target="b" xsi:type="Flow"/></relationships></model>"""
    plan = rows_told(Register([]), tmp_path, model.encode())
    assert [(problem.code, problem.cell) for problem in plan.problems] == [("row.left-out", "1 × Goal")]
    after = registry(tmp_path, list(plan.good))
    assert sorted(row.name_ru or row.name_en for row in after.objects.values()) == ["=1+1", "Engine"]
    assert len(after.all(Integration)) == 1


def test_rows_that_are_no_relationship_come_back_too(tmp_path: Path) -> None:
    """An integration of a system with itself, and one whose other end nobody has registered."""
    rows = [
        Edit(table="objects", values={"id": "ds-1"}),
        Edit(table="integrations", values={"id": "i-1", "provider_object": "ds-1", "consumer_object": "ds-1"}),
        Edit(table="integrations", values={"id": "i-2", "provider_object": "ds-1", "consumer_object": "ds-9"}),
    ]
    before = registry(tmp_path, rows)
    after = registry(tmp_path, list(rows_told(Register([]), tmp_path, write_model(before, name="x")).good), "two")
    assert set(after.all(Integration)) == {"i-1", "i-2"}
