"""`qaztech hub import`, `export`, `undo` and `history`: the registry of digital objects from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from qaztech.cli.options import add_action, add_yes, confirm, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qaztech.cli.verbs import Verbs
    from qaztech.hub.register.importing import Plan, Problem
    from qaztech.hub.register.store import Batch, Change, ObjectStore

_SHOWN = 50


def add_actions(actions: Verbs) -> list[argparse.ArgumentParser]:
    """Add what is done with the registry of digital objects."""
    bring = add_action(
        actions, "import", "bring a register of digital objects from a file", _import,
        more="FILE is .xlsx, .xls, .ods, .csv, a .zip or a folder of CSV files, or an ArchiMate "
        "model (.xml). One wrong row and nothing is changed.",
    )  # fmt: skip
    bring.add_argument("file", type=Path, metavar="FILE", help="the file or folder")
    bring.add_argument("--mapping", type=Path, metavar="M", help="which column is which, as JSON")
    bring.add_argument("--show-mapping", action="store_true", help="print the mapping, to be edited, and do nothing")
    bring.add_argument("--dry-run", action="store_true", help="show what would change and change nothing")
    bring.add_argument(
        "--take-good-rows", action="store_true", help="take the rows without errors, leave out the others"
    )
    bring.add_argument("--left-out", type=Path, metavar="OUT", help="write the rows left out to this .xlsx or .zip")
    bring.add_argument("--empty-cells", action="store_true", help="an empty cell empties the field")
    bring.add_argument(
        "--decide", action="append", default=[], metavar="SHEET:ROW=WORD",
        help="what a record is that another is there for: skip (leave it out), new or same; may be repeated",
    )  # fmt: skip
    send = add_action(actions, "export", "write the registry of digital objects to a file", _export)
    send.add_argument(
        "file", type=Path, metavar="FILE", help="an .xlsx, a .zip of CSV files, or an ArchiMate model as .xml"
    )
    send.add_argument("--archimate", action="store_true", help="write an ArchiMate model, whatever the file is called")
    send.add_argument(
        "--language", choices=("own", "kk", "ru", "en"), default="own", help="of titles and words (own: our own names)"
    )
    undo = add_action(actions, "undo", "take back a change of the registry of digital objects", _undo)
    undo.add_argument("batch", type=int, metavar="N", help="the change, as `history` numbers it")
    add_yes(undo)
    history = add_action(actions, "history", "show the changes of the registry of digital objects", _history)
    history.add_argument("--limit", type=int, default=20, metavar="N", help="how many, the newest first (20)")
    return [bring, send, undo, history]


@contextmanager
def _opened(args: argparse.Namespace) -> Iterator[tuple[ObjectStore, Any]]:
    from qaztech.compose.hub import open_objects  # noqa: PLC0415  # each process imports only what it runs

    store, engine = open_objects(args.settings)
    try:
        yield store, engine
    finally:
        engine.dispose()


def _import(args: argparse.Namespace) -> int:
    from qaztech.core.time import SystemClock  # noqa: PLC0415
    from qaztech.hub.register.importing import carry_out, decision_of, left_out, make_plan, preview  # noqa: PLC0415
    from qaztech.hub.register.mapping import mapping_json, propose, read_mapping  # noqa: PLC0415
    from qaztech.hub.register.reading import read_file  # noqa: PLC0415
    from qaztech.hub.register.remembered import MappingStore  # noqa: PLC0415
    from qaztech.hub.register.workbook import refuse_empty  # noqa: PLC0415
    from qaztech.people.actors import COMMAND_LINE  # noqa: PLC0415

    decisions = dict(decision_of(text) for text in args.decide)
    given = read_mapping(args.mapping) if args.mapping is not None else None
    tables = read_file(args.file)
    refuse_empty(tables)
    now = SystemClock().now()
    with _opened(args) as (store, engine):
        mapping = propose(tables, given=given, kept=MappingStore(engine))
        if args.show_mapping:
            print(mapping_json(mapping).decode())
            return 0
        plan = make_plan(
            tables, mapping, store.register(), today=datetime.fromtimestamp(now / 1000, UTC).date(),
            decisions=decisions, empties=args.empty_cells, progress=None if args.json else _progress,
        )  # fmt: skip
        if args.left_out is not None and plan.wrong:
            _write(left_out(tables, plan), args.left_out)
        refused = bool(plan.wrong) and not args.take_good_rows
        changes = preview(store, plan) if args.dry_run else []
        batch = None
        if not args.dry_run and not refused:
            batch = carry_out(
                store, plan, by=COMMAND_LINE, source=f"import:{args.file.name}", at=now,
                take_good_rows=args.take_good_rows,
            )  # fmt: skip
    tell(args, _facts(args, plan, changes, batch), _lines(args, plan, changes, batch))
    return 1 if refused else 0


def _progress(done: int, total: int) -> None:
    if total >= 10_000 and (sys.stderr.isatty() or done == total or done % 50_000 == 0):
        sys.stderr.write(f"\rread {done} of {total} rows{'' if done < total else chr(10)}")
        sys.stderr.flush()


def _write(sheets: Sequence[Any], path: Path) -> None:
    from qaztech.hub.register.export import write_csv_zip, write_xlsx  # noqa: PLC0415

    (write_xlsx if path.suffix.lower() == ".xlsx" else write_csv_zip)(sheets, path)


def _facts(args: argparse.Namespace, plan: Plan, changes: Sequence[Change], batch: Batch | None) -> dict[str, Any]:
    from qaztech.hub.register.importing import fields_told  # noqa: PLC0415

    return {
        "rows": dict(plan.rows),
        "wrong": len(plan.wrong),
        "problems": [msgspec.to_builtins(problem) for problem in plan.problems],
        "unnamed": plan.unnamed,
        "dry_run": args.dry_run,
        "fields": fields_told(changes) if args.dry_run else None,
        "changes": [_change(change) for change in changes[:10_000]],
        "batch": None if batch is None else _batch(batch),
    }


def _lines(args: argparse.Namespace, plan: Plan, changes: Sequence[Change], batch: Batch | None) -> list[str]:
    from qaztech.hub.register.importing import fields_told  # noqa: PLC0415

    lines = [f"{count:>8} rows of {table}" for table, count in plan.rows.items()] or [
        "no sheet is known: see --mapping"
    ]
    lines += [_problem(problem) for problem in plan.problems[:_SHOWN]]
    if len(plan.problems) + plan.unnamed > _SHOWN:
        lines.append(f"and {len(plan.problems) + plan.unnamed - _SHOWN} more problems (--json shows more)")
    if args.dry_run:
        lines += [f"  {c.table} {c.key} {c.field}: {_short(c.before)} -> {_short(c.after)}" for c in changes[:_SHOWN]]
        told = fields_told(changes)
        lines.append(
            f"fields added {told['added']}, changed {told['changed']}, removed {told['removed']}; nothing done"
        )
    if plan.wrong and not args.take_good_rows:
        lines.append(f"{len(plan.wrong)} rows cannot be taken: nothing was changed (--take-good-rows takes the others)")
    elif batch is not None:
        lines.append(
            f"change {batch.id}: rows added {batch.added}, changed {batch.changed}, left out {len(plan.wrong)}"
        )
    elif not args.dry_run:
        lines.append("nothing is new: nothing was changed")
    return lines


def _problem(problem: Problem) -> str:
    where = f"{problem.sheet}:{problem.row}" + (f" [{problem.column}]" if problem.column else "")
    cell = f" here: {problem.cell!r}" if problem.cell else ""
    expected = f" expected: {problem.expected}" if problem.expected else ""
    other = f" other record: {problem.other}" if problem.other else ""
    return f"{'warning' if problem.warning else 'error'}  {where}  {problem.code}{expected}{cell}{other}"


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _change(change: Change) -> dict[str, Any]:
    names = ("table", "key", "field", "before", "after")
    return {name: getattr(change, name) for name in names}


def _batch(batch: Batch) -> dict[str, Any]:
    return {name: getattr(batch, name) for name in batch.__slots__}


def _export(args: argparse.Namespace) -> int:
    from qaztech.hub.register.archimate import write_model  # noqa: PLC0415
    from qaztech.hub.register.export import MODEL_NAME, export  # noqa: PLC0415

    with _opened(args) as (store, _):
        register = store.register()
    if args.archimate:
        args.file.write_bytes(write_model(register, name=MODEL_NAME))
    else:
        export(register, args.file, args.language)
    rows = sum(1 for _ in register)
    return tell(args, {"rows": rows, "version": register.version}, [f"{rows} rows written to {args.file}"])


def _undo(args: argparse.Namespace) -> int:
    from qaztech.core.time import SystemClock  # noqa: PLC0415
    from qaztech.people.actors import COMMAND_LINE  # noqa: PLC0415

    confirm(args, f"Change {args.batch} of the registry of digital objects is taken back.")
    with _opened(args) as (store, _):
        batch = store.undo(args.batch, by=COMMAND_LINE, at=SystemClock().now())
    return tell(args, {"batch": _batch(batch)}, [f"taken back by change {batch.id}"])


def _history(args: argparse.Namespace) -> int:
    with _opened(args) as (store, _):
        batches = store.batches(limit=args.limit)
    lines = [
        f"{each.id:>6}  {datetime.fromtimestamp(each.at / 1000, UTC):%Y-%m-%d %H:%M}  +{each.added} ~{each.changed}"
        f" -{each.removed}  {each.by}  {each.source}{f'  (undone by {each.undone_by})' if each.undone_by else ''}"
        for each in batches
    ]
    return tell(args, {"batches": [_batch(each) for each in batches]}, lines or ["nothing has changed yet"])
