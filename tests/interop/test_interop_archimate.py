"""A model of the registry, read and written again by a library that is not ours."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from databases import database_at
from locked_environment import locked_python
from qaztech.core.bin import reserved_bin
from qaztech.hub.register.archimate import read_model, write_model
from qaztech.hub.register.store import METADATA, Edit, ObjectStore
from qaztech.runtime.database import open_database

HERE = Path(__file__).parent / "archimate"
BODY = reserved_bin(720)
EDITS = [
    Edit(table="organisations", values={"bin": BODY, "class": "GOV", "name_ru": "Комитет «Лес» & <парк>"}),
    *(
        Edit(
            table="objects",
            values={"id": f"ds-{n}", "kind": kind, "name_ru": f"Система {n}", "purpose_ru": "Учёт", "owner_bin": BODY},
        )
        for n, kind in enumerate(["digital_system", "platform", "software", "digital_system"])
    ),
    Edit(
        table="objects", values={"id": "ds-0", "functions": ["F1"], "data_elements": ["лес"], "declared_users": 40_000}
    ),
    Edit(table="costs", values={"object": "ds-0", "year": 2026, "kind": "support", "tenge": 12_000_000}),
    *(
        Edit(table="integrations", values={"id": f"i-{n}", "provider_object": "ds-0", "consumer_object": f"ds-{n}"})
        for n in (1, 2, 3)
    ),
]


def test_another_reader_finds_all_of_it_and_it_comes_back(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Elements, names, properties and relationships; written again by it, our reader finds every row."""
    python = locked_python(pytestconfig.cache, "archimate", HERE / "archimate.lock")
    store = ObjectStore(open_database(database_at(tmp_path / "one.db"), METADATA))
    store.apply(EDITS, by="a", source="s", at=1)
    model, again = tmp_path / "model.xml", tmp_path / "again.xml"
    model.write_bytes(write_model(store.register(), name="Registry"))
    done = subprocess.run([python, HERE / "reader.py", model, again], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert ["BusinessActor", "Комитет «Лес» & <парк>"] in [element[:2] for element in found["elements"]]
    (system,) = [element for element in found["elements"] if element[1] == "Система 0"]
    assert system[0] == "ApplicationComponent"
    assert system[2] == "Учёт"
    assert system[3]["qaztech.declared_users"] == "40000"
    flows = {(source, target) for type_, source, target, _ in found["relationships"] if type_ == "Flow"}
    assert flows == {("Система 0", f"Система {n}") for n in (1, 2, 3)}
    other = ObjectStore(open_database(database_at(tmp_path / "two.db"), METADATA))
    other.apply(read_model(again.read_bytes()).edits, by="a", source="s", at=1)
    assert sorted(map(repr, other.register())) == sorted(map(repr, store.register()))
