"""Monthly sign-ins, counted by an identity provider and sent as an exchange: a second sign of use.

It tells whether people use a system whose use does not pass through the backbone. A member may send signals only where
the centre's settings name it as an identity provider. They become rows `signals` of the registry whose source is the
exchange, and the body is kept under the exchange's message id: a receipt proves who sent these bytes and when. Not
here: what follows from the numbers (`detectors`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from qaztech.core.errors import Conflict, Forbidden, Malformed, NotFound
from qaztech.core.ids import MemberId, SubsystemId
from qaztech.core.time import Clock
from qaztech.hub.register.rows import DigitalObject
from qaztech.hub.register.rows import Signal as SignalRow
from qaztech.hub.register.snapshot import Register
from qaztech.hub.register.store import Edit, ObjectStore
from qaztech.hub.traffic import DAY_BEGINS
from qaztech.registry.files import sync_directory, write_private

MOST_SIGNALS: Final = 10_000
MOST_BYTES: Final = 4 * 1024**2
_FIRST_MONTH: Final = "2000-01"
_MESSAGE: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Signal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sign-ins of one month: of an object by its id, or of one of its subsystems by its id on the backbone."""

    month: Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
    sign_ins: Annotated[int, Meta(ge=0, le=10**15)]
    object: Annotated[str, Meta(max_length=100)] = ""
    subsystem: Annotated[str, Meta(max_length=300)] = ""


class SignalsForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an identity provider sends. Sign-ins to several subsystems of one object add up; they come together."""

    signals: Annotated[list[Signal], Meta(min_length=1, max_length=MOST_SIGNALS)]


class SignalsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken: the exchange's message id, how many rows of the registry are new, how many are others now."""

    message: str
    added: int
    changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsFrom:
    """Who sends signals, and by which exchange: its message id."""

    sender: SubsystemId
    message: str


class Signals:
    """Takes signals into a registry. `directory` keeps what was sent; `providers` are members that may. Blocks."""

    def __init__(self, *, objects: ObjectStore, directory: Path, providers: Collection[MemberId], clock: Clock) -> None:
        self._objects = objects
        self._directory = directory
        self._providers = frozenset(providers)
        self._clock = clock

    def check_sender(self, sender: SubsystemId) -> None:
        """Raises `Forbidden` unless the sender's member may speak as an identity provider."""
        if sender.member not in self._providers:
            raise Forbidden(
                "signals.sender", "the centre does not know this member as an identity provider", at="caller"
            )

    def take(self, origin: SignalsFrom, body: bytes) -> SignalsAnswer:
        """Take all of them or none; the same again changes nothing.

        Raises `Forbidden` for who may not, `Malformed` for what is no such message, `NotFound` for a system that is
        not registered, `Conflict` for a month that another provider has counted.
        """
        self.check_sender(origin.sender)
        if not _MESSAGE.fullmatch(origin.message):
            raise Malformed("signals.message", "without an exchange's message id nothing is proven", at="caller")
        register = self._objects.register()
        counts = self._counts(register, _parsed(body))
        bin_ = origin.sender.member.code
        _check_others(register, counts, bin_)
        self._keep(origin.message, body)
        edits = [
            Edit(
                table="signals",
                values={"object": object_, "month": month, "sign_ins": sign_ins, "signed_by": bin_},
            )
            for (object_, month), sign_ins in counts.items()
        ]
        batch = self._objects.apply(
            edits, by=str(origin.sender), source=f"exchange:{origin.message}", at=self._clock.now(),
            seen=register.version,
        )  # fmt: skip
        return SignalsAnswer(
            message=origin.message, added=batch.added if batch else 0, changed=batch.changed if batch else 0
        )

    def _counts(self, register: Register, signals: Sequence[Signal]) -> dict[tuple[str, str], int]:
        """Sign-ins by object and month. Each subsystem counts once a month, or the object as a whole does."""
        this_month = datetime.fromtimestamp((self._clock.now() + DAY_BEGINS) / 1000, UTC).strftime("%Y-%m")
        counts: dict[tuple[str, str], int] = {}
        named: dict[tuple[str, str], set[str]] = {}
        for number, signal in enumerate(signals, 1):
            if not _FIRST_MONTH <= signal.month < this_month:
                raise Malformed("signals.month", f"signal {number}: a month that has ended", at="caller")
            place = (_object_of(register, signal, number).id, signal.month)
            others = named.setdefault(place, set())
            if signal.subsystem in others or "" in others or (others and not signal.subsystem):
                raise Malformed("signals.twice", f"signal {number}: counted already in this message", at="caller")
            others.add(signal.subsystem)
            counts[place] = counts.get(place, 0) + signal.sign_ins
        return counts

    def _keep(self, message: str, body: bytes) -> None:
        """Keep what was sent, before any number of it counts. What an exchange brought first stays."""
        path = self._directory / f"{message}.json"
        if path.exists():
            if path.read_bytes() != body:
                raise Conflict("signals.message", "that exchange brought other signals already", at="caller")
            return
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, body)
        sync_directory(self._directory)


def _parsed(body: bytes) -> Sequence[Signal]:
    if len(body) > MOST_BYTES:
        raise Malformed("signals.malformed", f"signals have at most {MOST_BYTES} bytes", at="caller")
    try:
        return msgspec.json.decode(body, type=SignalsForm).signals
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Malformed("signals.malformed", f"not the JSON expected: {str(exc)[:200]}", at="caller") from exc


def _object_of(register: Register, signal: Signal, number: int) -> DigitalObject:
    if bool(signal.object) == bool(signal.subsystem):
        raise Malformed("signals.malformed", f"signal {number}: an object or a subsystem", at="caller")
    found = register.objects.get(signal.object) if signal.object else register.by_subsystem(signal.subsystem)
    if found is None:
        named = (signal.object or signal.subsystem)[:100]
        raise NotFound("signals.object", f"signal {number}: nobody has registered {named!r}", at="caller")
    return found


def _check_others(register: Register, counts: Collection[tuple[str, str]], bin_: str) -> None:
    """Raises `Conflict` where another identity provider has counted one of these months."""
    held = register.all(SignalRow)
    for object_, month in counts:
        row = held.get(f"{object_}|{month}")
        if row is not None and row.signed_by not in {None, bin_}:
            raise Conflict(
                "signals.others", f"{object_}, {month}: another identity provider has counted it", at="caller"
            )
