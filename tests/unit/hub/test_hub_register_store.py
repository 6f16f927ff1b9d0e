"""The registry of digital objects: batches that are all or nothing, the history of every field, undoing."""

from __future__ import annotations

from pathlib import Path

import pytest

from databases import database_at
from qaztech.core.bin import reserved_bin
from qaztech.core.errors import Conflict, Malformed, NotFound
from qaztech.hub.register.columns import columns_of, read_cell, write_cell
from qaztech.hub.register.rows import Cost, DigitalObject, Status
from qaztech.hub.register.store import METADATA, Edit, ObjectStore
from qaztech.runtime.database import open_database

OWNER = reserved_bin(700)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """An empty registry."""
    return ObjectStore(open_database(database_at(tmp_path / "objects.db"), METADATA))


def system(**values: object) -> Edit:
    """A row of a system."""
    return Edit(table="objects", values={"id": "ds-1", **values})


def cost(year: int, tenge: int) -> Edit:
    """A year's support."""
    return Edit(table="costs", values={"object": "ds-1", "year": year, "kind": "support", "tenge": tenge})


def test_rows_are_kept_and_indexed(store: ObjectStore) -> None:
    """What is applied is in the registry, typed, and found by its object and its subsystem."""
    rows = [system(name_ru="Учёт", status="trial", subsystems=["KZ/GOV/1/a"]), cost(2025, 10), cost(2026, 12)]
    batch = store.apply(rows, by="person:a", source="test", at=5)
    register = store.register()
    assert batch is not None
    assert (batch.added, batch.changed, batch.removed) == (3, 0, 0)
    assert register.objects["ds-1"].status is Status.TRIAL
    assert [row.tenge for row in register.of(Cost, "ds-1")] == [10, 12]
    assert register.by_subsystem("KZ/GOV/1/a") == register.objects["ds-1"]
    assert store.register() is register


def test_the_history_of_every_field_is_kept(store: ObjectStore) -> None:
    """Who changed what, when, from what; a field not named stays."""
    store.apply([system(name_ru="Учёт", declared_users=5)], by="person:a", source="file one", at=1)
    store.apply([system(declared_users=40_000)], by="person:b", source="file two", at=2)
    (batch, change), *_ = store.history("objects", "ds-1")
    assert (batch.by, batch.at, batch.source) == ("person:b", 2, "file two")
    assert (change.field, change.before, change.after) == ("declared_users", 5, 40_000)
    assert store.register().objects["ds-1"].name_ru == "Учёт"
    assert [made.id for made in store.batches()] == [2, 1]


def test_a_batch_is_done_whole_or_not_at_all(store: ObjectStore) -> None:
    """One row that cannot be leaves the registry as it was."""
    store.apply([system(name_ru="Учёт")], by="a", source="s", at=1)
    with pytest.raises(Malformed):
        store.apply([system(name_ru="Другое"), cost(2026, -1)], by="a", source="s", at=2)
    with pytest.raises(NotFound):
        store.apply(
            [system(name_ru="Другое"), Edit(table="objects", values={"id": "x"}, remove=True)], by="a", source="s", at=2
        )
    assert store.register().objects["ds-1"].name_ru == "Учёт"
    assert len(store.batches()) == 1


def test_what_changes_nothing_is_no_batch(store: ObjectStore) -> None:
    """The same file imported again leaves no trace."""
    store.apply([system(name_ru="Учёт"), cost(2026, 5)], by="a", source="s", at=1)
    assert store.apply([system(name_ru="Учёт"), cost(2026, 5)], by="a", source="s", at=2) is None
    assert store.preview([system(name_ru="Учёт")]) == []


def test_a_batch_is_undone_once_and_not_over_later_changes(store: ObjectStore) -> None:
    """Undoing gives back what was; what changed since stands against it."""
    store.apply([system(name_ru="Учёт", declared_users=5)], by="a", source="s", at=1)
    store.apply([system(declared_users=9), cost(2026, 5)], by="a", source="s", at=2)
    store.undo(2, by="b", at=3)
    assert store.register().objects["ds-1"].declared_users == 5
    assert not store.register().all(Cost)
    with pytest.raises(Conflict):
        store.undo(2, by="b", at=4)
    store.apply([system(name_ru="Иное")], by="a", source="s", at=5)
    with pytest.raises(Conflict):
        store.undo(1, by="b", at=6)
    with pytest.raises(NotFound):
        store.undo(99, by="b", at=6)


def test_two_who_change_one_registry_are_told(store: ObjectStore) -> None:
    """A change made on an older view is refused."""
    version = store.register().version
    store.apply([system(name_ru="Учёт")], by="a", source="s", at=1)
    with pytest.raises(Conflict):
        store.apply([system(name_ru="Иное")], by="b", source="s", at=2, expected=version)


def test_a_row_is_removed_with_its_history(store: ObjectStore) -> None:
    """What is gone is known to have been."""
    store.apply([system(owner_bin=OWNER)], by="a", source="s", at=1)
    store.apply([Edit(table="objects", values={"id": "ds-1"}, remove=True)], by="a", source="s", at=2)
    assert not store.register().all(DigitalObject)
    assert {change.field for _, change in store.history("objects", "ds-1")} == {"id", "owner_bin"}


@pytest.mark.parametrize(
    ("table", "name", "cell", "value"),
    [
        ("objects", "created", "31.03.2026", "2026-03-31"),
        ("objects", "created", "2026-03-31", "2026-03-31"),
        ("objects", "created", "31/03/2026", "2026-03-31"),
        ("objects", "created", 46112, "2026-03-31"),
        ("objects", "declared_users", "40 000", 40_000),
        ("objects", "declared_users", 40_000.0, 40_000),
        ("objects", "initial_estimate", "1\u00a0200\u00a0000,00 ₸", 1_200_000),
        ("objects", "ai", "Иә", True),
        ("objects", "legal_basis", "a; b;a", ["a", "b"]),
        ("objects", "kato", "71", "710000000"),
        ("signals", "month", "03.2026", "2026-03"),
        ("objects", "status", "Security tests", "security_tests"),
    ],
)
def test_cells_are_read_in_many_forms(table: str, name: str, cell: object, value: object) -> None:
    """One meaning, however it is written."""
    column = columns_of(table)[name]
    assert read_cell(column, cell) == value
    assert read_cell(column, write_cell(value)) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "cell", "code"),
    [
        ("owner_bin", "123456789012", "cell.bin"),
        ("created", "31.02.2026", "cell.date"),
        ("created", "1026-01-01", "cell.date"),
        ("declared_users", "много", "cell.number"),
        ("initial_estimate", "-5", "cell.range"),
        ("declared_users", float("nan"), "cell.number"),
        ("ai", "может быть", "cell.yes-no"),
        ("status", "готово", "cell.choice"),
        ("id", "a|b", "cell.object"),
    ],
)
def test_what_a_cell_cannot_mean_is_refused(name: str, cell: object, code: str) -> None:
    """With a code, and words for what is expected."""
    with pytest.raises(Malformed) as caught:
        read_cell(columns_of("objects")[name], cell)
    assert caught.value.code == code
