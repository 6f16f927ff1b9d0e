"""Changes at a member's desk as the console makes them: noted, signed, brought to the registry, told to the node.

The act is noted before it counts, durable in the console's database, from where it goes to the admin log; one that
failed is noted as such. One change at a time, also beside the command line. What is signed and did not reach the
registry (it is away) stays at the desk, and `bring` takes it there later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Column, Engine, LargeBinary, String, Table, Text, select

from qaztech.core.errors import Conflict, Error, NotFound
from qaztech.core.time import Clock
from qaztech.people.actors import Actor, note_act
from qaztech.registry.desk import Desk, Submission
from qaztech.registry.member_file import MemberFile, verify_member_file
from qaztech.runtime.migration import tables_named

CONSOLE = tables_named("console")
WAIT_SECONDS = 10.0
_STEP = 0.05

state = Table(
    "console_state",
    CONSOLE,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

draft = Table(
    "console_draft",
    CONSOLE,
    Column("id", String(32), primary_key=True),
    Column("account", String(64), nullable=False, index=True),
    Column("created", BigInteger, nullable=False),
    Column("form", Text, nullable=False),
    Column("document", LargeBinary),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A change that is signed. `registry` and `node` are codes of what stands in the way there, None where nothing."""

    version: int
    registry: str | None = None
    node: str | None = None


class DeskWork:
    """One member's desk. Every method may block: call it from a thread."""

    def __init__(
        self,
        *,
        directory: Path,
        engine: Engine,
        submit: Callable[[Submission], None],
        tell: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.directory = directory
        self.engine = engine
        self.clock = clock
        self._submit = submit
        self._tell = tell
        self._one = threading.RLock()

    @property
    def exists(self) -> bool:
        """Whether there is a desk."""
        return (self.directory / "member.key").exists() and (self.directory / "member-file.json").exists()

    def file(self) -> MemberFile:
        """The newest signed member file. Raises `NotFound` where there is no desk yet."""
        try:
            data = (self.directory / "member-file.json").read_bytes()
        except FileNotFoundError as exc:
            raise NotFound("console.no-desk", "the organisation has no member key here yet", at="caller") from exc
        return verify_member_file(data)

    def reading(self) -> Desk:
        """The desk, only to be looked at."""
        if not self.exists:
            raise NotFound("console.no-desk", "the organisation has no member key here yet", at="caller")
        return Desk(self.directory, self.clock)

    @contextmanager
    def turn(self) -> Iterator[Desk]:
        """The desk while nobody else changes it; waits a little for who does. Raises `Conflict`."""
        if not self.exists:
            raise NotFound("console.no-desk", "the organisation has no member key here yet", at="caller")
        with self._one, ExitStack() as held:
            yield self._locked(held)

    def _locked(self, held: ExitStack) -> Desk:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return held.enter_context(Desk.locked(self.directory, self.clock))
            except Conflict as exc:
                if exc.code != "member.desk-in-use" or time.monotonic() > deadline:
                    raise
            time.sleep(_STEP)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else of this process changes the desk meanwhile."""
        with self._one:
            yield

    def change(  # each is a fact of the act
        self,
        by: Actor,
        work: Callable[[Desk], None],
        *,
        act: str,
        subject: str,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Note an act, make the next version of the file by it, bring it to the registry, tell the node."""
        with self.turn() as desk:
            self.note(by, act, subject, before, after)
            try:
                work(desk)
                submission = desk.submission()
            except Error as exc:
                self.note(by, f"{act}.failed", subject, None, {"code": exc.code})
                raise
            version = desk.statement.version
        return self._bring(submission, version)

    def bring(self) -> Outcome:
        """Bring the newest file to the registry, once more, and tell the node."""
        with self.turn() as desk:
            submission, version = desk.submission(), desk.statement.version
        return self._bring(submission, version)

    @property
    def brought(self) -> int:
        """The newest version that has reached the registry from here; 0 for none."""
        return int(self.recall("brought") or 0)

    @property
    def is_late(self) -> bool:
        """Whether a version made here has not reached the registry; one by command waits for its own command."""
        return int(self.recall("late") or 0) > self.brought

    def _bring(self, submission: Submission, version: int) -> Outcome:
        registry = _code(lambda: self._submit(submission))
        self.remember("brought" if registry is None else "late", str(version))
        return Outcome(version=version, registry=registry, node=self.tell())

    def send(self, submission: Submission) -> None:
        """Bring what another part has signed at this desk, and keep that it is there. Raises what stands in the way."""
        self._submit(submission)
        self.remember("brought", str(verify_member_file(submission.envelope).statement.version))

    def tell(self) -> str | None:
        """Let the node look at registry and settings at once; the code of what stands in the way."""
        return _code(self._tell)

    # Notes ----------------------------------------------------------------------------------------------------------

    def note(
        self,
        by: Actor,
        act: str,
        subject: str,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Note an act, on its way to the admin log."""
        with self.engine.begin() as db:
            note_act(db, by=by, when=self.clock.now(), act=act, subject=subject, before=before, after=after)

    def remember(self, name: str, value: str) -> None:
        """Keep a small fact."""
        with self.engine.begin() as db:
            if db.execute(state.update().where(state.c.name == name).values(value=value)).rowcount == 0:
                db.execute(state.insert().values(name=name, value=value))

    def recall(self, name: str) -> str | None:
        """A small fact."""
        with self.engine.begin() as db:
            found = db.execute(select(state.c.value).where(state.c.name == name)).scalar_one_or_none()
        return None if found is None else str(found)


def _code(act: Callable[[], None]) -> str | None:
    try:
        act()
    except Error as exc:
        return exc.code
    return None
