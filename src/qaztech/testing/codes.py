"""The data behind the embedded country's real provider: the ISO code lists `pycountry` carries, as one SQLite file.

ISO 3166-1 and -2, 639-3, 4217 and 15924, with the Russian names and, for countries, the Kazakh names of its gettext
catalogues. The same lists always give the same bytes. Serving the file is Datasette's work (see `datasette`); what a
caller sees of it stands in `codes.openapi.yaml`. Needs the extra `demo`.
"""

from __future__ import annotations

import gettext
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

OPENAPI = Path(__file__).with_name("codes.openapi.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeList:
    """One table: a pycountry database, the gettext domain of its names, and the columns as (column, field) pairs.

    The first column is the key. A field of the form `name:kk` is the name in the catalogue of that language. Of
    subdivisions only a third have a Russian name, some of them no longer in use, so that table goes without.
    """

    name: str
    domain: str
    columns: Sequence[tuple[str, str]]
    constraints: str = ""


LISTS = (
    CodeList(
        name="countries",
        domain="iso3166-1",
        columns=(
            ("alpha_2", "alpha_2"),
            ("alpha_3", "alpha_3"),
            ("numeric", "numeric"),
            ("name_en", "name"),
            ("official_name", "official_name"),
            ("name_kk", "name:kk"),
            ("name_ru", "name:ru"),
            ("flag", "flag"),
        ),
        constraints=", UNIQUE (alpha_3), UNIQUE (numeric)",
    ),
    CodeList(
        name="currencies",
        domain="iso4217",
        columns=(("alpha_3", "alpha_3"), ("numeric", "numeric"), ("name_en", "name"), ("name_ru", "name:ru")),
    ),
    CodeList(
        name="languages",
        domain="iso639-3",
        columns=(
            ("alpha_3", "alpha_3"),
            ("alpha_2", "alpha_2"),
            ("scope", "scope"),
            ("type", "type"),
            ("name_en", "name"),
            ("name_ru", "name:ru"),
        ),
    ),
    CodeList(
        name="scripts",
        domain="iso15924",
        columns=(("alpha_4", "alpha_4"), ("numeric", "numeric"), ("name_en", "name"), ("name_ru", "name:ru")),
    ),
    CodeList(
        name="subdivisions",
        domain="iso3166-2",
        columns=(
            ("code", "code"),
            ("country_code", "country_code"),
            ("parent_code", "parent_code"),
            ("type", "type"),
            ("name", "name"),
        ),
        constraints=(
            ", FOREIGN KEY (country_code) REFERENCES countries (alpha_2)"
            ", FOREIGN KEY (parent_code) REFERENCES subdivisions (code)"
        ),
    ),
)


def build(path: Path) -> None:
    """Make the file, in place of one that may be there; nobody ever sees half of it."""
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        # If anything fails the draft is thrown away: no journal, and no waiting for the disk.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for each in LISTS:
            _fill(connection, each)
        connection.execute("COMMIT")
        connection.execute("VACUUM")
    draft.replace(path)


def rows(code_list: CodeList) -> list[tuple[str | None, ...]]:
    """The rows of a table, by key. What the lists do not say is None."""
    import pycountry  # noqa: PLC0415  # an extra, and slow to import; most commands only need to know where things are

    languages = {field[5:] for _, field in code_list.columns if field.startswith("name:")}
    catalogues = {
        language: gettext.translation(code_list.domain, pycountry.LOCALES_DIR, languages=[language])
        for language in languages
    }
    records: Iterable[Iterable[tuple[str, str | None]]] = getattr(pycountry, code_list.name)
    found = []
    for record in records:
        values = dict(record)
        name = values["name"] or ""
        for language, catalogue in catalogues.items():
            translated = catalogue.gettext(name)
            # A catalogue without the name gives it back as it is.
            values[f"name:{language}"] = None if translated == name else translated
        found.append(tuple(values.get(field) for _, field in code_list.columns))
    return sorted(found, key=lambda row: row[0] or "")


def _fill(connection: sqlite3.Connection, code_list: CodeList) -> None:
    """One table, and beside it the index that full-text search needs."""
    table = code_list.name
    columns = [column for column, _ in code_list.columns]
    names = [column for column in columns if "name" in column]
    # Nothing here comes from outside: tables and columns are those written above.
    definition = f"{columns[0]} TEXT PRIMARY KEY, {', '.join(f'{column} TEXT' for column in columns[1:])}"
    connection.execute(f"CREATE TABLE {table} ({definition}{code_list.constraints})")
    marks = ", ".join("?" * len(columns))
    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows(code_list))  # noqa: S608  # see above
    if "country_code" in columns:
        connection.execute(f"CREATE INDEX {table}_by_country ON {table} (country_code)")
    # Datasette finds the index of a table by `content="…"`, spelled with these quotes.
    connection.execute(f'CREATE VIRTUAL TABLE {table}_fts USING fts5({", ".join(names)}, content="{table}")')
    connection.execute(f"INSERT INTO {table}_fts ({table}_fts) VALUES ('rebuild')")  # noqa: S608  # see above
