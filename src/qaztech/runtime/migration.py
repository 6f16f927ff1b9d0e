"""Bringing the tables in a database to what this release expects, when it is opened and before anything else.

A set of tables that has scripts says so by its name (`tables_named`); the table `<name>_version` tells how far a
database has come. It all happens in the one transaction, under the one lock, in which the database is opened: two
processes that start at once do not meet in it, and a script that fails leaves the database as it was. An empty
database gets the newest tables at once; tests prove that the scripts lead to the same. A database that a newer release
has changed is left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select

from qaztech.core.errors import Conflict

FOLDER = Path(__file__).parent / "migrations"
_NAME = "migrations"
_SCRIPT = re.compile(r"r([0-9]{4})_[a-z0-9_]+\.py\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a set of tables in a database has come, and the versions that this release knows."""

    tables: str
    version: str
    known: tuple[str, ...]

    @property
    def is_newer(self) -> bool:
        """Whether a newer release has changed it: this one refuses it."""
        return self.version not in self.known

    @property
    def changes(self) -> bool:
        """Whether opening it changes it; the release before refuses it from then on."""
        return not self.is_newer and self.version != self.known[-1]


def tables_named(name: str) -> MetaData:
    """A set of tables whose scripts are in the folder `migrations/<name>`."""
    return MetaData(info={_NAME: name})


def bring_up(db: Connection, metadata: MetaData, *, folder: Path = FOLDER, scripts_only: bool = False) -> None:
    """Let the tables be there as this release has them. Run it in a transaction that keeps others out.

    `scripts_only` makes an empty database by its scripts too. Raises `Conflict` for a database of a newer release.
    """
    name = metadata.info.get(_NAME)
    if name is not None:
        _follow(db, metadata, folder / name, f"{name}_version", scripts_only=scripts_only)
    if not scripts_only:
        metadata.create_all(db)


def revisions(folder: Path) -> list[str]:
    """The numbers of a folder's scripts, in their order."""
    return sorted(match[1] for path in folder.iterdir() if (match := _SCRIPT.match(path.name)))


def _follow(db: Connection, metadata: MetaData, scripts: Path, version_table: str, *, scripts_only: bool) -> None:
    known = revisions(scripts)
    noted = _noted(version_table)
    present = set(inspect(db).get_table_names())
    if version_table in present:
        version = db.execute(select(noted)).scalar_one()
    elif present & metadata.tables.keys():
        version = known[0]  # made before versions were noted
        _note(db, noted, version)
    elif scripts_only:
        version = ""
    else:
        _note(db, noted, known[-1])
        return
    if version == known[-1]:
        return
    if version and version not in known:
        raise Conflict(
            "database.newer",
            f"a newer release has changed the database ({version_table} {version}, this one knows {known[-1]}): "
            "go on with that release, or restore the backup made before it",
            at="caller",
        )
    _upgrade(db, metadata, scripts, version_table)


def _noted(version_table: str) -> Table:
    return Table(version_table, MetaData(), Column("version_num", String(32), primary_key=True))  # alembic's form


def _note(db: Connection, noted: Table, version: str) -> None:
    noted.create(db)
    db.execute(insert(noted).values(version_num=version))


def _upgrade(db: Connection, metadata: MetaData, scripts: Path, version_table: str) -> None:
    from alembic.config import Config  # noqa: PLC0415  # imports that only an old database pays for
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    directory = ScriptDirectory(str(scripts), version_locations=[str(scripts)])

    def steps(version: Any, _: Any) -> Any:
        return directory._upgrade_revs("head", version)  # noqa: SLF001  # as alembic's own command does

    with EnvironmentContext(Config(), directory, fn=steps) as environment:
        environment.configure(connection=db, target_metadata=metadata, version_table=version_table)
        environment.run_migrations()


def standing(db: Connection, *, folder: Path = FOLDER) -> list[Standing]:
    """How far each set of tables in a database has come. Changes nothing."""
    present = set(inspect(db).get_table_names())
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and f"{path.name}_version" in present)
    return [
        Standing(
            tables=name,
            version=db.execute(select(_noted(f"{name}_version"))).scalar_one(),
            known=tuple(revisions(folder / name)),
        )
        for name in names
    ]
