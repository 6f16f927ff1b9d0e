"""Carrying out decisions about access: the signed rights, the file of limits, and the node that is told of both.

Carrying out twice is as good as once. Rights given otherwise (by command) stay, unless a decision is about the same
endpoint; what was taken away otherwise stays away until the owner decides anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import msgspec

from qaztech.core.errors import Conflict, Error
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.time import Clock
from qaztech.member.access import Granted, end_of_day
from qaztech.member.store import AccessStore, Received
from qaztech.member.window import Window
from qaztech.registry.authoring import ServiceRights
from qaztech.registry.call_limits import CallLimit, CallLimits, format_limits
from qaztech.registry.desk import Desk, Submission
from qaztech.registry.files import replace_file
from qaztech.registry.member_file import verify_member_file
from qaztech.registry.rights_page import Right


class Granting:
    """How one member's decisions reach its rights and its node.

    `directory` is the member's desk; `submit` brings a change to the registry; `tell` makes the member's node look at
    registry and limits at once; `limits` is the file its node reads, None where it reads none; `given` says how often
    clients may call whose right nobody asked for.
    """

    def __init__(
        self,
        *,
        directory: Path,
        submit: Callable[[Submission], None],
        tell: Callable[[], None],
        limits: Path | None,
        clock: Clock,
        patience: float = 5.0,
        given: Callable[[], CallLimits] = dict,
    ) -> None:
        self._directory = directory
        self._submit = submit
        self._tell = tell
        self._limits = limits
        self._clock = clock
        self._given = given
        # Seconds to wait for another who changes the desk.
        self._patience = patience

    def has(self, service: ServiceId) -> bool:
        """Whether the member's file names that service."""
        file = verify_member_file((self._directory / "member-file.json").read_bytes())
        return any(line.id == str(service) for line in file.statement.services)

    def sign(self, store: AccessStore, waiting: Sequence[Received]) -> None:
        """Make the rights say what was decided, and bring them to the registry. Raises what stands in the way."""
        pairs = dict.fromkeys((one.request.service, one.request.client) for one in waiting)
        with ExitStack() as held:
            desk = self._locked(held)
            named = {line.id for line in desk.statement.services}
            for service_text, client in pairs:
                if service_text not in named:
                    continue  # the service is gone, and every right to it
                service = ServiceId.parse(service_text)
                now_decided = [one for one in waiting if one.request.client == client and _service(one) == service]
                others = [one for one in store.of_pair(service, client) if one not in now_decided]
                before = desk.rights(service)
                after = rights_after(before, now_decided, others, self._clock.now())
                if after != before:
                    desk.change_rights(service, lambda _, after=after: after)  # type: ignore[misc]
            submission = desk.submission()
        self._submit(submission)

    def _locked(self, held: ExitStack) -> Desk:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return held.enter_context(Desk.locked(self._directory, self._clock))
            except Conflict as exc:
                if exc.code != "member.desk-in-use" or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def limit(self, store: AccessStore, waiting: Sequence[Received]) -> str | None:
        """Write what limits there are, closing what is taken away but not signed yet, and tell the node.

        Gives the code of what stands in the way, if anything does.
        """
        limits: dict[tuple[ServiceId, SubsystemId], CallLimit] = dict(self._given())
        for one in store.approved():
            if one.granted is not None:
                limits[_pair(one)] = CallLimit(one.granted.calls_a_minute, one.granted.calls_a_day)
        for service, client in dict.fromkeys(map(_pair, waiting)):
            given = [one.granted for one in store.of_pair(service, client) if one.granted is not None]
            taken = _ever_given(one for one in waiting if _pair(one) == (service, client))
            closed = taken - {endpoint for granted in given for endpoint in granted.endpoints}
            if closed:
                limit = limits.get((service, client), CallLimit(None, None))
                limits[service, client] = limit._replace(closed=tuple(sorted(closed)))
        try:
            if self._limits is not None:
                timetable = Window(self._directory, self._clock).timetable()
                _write(self._limits, format_limits({k: v for k, v in limits.items() if any(v)}, timetable))
            self._tell()
        except Error as exc:
            return exc.code
        except OSError:
            return "access.limits-file"
        return None


def _pair(one: Received) -> tuple[ServiceId, SubsystemId]:
    return _service(one), SubsystemId.parse(one.request.client)


def _service(one: Received) -> ServiceId:
    return ServiceId.parse(one.request.service)


def _write(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        replace_file(path, data)


def _ever_given(decided: Iterable[Received]) -> set[str]:
    steps = (step.change.granted for one in decided for step in one.steps)
    return {endpoint for granted in steps if granted is not None for endpoint in granted.endpoints}


def rights_after(
    before: ServiceRights, decided: Sequence[Received], others: Iterable[Received], now: int
) -> ServiceRights:
    """The rights to a service once what was just decided on one client holds.

    Its rights by `others`, earlier requests that are still approved, stay if they are there: one that was taken away
    otherwise meanwhile does not come back. All else that names an endpoint of these decisions gives way to them; rights
    of other clients and of groups stay. What was given up to a day that is over by now is left out.
    """
    client = decided[0].request.client
    lasting = {_right(one.lineage, client, one.granted) for one in others if one.granted is not None}
    handled = _ever_given(decided)
    rights: list[Right] = []
    for right in before.rights:
        kept = right.endpoints
        if right.client == client and right not in lasting:
            kept = tuple(endpoint for endpoint in kept if endpoint not in handled)
        if kept:
            rights.append(right if kept == right.endpoints else msgspec.structs.replace(right, endpoints=kept))
    rights += [_right(one.lineage, client, one.granted) for one in decided if one.granted is not None]
    wanted = dict.fromkeys(r for r in rights if r.client != client or r.until is None or r.until > now)
    return before if wanted.keys() == set(before.rights) else replace(before, rights=tuple(wanted))


def _right(lineage: str, client: str, granted: Granted) -> Right:
    until = None if granted.until is None else end_of_day(granted.until)
    return Right(client=client, group=None, lineage=lineage, endpoints=granted.endpoints, until=until)
