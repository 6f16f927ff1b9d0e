"""Putting the files of a day together: many small ones, as they were delivered, become one.

What is in a row proves itself by its record, so the bytes of a delivered file need not stay. A day can be put together
again when something of it came late.
"""

from __future__ import annotations

from hashlib import sha256

from qaztech.hub.store import OperationalStore
from qaztech.node.operational_parquet import join_parts


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
