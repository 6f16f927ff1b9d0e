"""Loading the sample into a centre at its founding: rows as one batch, hours of calls, cards of AI systems."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine

from qaztech.core.time import Clock
from qaztech.hub.detecting import today_in_kazakhstan
from qaztech.hub.flows import Flows
from qaztech.hub.register.store import METADATA, Edit, ObjectStore
from qaztech.runtime.database import add_tables
from qaztech.testing.national.ai_cards import load_cards
from qaztech.testing.national.hours import LABEL, write_hours
from qaztech.testing.national.sample import SOURCE, national_sample


def load_sample(engine: Engine, flows: Path, clock: Clock, *, hours: bool = True) -> int:
    """Load the sample of today into a registry of digital objects; gives how many objects it has.

    `flows` is the centre's directory of flows. Without `hours` no calls are made up: they need DuckDB.
    """
    today = today_in_kazakhstan(clock)
    sample = national_sample(today)
    add_tables(engine, METADATA)
    edits = [Edit(table=table, values=values) for table, values in sample.rows]
    ObjectStore(engine).apply(edits, by=SOURCE, source=SOURCE, at=clock.now())
    load_cards(engine, sample, today)
    if hours:
        with TemporaryDirectory() as folder:
            made = Path(folder) / "hours.parquet"
            write_hours(made, sample.hourly, today)
            Flows(flows).take(made, now=clock.now(), label=LABEL)
    return sum(table == "objects" for table, _ in sample.rows)
