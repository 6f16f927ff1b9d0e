"""What a member takes with it from a node: the exchanges it was party to, as this node's logs know them.

A receipt is made by the node when it is asked for one; here is only of which messages. Reads the logs beside a running
node, closed ones included, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from qaztech.core.errors import Error
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.core.record import Record, parse_record
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.view import LogView
from qaztech.node.renewal import CLOSED_LOGS, LOG


def logs_in(directory: Path) -> list[Path]:
    """The log folders of a node, closed ones first."""
    closed = sorted(path / LOG for path in (directory / CLOSED_LOGS).glob("*") if (path / LOG).is_dir())
    return [*closed, directory / LOG]


def messages_of(directory: Path, member: MemberId) -> Iterator[str]:
    """The id of every message that a member of this node sent or was sent, once each, as they stand in the logs."""
    seen: set[str] = set()
    for folder in logs_in(directory):
        with LogView.open_read_only(folder, storage=OsStorage()) as log:
            for index in range(log.size):
                record = _record(log.read(index).data)
                if record is None or record["message"] in seen or member not in _parties(record):
                    continue
                seen.add(record["message"])
                yield record["message"]


def _record(data: bytes) -> Record | None:
    try:
        return parse_record(data)
    except Error:
        return None  # the entry by which a log names the one before


def _parties(record: Record) -> tuple[MemberId, MemberId]:
    client, service = SubsystemId.parse(record["client"]), ServiceId.parse(record["service"])
    return client.member, service.subsystem.member
