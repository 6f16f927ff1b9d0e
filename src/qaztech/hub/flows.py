"""Hours of traffic and the flows made of them: who called which service how often, how steadily, when last.

Two sources are one table: the exchanges that nodes delivered, counted by hour once a day of theirs stands still, and
files of hours that somebody brings (`qaztech hub traffic`), which are checked as a whole and kept under their digest.
Of an hour of a flow that both have, the delivered one counts, for it is signed; whichever came first.
DuckDB does the counting (extra `traffic`). Not here: what the counts mean (`observation`, `detectors`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fcntl import LOCK_EX, flock
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, Final

from qaztech.core.errors import Conflict, Malformed, NotFound
from qaztech.hub.flow_sums import hours_in, members_in, parquet, read_sums, shared_hours, shut, traffic_of, write_sums
from qaztech.hub.observation import NOTHING_SEEN, Traffic
from qaztech.hub.store import OperationalStore
from qaztech.hub.summary import member_of
from qaztech.hub.traffic import EXCHANGES
from qaztech.node.operational_parquet import engine, quoted

COLUMNS: Final = {
    "hour": "TIMESTAMP",
    "client": "VARCHAR",
    "service": "VARCHAR",
    "calls": "BIGINT",
    "failed": "BIGINT",
    "bytes": "BIGINT",
}
# Bytes of a file that is brought, and rows in it.
MOST_BYTES: Final = 2 * 1024**3
MOST_ROWS: Final = 100_000_000
_DAY_MS: Final = 86_400_000
# How far an answer may stand from its request, in days of the partitions.
_AROUND: Final = timedelta(days=1)
_FIRST_DAY: Final = "2020-01-01"
_CLIENT: Final = "[^/]+/[^/]+/[^/]+/[^/]+"
_SERVICE: Final = _CLIENT + "/[^/]+"


@dataclass(frozen=True, slots=True, kw_only=True)
class HourFile:
    """A file of hours that was brought: its digest (SHA-256 of what was given, hex), rows, first and last day.

    `ignored` names columns of it that are not ours; `label` is what it was brought as. Of its rows the
    `superseded` ones do not count: nodes have delivered the exchanges of these hours.
    """

    digest: str
    rows: int
    since: date
    until: date
    ignored: tuple[str, ...] = ()
    label: str = ""
    superseded: int = 0


class Flows:
    """Hours of traffic under a directory. `deliveries` is the centre's store of what nodes delivered, if it has one."""

    def __init__(self, directory: Path, deliveries: OperationalStore | None = None) -> None:
        self._brought = directory / "brought"
        self._counted = directory / "counted"
        self._sums = directory / "sums"
        self._deliveries = deliveries
        self._newest: tuple[tuple[Path | str, ...], Traffic] | None = None
        # Of each file that was brought its days, and with which delivered days it was compared to what end.
        self._days: dict[Path, tuple[date, date]] = {}
        self._compared: dict[Path, tuple[Sequence[Path], bool]] = {}

    def take(self, file: Path, *, now: int, label: str = "") -> HourFile:
        """Keep the hours of a Parquet file, labelled if that is wished; the same file again changes nothing.

        Raises `Malformed` for one that is no such file or has a row that cannot be, `Conflict` where it counts an hour
        of a flow that another such file has counted. Nothing is kept then. `now` in milliseconds since 1970.
        """
        if file.stat().st_size > MOST_BYTES:
            raise Malformed("traffic.large", f"the file has more than {MOST_BYTES // 1024**3} GiB", at="caller")
        with file.open("rb") as opened:
            digest = file_digest(opened, "sha256").hexdigest()
        kept = self._brought / f"{digest}.parquet"
        self._brought.mkdir(parents=True, exist_ok=True)
        made = kept.with_suffix(".new")
        try:
            with shut([file, made, kept, *self._given()]) as db:
                ignored = _checked(db, file, now)
                if not kept.exists():
                    self._refuse_overlap(db)
                    db.execute(
                        f"COPY (SELECT * FROM given ORDER BY service, client, hour) "  # noqa: S608 - our own path
                        f"TO {quoted(made)} (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{label: {quoted(label)}}})"
                    )
                    made.replace(kept)
        finally:
            made.unlink(missing_ok=True)
        return replace(next(each for each in self.brought() if each.digest == digest), ignored=ignored)

    def remove(self, digest: str) -> HourFile:
        """Forget a file that was brought; gives what it was. Raises `NotFound` for none such."""
        found = next((each for each in self.brought() if each.digest == digest), None)
        if found is None:
            raise NotFound("traffic.file", "no such file of hours was brought", at="caller")
        (self._brought / f"{digest}.parquet").unlink(missing_ok=True)
        return found

    def brought(self) -> list[HourFile]:
        """The files that were brought, by their digest."""
        given = self._given()
        if not given:
            return []
        counted = self._count()
        with self._summing():
            sums = self._sum_up(counted, given)
            counts = {path: hours_in(sums[path]) for path in given}
        with shut(given) as db:
            return [_described(db, path, counts[path]) for path in given]

    def traffic(self) -> Traffic:
        """All flows that are known. Counts what is new first, and remembers what it found until something is new."""
        counted, given = self._count(), self._given()
        senders = self._deliveries.senders() if self._deliveries is not None else {}
        known: tuple[Path | str, ...] = (*counted, *given, *senders)
        if self._newest is None or self._newest[0] != known:
            with self._summing():
                sums = self._sum_up(counted, given)
                watched = self._watched(sums, counted, given, senders)
                self._newest = (known, read_sums(list(sums.values()), watched))
        return self._newest[1]

    def _watched(
        self, sums: Mapping[Path, Path], counted: Sequence[Path], given: Sequence[Path], senders: Mapping[str, int]
    ) -> dict[str, date]:
        """Since when what members exchange is known: since they deliver, or are first in what others delivered.

        A file that somebody brought has of all its members all of its time.
        """
        found = [members_in([sums[path] for path in counted])]
        for path in given:
            members = members_in([sums[path]])
            found.append(dict.fromkeys(members, min(members.values(), default=date.max)))
        epoch = date(1970, 1, 1).toordinal()
        found.append({member_of(each): date.fromordinal(epoch + at // _DAY_MS) for each, at in senders.items()})
        watched: dict[str, date] = {}
        for each in found:
            for member, day in each.items():
                watched[member] = min(day, watched.get(member, day))
        return watched

    @contextmanager
    def _summing(self) -> Iterator[None]:
        """While this lasts no other process makes or removes sums."""
        self._sums.mkdir(parents=True, exist_ok=True)
        with (self._sums / "lock").open("ab") as lock:
            flock(lock, LOCK_EX)
            yield

    def _sum_up(self, counted: Sequence[Path], given: Sequence[Path]) -> dict[Path, Path]:
        """The sums of these files, made where they are not there; others are removed."""
        less = {file: self._superseding(file, counted) for file in given}
        found = {file: self._sums / _sums_name(file, less.get(file, ())) for file in (*counted, *given)}
        for file, sums in found.items():
            if not sums.exists():
                write_sums(file, sums, without=less.get(file, ()))
        for old in set(self._sums.glob("*.parquet")) - set(found.values()):
            old.unlink(missing_ok=True)
        return found

    def _superseding(self, file: Path, counted: Sequence[Path]) -> Sequence[Path]:
        """The delivered days of which a file that was brought has hours too; none where no flow has the same hour."""
        if file not in self._days:
            with shut([file]) as db:
                self._days[file] = _days_of(db, file)[1:]
        since, until = self._days[file]
        near = [path for path in counted if since <= _day_of(path) <= until]
        compared = self._compared.get(file)
        if compared is None or compared[0] != near:
            shared = bool(near) and shared_hours(file, near, _day_of(near[0]), _day_of(near[-1])) > 0
            compared = self._compared[file] = (near, shared)
        return near if compared[1] else ()

    def _given(self) -> list[Path]:
        return sorted(self._brought.glob("*.parquet"))

    def _refuse_overlap(self, db: Any) -> None:
        held = self._given()
        if not held:
            return
        query = f"""SELECT count(*), min(client), min(service) FROM given
            SEMI JOIN read_parquet([{", ".join(map(quoted, held))}]) USING (hour, client, service)"""  # noqa: S608
        count, client, service = db.execute(query).fetchone()
        if count:
            raise Conflict(
                "traffic.counted", f"{count} hours of it are counted already, as of {client} to {service}", at="caller"
            )

    def _count(self) -> list[Path]:
        """The files of hours of the days that were delivered, made where they are not there as they should be."""
        if self._deliveries is None:
            return []
        self._counted.mkdir(parents=True, exist_ok=True)
        with (self._counted / "lock").open("ab") as lock:  # pages and a run of detectors count in two processes
            flock(lock, LOCK_EX)
            return self._count_days()

    def _count_days(self) -> list[Path]:
        if self._deliveries is None:
            return []
        current = [path for day in self._deliveries.days() if (path := self._count_day(date.fromisoformat(day)))]
        for old in set(self._counted.glob("*.parquet")) - set(current):
            old.unlink(missing_ok=True)
        return current

    def _count_day(self, day: date) -> Path | None:
        if self._deliveries is None:
            return None
        names = self._deliveries.files((day - _AROUND).isoformat(), (day + _AROUND).isoformat())
        digest = sha256("\n".join(names).encode()).hexdigest()[:20]
        path = self._counted / f"{day.isoformat()}-{digest}.parquet"
        if path.exists():
            return path
        made = path.with_suffix(".new")
        sources = [self._deliveries.directory / name for name in names]
        since = (day.toordinal() - date(1970, 1, 1).toordinal()) * _DAY_MS
        try:
            with shut([*sources, made]) as db:
                db.execute(f"CREATE VIEW rows AS SELECT * FROM {parquet(sources)}")  # noqa: S608 - our own paths
                db.execute(
                    "CREATE TEMP TABLE counted AS " + EXCHANGES + _BY_HOUR, [since, since + _DAY_MS, True, "", ""]
                )
                db.execute(f"COPY counted TO {quoted(made)} (FORMAT parquet, COMPRESSION zstd)")
            made.replace(path)
        finally:
            made.unlink(missing_ok=True)
        return path


def read_flows(files: Sequence[Path]) -> Traffic:
    """The flows of files of hours. Raises `Unavailable` where one cannot be read, or DuckDB is not installed."""
    if not files:
        return NOTHING_SEEN
    with shut(files) as db:
        db.execute(f"CREATE VIEW hours AS {_HOURS.format(files=parquet(files))}")
        return traffic_of(db, span=_SPAN, months=_MONTHS, flows=_FLOWS)


def _checked(db: Any, file: Path, now: int) -> tuple[str, ...]:
    """Let the table `given` hold the rows of a file, if all of them can be; gives the columns that are not ours."""
    duckdb = engine()
    try:
        described = db.execute(f"DESCRIBE SELECT * FROM {parquet([file])}").fetchall()  # noqa: S608 - quoted
    except duckdb.Error as exc:
        raise Malformed("traffic.parquet", "this is no Parquet file that can be read", at="caller") from exc
    there = {str(name): str(type_) for name, type_, *_ in described}
    if missing := [name for name in COLUMNS if name not in there]:
        raise Malformed("traffic.columns", f"columns are missing: {', '.join(missing)}", at="caller")
    if there["hour"] not in {"TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP_S"}:
        raise Malformed("traffic.columns", "the column hour has to be a timestamp in UTC", at="caller")
    cells = ", ".join(f'CAST("{name}" AS {type_}) AS "{name}"' for name, type_ in COLUMNS.items())
    try:
        (count,) = db.execute(f"SELECT count(*) FROM {parquet([file])}").fetchone()  # noqa: S608 - quoted
        if not 0 < count <= MOST_ROWS:
            raise Malformed("traffic.rows", f"between one and {MOST_ROWS:,} rows", at="caller")
        db.execute(f"CREATE VIEW given AS SELECT {cells} FROM {parquet([file])}")  # noqa: S608 - quoted
        (bad,) = db.execute(_IMPOSSIBLE, [now]).fetchone()
        (twice,) = db.execute(_TWICE).fetchone()
    except (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.BinderException) as exc:
        raise Malformed("traffic.types", "a column holds what it cannot mean", at="caller") from exc
    if bad:
        raise Malformed(
            "traffic.values",
            f"{bad} rows cannot be: an id that is none, a number below zero, more failed than called, a time to come",
            at="caller",
        )
    if twice:
        raise Malformed("traffic.twice", f"{twice} hours of a flow are given twice", at="caller")
    return tuple(name for name in there if name not in COLUMNS)


def _sums_name(file: Path, less: Sequence[Path]) -> str:
    """Under which name the sums of a file are, less the hours of others: another name where those are others."""
    if not less:
        return file.name
    return f"{file.stem}-{sha256(chr(10).join(path.name for path in less).encode()).hexdigest()[:20]}.parquet"


def _day_of(counted: Path) -> date:
    """The day that a file of delivered hours is of."""
    return date.fromisoformat(counted.name[: len(_FIRST_DAY)])


def _days_of(db: Any, path: Path) -> tuple[int, date, date]:
    """How many rows a file has, and its first and last day."""
    query = f"SELECT count(*), min(hour)::DATE, max(hour)::DATE FROM {parquet([path])}"  # noqa: S608 - quoted
    rows, since, until = db.execute(query).fetchone()
    return rows, since, until


def _described(db: Any, path: Path, counts: int) -> HourFile:
    """`counts`: how many of its hours do."""
    rows, since, until = _days_of(db, path)
    told = db.execute(f"SELECT decode(value) FROM parquet_kv_metadata({quoted(path)}) WHERE key = 'label'").fetchone()  # noqa: S608
    return HourFile(
        digest=path.stem, rows=rows, since=since, until=until, label=told[0] if told else "", superseded=rows - counts
    )


_POSSIBLE: Final = f"""
    hour >= TIMESTAMP '{_FIRST_DAY}' AND hour <= make_timestamp(? * 1000) AND hour = date_trunc('hour', hour)
    AND calls > 0 AND failed >= 0 AND failed <= calls AND calls < 1e12 AND bytes >= 0 AND bytes < 1e18
    AND length(client) <= 500 AND length(service) <= 500
    AND regexp_full_match(client, '{_CLIENT}') AND regexp_full_match(service, '{_SERVICE}')
"""
_IMPOSSIBLE: Final = f"SELECT count(*) FROM given WHERE NOT coalesce({_POSSIBLE}, false)"  # noqa: S608 - our own words
_TWICE: Final = "SELECT count(*) FROM (SELECT 1 FROM given GROUP BY hour, client, service HAVING count(*) > 1)"
_BY_HOUR: Final = """
    SELECT date_trunc('hour', make_timestamp(time * 1000)) AS hour, client, service, count(*) AS calls,
        count(*) FILTER (NOT coalesce(outcome = 'answered' AND status < 400, false)) AS failed,
        (coalesce(sum(request_size), 0) + coalesce(sum(response_size), 0))::BIGINT AS bytes
    FROM seen WHERE client IS NOT NULL AND service IS NOT NULL GROUP BY ALL
"""
_HOURS: Final = """
    SELECT hour, client, service,
        sum(calls)::BIGINT AS calls, sum(failed)::BIGINT AS failed, sum(bytes)::BIGINT AS bytes
    FROM {files} GROUP BY ALL
"""
_SPAN: Final = "SELECT min(hour)::DATE, max(hour)::DATE FROM hours"
_MONTHS: Final = """
    SELECT client, service, strftime(hour, '%Y-%m') AS month, sum(calls)::BIGINT FROM hours GROUP BY ALL ORDER BY ALL
"""
_FLOWS: Final = """
    WITH steps AS (
        SELECT client, service, date_diff('hour', lag(hour) OVER of_flow, hour) AS gap
        FROM hours WINDOW of_flow AS (PARTITION BY client, service ORDER BY hour)
    ), gaps AS (
        SELECT client, service, gap, count(*) AS n FROM steps WHERE gap IS NOT NULL GROUP BY ALL
    ), steady AS (
        SELECT client, service, max(n) / sum(n) AS regularity FROM gaps GROUP BY ALL
    ), sums AS (
        SELECT client, service, sum(calls)::BIGINT AS calls, sum(failed)::BIGINT AS failed, sum(bytes)::BIGINT AS size,
            min(hour)::DATE AS first, max(hour)::DATE AS last, count(DISTINCT hour::DATE) AS days, count(*) AS hours,
            stddev_pop(calls) / avg(calls) AS variation
        FROM hours GROUP BY ALL
    )
    SELECT client, service, calls, failed, size, first, last, days, hours, regularity, variation
    FROM sums LEFT JOIN steady USING (client, service) ORDER BY client, service
"""
