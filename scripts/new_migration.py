"""Write the next script of a set of tables from what differs between its scripts and its tables. Read it, then keep it.

python scripts/new_migration.py people "note where a session came from"
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine

from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.ai.register.store import METADATA as AI_REGISTER
from qaztech.hub.findings import METADATA as FINDINGS
from qaztech.hub.register.store import METADATA as OBJECTS
from qaztech.hub.store import METADATA
from qaztech.member.desk_work import CONSOLE
from qaztech.member.store import ACCESS
from qaztech.people.tables import PEOPLE
from qaztech.registry import enrolments
from qaztech.registry.applications import JOINING
from qaztech.registry.store import REGISTRY
from qaztech.runtime.migration import FOLDER, bring_up, revisions

assert enrolments  # its tables belong to JOINING
SETS: dict[str, MetaData] = {
    "registry": REGISTRY, "joining": JOINING, "people": PEOPLE, "access": ACCESS, "console": CONSOLE, "hub": METADATA,
    "objects": OBJECTS, "findings": FINDINGS, "ai_register": AI_REGISTER, "ai_gateway": AI_GATEWAY,
}  # fmt: skip


def main() -> int:
    """Write one file, or say that nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(SETS), help="the set of tables")
    parser.add_argument("what", help="what the change does, as a sentence")
    args = parser.parse_args()
    folder = FOLDER / args.name
    folder.mkdir(exist_ok=True)
    if not (folder / "__init__.py").exists():
        (folder / "__init__.py").write_text(f'"""The changes of the tables of `{args.name}`, in their order."""\n')
    known = revisions(folder)
    code = _difference(args.name, begun=bool(known))
    if code is None:
        print("nothing differs")
        return 0
    number = f"{len(known) + 1:04d}"
    path = folder / f"r{number}_{re.sub('[^a-z0-9]+', '_', args.what.lower()).strip('_')[:40]}.py"
    path.write_text(_script(args.what, number, known[-1] if known else None, code))
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", path], check=True)
    print(path)
    return 0


def _difference(name: str, *, begun: bool) -> str | None:
    tables = SETS[name]
    with create_engine("sqlite://").begin() as db:
        if begun:
            bring_up(db, tables, scripts_only=True)
        context = MigrationContext.configure(
            db, opts={"include_name": lambda found, kind, _: kind != "table" or found in tables.tables}
        )
        operations = produce_migrations(context, tables).upgrade_ops
        if operations is None or operations.is_empty():
            return None
        return render_python_code(operations, migration_context=context)


def _script(what: str, number: str, before: str | None, code: str) -> str:
    body = "\n".join(line for line in code.splitlines() if not line.lstrip().startswith("#"))
    return f'''"""{what[0].upper()}{what[1:].rstrip(".")}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = {f'"{before}"' if before else None}


def upgrade() -> None:
    """Change the tables."""
    {body.strip()}
'''


if __name__ == "__main__":
    sys.exit(main())
