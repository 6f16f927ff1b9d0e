"""Putting the files of a day together: many small ones, as they were delivered, become one.

What is in a row proves itself by its record, so the bytes of a delivered file need not stay. A day can be put together
again when something of it came late.
"""

from __future__ import annotations

from hashlib import sha256

from qaztech.hub.store import OperationalStore
from qaztech.node.operational_manifest import date_of
from qaztech.node.operational_parquet import join_parts
from qaztech.node.operational_rows import day_of

# Days, counted back from today (UTC), whose files stay as they came; most of what is late comes within them.
LEFT_ALONE = 2


def compact_days(store: OperationalStore, now: int) -> int:
    """Put together what is old enough at `now` (milliseconds); gives how many days were.

    First what the time before has left goes: who read it then has long finished. Nothing may be delivered meanwhile.
    """
    store.tidy()
    until = date_of(max(0, day_of(now) - LEFT_ALONE))
    return sum(compact(store, date) > 1 for date in store.dates(until))


def compact(store: OperationalStore, date: str) -> int:
    """Put the files of a day (`YYYY-MM-DD`, UTC) together; gives how many they were.

    The old files stay on the disk until `OperationalStore.tidy`, for whoever reads them now. Raises `Conflict` where
    a delivery came in between; nothing is changed then, and it can be tried again.
    """
    olds = store.files(date, date)
    if len(olds) < 2:
        return len(olds)
    digest = sha256("\n".join(olds).encode()).hexdigest()
    name = f"date={date}/day-{digest[:20]}.parquet"
    join_parts([store.directory / old for old in olds], store.directory / name)
    store.replace_files(date, olds, name)
    return len(olds)
