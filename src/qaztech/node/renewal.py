"""Renewing a node's log: the old one is closed for good, and one with keys of its own begins that names it.

For a log that was restored from a backup or copied, whose disk is damaged, or whose key may be known to others. The
node does not run meanwhile. Every step is durable before the next begins and is found done when all is run again:

    1. the old log is closed: what witnesses have seen of it last is in its file `closed`
    2. `renewal/` gets that, new keys, and the new log, whose first entry names the old one
    3. keys and log go to `closed/<id>/`, then those of `renewal/` take their place; the keys first, then last, so that
       no node starts in between
    4. the member file says the same (`registry.desk`), and the registry hears of it

Here are the first three; the fourth is for whoever has the member key.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qaztech.core.errors import Conflict, Halt, Malformed
from qaztech.core.ids import NodeId
from qaztech.core.time import Clock
from qaztech.evidence.last_seen import LastSeen, check_enough, contradiction
from qaztech.evidence.log import Log
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.state import CLOSED, IDENTITY, ClosedLog, close_origin, read_closed, read_identity
from qaztech.evidence.storage import OsStorage
from qaztech.evidence.view import LogView
from qaztech.registry.files import replace_file, sync_directory
from qaztech.registry.key_files import LOG_HYBRID, LOG_KEY, LogKeys, create_log_keys, load_log_keys
from qaztech.registry.node_identity import NODE_FILE, NodeIdentity

LOG, RENEWAL, CLOSED_LOGS, PEERS = "log", "renewal", "closed", "peers.json"
CONTINUES = b"qaztech-log-continues 1\n"
Ask = Callable[[VerifierKey], LastSeen]
"""What the witnesses have seen of the log with this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Whether a log must be renewed, and why: `begun` and `done` are of a renewal before this one."""

    state: Literal["must", "may", "begun", "done"]
    why: str
    origin: str
    seen: LastSeen | None = None


class Renewal:
    """The renewal of one node's log, in the node's folder."""

    def __init__(
        self, directory: Path, node: NodeId, clock: Clock, *, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self._directory = directory
        self._tell = tell
        self._node = node
        self._clock = clock
        self._storage = OsStorage()
        self._log = directory / LOG
        self._renewal = directory / RENEWAL

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the node from starting, and another renewal out. Raises `Conflict` while one of them runs."""
        locks: list[int] = []
        try:
            locks += (self._storage.lock(path) for path in (self._directory, self._log) if path.exists())
            yield
        except BlockingIOError as exc:
            raise Conflict("log.in-use", "the node runs, or another renewal does; stop it first", at="log") from exc
        finally:
            for lock in locks:
                self._storage.close(lock)

    def need(self, ask: Ask) -> Need:
        """Whether there is a reason to renew the log. Raises `Unavailable` where the witnesses do not say."""
        if (self._renewal / CLOSED).exists():
            return Need(state="begun", why="a renewal was begun", origin=self._read_begun().origin)
        identity = read_identity(self._storage, self._log)
        if identity is None:
            raise Conflict("log.missing", f"there is no log in {self._directory}; the node makes one when it starts")
        origin = identity.key.name
        closed = read_closed(self._storage, self._log)
        if closed is not None:
            return Need(state="must", why=f"it is closed: {closed.reason}", origin=origin)
        seen = ask(identity.key)
        try:
            with LogView.open_read_only(self._log, storage=self._storage) as log:
                why = contradiction(log, seen)
                fresh = continues(log) is not None and log.size == 1
        except Halt as exc:
            return Need(state="must", why=exc.detail, origin=origin, seen=seen)
        if why:
            return Need(state="must", why=why, origin=origin, seen=seen)
        if fresh:
            return Need(state="done", why="it has just begun", origin=origin)
        check_enough(seen)
        return Need(state="may", why="witnesses have seen nothing that it does not hold", origin=origin, seen=seen)

    def run(self, need: Need, reason: str, witnessed: tuple[int, bytes] | None = None) -> ClosedLog:
        """Close the log and put the new one in its place. `witnessed` is size and root, else what was asked counts."""
        if need.state == "done":
            return self.before()
        self._tell(f"closing {need.origin}")
        closed = self._read_begun() if need.state == "begun" else self._close(need, reason, witnessed)
        self._tell(f"its last witnessed size is {closed.size}")
        self._renewal.mkdir(exist_ok=True, mode=0o700)
        replace_file(self._renewal / CLOSED, closed.format())
        self._begin(closed)
        self._swap(closed)
        return closed

    def keys(self) -> LogKeys:
        """The keys of the log as it is now."""
        return load_log_keys(self._directory, self._node.member.instance)

    def before(self) -> ClosedLog:
        """The closed log that the present one continues. Raises `Conflict` where it continues none."""
        with LogView.open_read_only(self._log, storage=self._storage) as log:
            origin = continues(log)
        if origin is not None:
            closed = read_closed(self._storage, self._closed(origin) / LOG)
            if closed is not None:
                return closed
        raise Conflict("log.first", f"the log in {self._directory} continues none that is here", at="log")

    # Steps -----------------------------------------------------------------------------------------------------------

    def _close(self, need: Need, reason: str, witnessed: tuple[int, bytes] | None) -> ClosedLog:
        closed = read_closed(self._storage, self._log)
        if closed is not None:
            return closed
        if witnessed is None:
            if need.seen is None:
                raise Conflict("log.not-closed", "it is not known what witnesses have seen of the log", at="log")
            check_enough(need.seen)
            witnessed = need.seen.checkpoint.size, need.seen.checkpoint.root
        return close_origin(self._log, storage=self._storage, reason=reason, size=witnessed[0], root=witnessed[1])

    def _begin(self, closed: ClosedLog) -> None:
        """New keys and the new log, in `renewal/`, unless they are in place already."""
        if self._in_place(closed):
            return
        hybrid = any((folder / LOG_HYBRID).exists() for folder in (self._directory, self._closed(closed.origin)))
        self._tell("new keys")
        keys = create_log_keys(self._renewal, self._node.member.instance, hybrid=hybrid)
        self._tell(f"new log {keys.origin}")
        log = self._renewal / LOG
        if not (log / IDENTITY).exists():
            shutil.rmtree(log, ignore_errors=True)  # what a crash left of one that never was
            Log.create(
                log, storage=self._storage, key=keys.key, origin=keys.origin, clock=self._clock, continues=closed
            ).close()

    def _swap(self, closed: ClosedLog) -> None:
        old = self._closed(closed.origin)
        old.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in (LOG_KEY, LOG_HYBRID, LOG):
            if not (old / name).exists():
                self._move(self._directory / name, old / name)
        for name in (LOG, LOG_HYBRID, LOG_KEY):
            self._move(self._renewal / name, self._directory / name)
        self._tell("in its place")
        self._tidy(closed)
        self._tell("done")
        (self._renewal / CLOSED).unlink()
        self._renewal.rmdir()
        sync_directory(self._directory)

    def _move(self, source: Path, target: Path) -> None:
        if source.exists():
            self._tell(f"{source.relative_to(self._directory)} becomes {target.relative_to(self._directory)}")
            source.rename(target)
            sync_directory(target.parent)
            sync_directory(source.parent)

    def _tidy(self, closed: ClosedLog) -> None:
        """What else in the node's folder speaks of the old log."""
        if (self._directory / NODE_FILE).exists():
            node = NodeIdentity.read(self._directory)
            renewed = NodeIdentity.of(self._directory, node.id, node.address, continues=closed)
            replace_file(self._directory / NODE_FILE, renewed.format())
        # The heads of peers stay known; how many notes they were read from was the old log's.
        peers = self._directory / PEERS
        if peers.exists():
            known = json.loads(peers.read_text())
            replace_file(peers, json.dumps({**known, "notes": 0}).encode())

    def _in_place(self, closed: ClosedLog) -> bool:
        """Whether the new log has left `renewal/` already."""
        identity = read_identity(self._storage, self._log)
        return identity is not None and identity.key.name != closed.origin

    def _closed(self, origin: str) -> Path:
        return self._directory / CLOSED_LOGS / origin.rpartition("/")[2]

    def _read_begun(self) -> ClosedLog:
        closed = read_closed(self._storage, self._renewal)
        if closed is None:
            raise Malformed("log.malformed", f"{self._renewal} holds half a renewal", at="log")
        return closed


def continues(log: LogView) -> str | None:
    """The origin of the log that this one continues, by its first entry; None where it continues none."""
    if log.size == 0:
        return None
    first = log.read(0)
    if any(first.message) or not first.data.startswith(CONTINUES):
        return None
    return first.data.decode().split("\n")[1].removeprefix("origin ")
