"""The national sample: in three languages, the same for a day, whole, and nobody real in it."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from qaztech.core.bin import is_bin
from qaztech.hub.register.columns import row_of
from qaztech.hub.register.law import current_law
from qaztech.hub.register.lifecycle import violations
from qaztech.hub.register.rows import DigitalObject, Document, Organisation
from qaztech.hub.register.snapshot import Register
from qaztech.testing.national.life import DONE, ORDERS, Life
from qaztech.testing.national.members import CALLS, real_entries
from qaztech.testing.national.sample import Sample, national_sample

TODAY = date(2026, 11, 23)


@pytest.fixture(scope="module")
def sample() -> Sample:
    """The sample of one day."""
    return national_sample(TODAY)


@pytest.fixture(scope="module")
def register(sample: Sample) -> Register:
    """Its rows."""
    return Register(row_of(table, values) for table, values in sample.rows)


def test_the_sample_is_large_and_whole(sample: Sample, register: Register) -> None:
    """At least 300 systems of 40 bodies; names and purposes in three languages; every row has a key of its own."""
    owners = {object_.owner_bin for object_ in register.objects.values()}
    assert len(register.objects) >= 300
    assert len(owners) >= 40
    assert sum(1 for _ in register) == len(sample.rows)
    for object_ in register.objects.values():
        texts = [
            getattr(object_, f"{what}_{language}") for what in ("name", "purpose") for language in ("kk", "ru", "en")
        ]
        assert len(set(texts)) == 6
        assert all(texts)
    names = [object_.name_ru for object_ in register.objects.values()]
    assert len(set(names)) == len(names)


def test_nobody_real_is_in_it(register: Register) -> None:
    """Every BIN is valid and from a month that does not exist; every name says that it is made up."""
    for organisation in register.all(Organisation).values():
        assert is_bin(organisation.bin)
        assert organisation.bin.startswith("9913")
        assert organisation.name_kk.endswith("(үлгі)")
        assert organisation.name_ru.endswith("(пример)")
        assert organisation.name_en.endswith("(demo)")


def test_the_same_day_gives_the_same_sample_and_another_day_shifts_it(sample: Sample) -> None:
    """Dates move by whole days; nothing else does."""
    assert national_sample(TODAY) == sample
    later = national_sample(TODAY + timedelta(days=7))
    here, there = (
        [date.fromisoformat(values["date"]) for table, values in each.rows if table == "documents"]
        for each in (sample, later)
    )
    assert {other - one for one, other in zip(here, there, strict=True)} == {timedelta(days=7)}


def test_what_is_untouched_keeps_the_law(sample: Sample, register: Register) -> None:
    """No rule of the life cycle is broken by a system that nothing was planted in."""
    touched = {id_ for ids in sample.planted.values() for id_ in ids}
    healthy = [object_ for object_ in register.objects.values() if object_.id not in touched]
    law = current_law()
    assert len(healthy) > 200
    assert [found for object_ in healthy for found in violations(object_, register, law, TODAY)] == []
    assert all(register.of(Document, object_.id) for object_ in healthy)


def test_the_dozen_have_identities_on_the_backbone(register: Register) -> None:
    """Those that exchange for real are at least twelve, of three members, and are called or call."""
    real: list[DigitalObject] = list(register.objects.values())[: len(real_entries())]
    assert len(real) >= 12
    assert len({object_.owner_bin for object_ in real}) == 3
    assert all(object_.subsystems for object_ in real)
    words = {word for call in CALLS for word in (call.consumer, call.provider)}
    assert {entry["id"] for entry in real_entries()} - words == {"hotline"}


def test_life_makes_its_first_calls_once(tmp_path: Path) -> None:
    """Calls that fail are made later; a life that goes on knows what has been done."""
    nobody = "http://127.0.0.1:9/r1/x"
    orders = [{"client": "a", "url": nobody, "first": 1, "goes_on": False}]
    (tmp_path / ORDERS).write_text(json.dumps(orders))
    waited: list[float] = []
    assert Life(tmp_path, waited.append).step()
    assert waited == [2.0]
    (tmp_path / DONE).write_text(json.dumps({f"a {nobody}": 1}))
    assert not Life(tmp_path, waited.append).step()
