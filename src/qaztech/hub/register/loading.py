"""A register read from somebody's tables into memory, without a database: to judge it, or to measure detectors by it.

Read as an import would be, with titles and forms as bodies write them; rows that an import would refuse are left out
and told. Nothing is kept. Not here: importing for good (`importing`).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import NamedTuple

from qaztech.hub.register.columns import row_of
from qaztech.hub.register.importing import Plan, make_plan
from qaztech.hub.register.mapping import propose
from qaztech.hub.register.reading import read_file
from qaztech.hub.register.snapshot import Register
from qaztech.hub.register.workbook import refuse_empty


class Loaded(NamedTuple):
    """The register of the good rows, and what the import would say."""

    register: Register
    plan: Plan


def load_register(path: Path, today: date) -> Loaded:
    """The register in a workbook, an archive or a folder of tables.

    Raises `Malformed` for what cannot be read or is too large, `NotFound` for no such file.
    """
    tables = read_file(path)
    refuse_empty(tables)
    plan = make_plan(tables, propose(tables), Register([]), today=today)
    return Loaded(Register(row_of(edit.table, edit.values) for edit in plan.good if not edit.remove), plan)
