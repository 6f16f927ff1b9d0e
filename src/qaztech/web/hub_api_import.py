"""Bringing a file to the registry of digital objects by the API: read, planned and taken as on the page, in one call.

Columns are as people decided for such a header, else as titles tell. The body is the file, or a form with the file and
what was decided on conflicts, which a dry run tells; a row with a conflict on which nothing was decided is wrong.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta
from starlette.datastructures import UploadFile
from starlette.requests import Request

from qaztech.core.errors import Malformed
from qaztech.hub.detecting import today_in_kazakhstan
from qaztech.hub.register.identify import Decision
from qaztech.hub.register.importing import Place, Problem, carry_out, make_plan, preview
from qaztech.hub.register.mapping import propose
from qaztech.hub.register.reading import read_file
from qaztech.hub.register.remembered import MappingStore
from qaztech.hub.register.sheets import MOST_FILE
from qaztech.hub.register.store import Batch, Change
from qaztech.hub.register.waiting import SUFFIXES
from qaztech.hub.register.workbook import refuse_empty
from qaztech.people.people import Person
from qaztech.web.hub_parts import HubParts

# The form around a file, and the decisions in it, take some bytes too.
MOST_UPLOAD: Final = MOST_FILE + 2 * 1024**2
_MOST_CHANGES: Final = 10_000


class ImportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`name` of the file, whose ending says what it is. `dry_run`: change nothing. `take_good_rows`: leave wrong ones.

    `empty_cells`: an empty cell empties its field.
    """

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    dry_run: bool = False
    take_good_rows: bool = False
    empty_cells: bool = False


class RowDecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was decided on a row that speaks of a system that another record is there for.

    `sheet` and `row` as a problem names them; `skip` leaves the row out, `new` says that it is another system, `same`
    that it is the same.
    """

    sheet: Annotated[str, Meta(max_length=200)]
    row: Annotated[int, Meta(ge=0, le=10_000_000)]
    decision: Decision


class Brought(NamedTuple):
    """A body as it came: the file, and what was decided on its rows."""

    data: bytes
    decisions: Mapping[Place, Decision]


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


async def read_brought(request: Request) -> Brought:
    """The body of a request: a file as it is, or a form. Raises `Malformed` for a form without a file, or another."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return Brought(await request.body(), {})
    try:
        form = await request.form(max_files=1, max_fields=1)
        if form.keys() - {"file", "decisions"} or len(form.multi_items()) != len(form):
            raise Malformed("form.malformed", "a form has a file and decisions, each once", at="caller")
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Malformed("form.malformed", "a form needs a file", at="caller")
        return Brought(await file.read(), decisions_in(form.get("decisions", "[]")))
    finally:
        await request.close()


def decisions_in(text: object) -> dict[Place, Decision]:
    """Decisions as JSON has them. Raises `Malformed`, also for two on one row."""
    wrong = Malformed("import.decision", "decisions are a list of sheet, row and decision, one for a row", at="caller")
    try:
        told = msgspec.json.decode(text if isinstance(text, str) else "", type=list[RowDecision])
    except msgspec.MsgspecError:
        raise wrong from None
    found = {(each.sheet, each.row): each.decision for each in told}
    if len(found) != len(told):
        raise wrong
    return found


class Imports:
    """Takes files. Use it from any thread; the centre does from those for imports."""

    def __init__(self, parts: HubParts) -> None:
        self._parts = parts

    def take(self, person: Person, query: ImportQuery, brought: Brought) -> ImportAnswer:
        """Read, plan, and do it. Raises as reading and planning do."""
        objects, now = self._parts.objects, self._parts.clock.now()
        name = PurePath(query.name.replace("\\", "/")).name
        suffix = PurePath(name).suffix.lower()
        with tempfile.TemporaryDirectory(prefix="qaztech-import-") as folder:
            # The name of a CSV file is the name of its sheet; the rest of a name given by others is not used.
            stem = "".join(c if c.isalnum() or c in " -_." else "_" for c in PurePath(name).stem)[:60] or "file"
            path = Path(folder) / f"{stem}{suffix if suffix in SUFFIXES else '.none'}"
            path.write_bytes(brought.data)
            tables = read_file(path)
        refuse_empty(tables)
        plan = make_plan(
            tables, propose(tables, kept=MappingStore(objects.engine)), objects.register(),
            today=today_in_kazakhstan(self._parts.clock), decisions=brought.decisions, empties=query.empty_cells,
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
