"""Bringing a file to the registry of digital objects by the API: read, planned and taken as on the page, in one call.

Columns are as people decided for such a header, else as titles tell. Conflicts are for people: such rows
are wrong here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePath
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from qaztech.hub.detecting import today_in_kazakhstan
from qaztech.hub.register.importing import Problem, carry_out, make_plan, preview
from qaztech.hub.register.mapping import propose
from qaztech.hub.register.reading import read_file
from qaztech.hub.register.remembered import MappingStore
from qaztech.hub.register.sheets import MOST_FILE
from qaztech.hub.register.store import Batch, Change
from qaztech.hub.register.waiting import SUFFIXES
from qaztech.hub.register.workbook import refuse_empty
from qaztech.people.people import Person
from qaztech.web.hub_parts import HubParts

MOST_UPLOAD: Final = MOST_FILE + 1024
_MOST_CHANGES: Final = 10_000


class ImportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`name` of the file, whose ending says what it is. `dry_run`: change nothing. `take_good_rows`: leave wrong ones.

    `empty_cells`: an empty cell empties its field.
    """

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    dry_run: bool = False
    take_good_rows: bool = False
    empty_cells: bool = False


class ImportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was read: rows by table; how many are `wrong`, and why; what would change (a dry run); what was done.

    `refused`: there are wrong rows, and so nothing was changed. `unnamed` counts problems beyond those told.
    """

    version: int
    rows: dict[str, int]
    wrong: int
    refused: bool
    problems: list[Problem]
    unnamed: int
    changes: list[Change]
    batch: Batch | None


class Imports:
    """Takes files. Use it from any thread; the centre does from those for imports."""

    def __init__(self, parts: HubParts) -> None:
        self._parts = parts

    def take(self, person: Person, query: ImportQuery, data: bytes) -> ImportAnswer:
        """Read, plan, and do it. Raises as reading and planning do."""
        objects, now = self._parts.objects, self._parts.clock.now()
        name = PurePath(query.name.replace("\\", "/")).name
        suffix = PurePath(name).suffix.lower()
        with tempfile.TemporaryDirectory(prefix="qaztech-import-") as folder:
            # The name of a CSV file is the name of its sheet; the rest of a name given by others is not used.
            stem = "".join(c if c.isalnum() or c in " -_." else "_" for c in PurePath(name).stem)[:60] or "file"
            path = Path(folder) / f"{stem}{suffix if suffix in SUFFIXES else '.none'}"
            path.write_bytes(data)
            tables = read_file(path)
        refuse_empty(tables)
        plan = make_plan(
            tables, propose(tables, kept=MappingStore(objects.engine)), objects.register(),
            today=today_in_kazakhstan(self._parts.clock), empties=query.empty_cells,
        )  # fmt: skip
        refused = bool(plan.wrong) and not query.take_good_rows
        changes, batch = [], None
        if query.dry_run:
            changes = preview(objects, plan)[:_MOST_CHANGES]
        elif not refused:
            batch = carry_out(
                objects, plan, by=person.actor, source=f"import:{name}", at=now, take_good_rows=query.take_good_rows
            )
        return ImportAnswer(
            version=plan.version if batch is None else batch.id, rows=dict(plan.rows), wrong=len(plan.wrong),
            refused=refused, problems=list(plan.problems), unnamed=plan.unnamed, changes=changes, batch=batch,
        )  # fmt: skip
