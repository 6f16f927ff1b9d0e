"""Carrying out decisions about access: the signed rights, the file of limits, and the node that is told of both.

Rights are made from all decisions on one client and one service, so carrying out twice is as good as once. Rights given
otherwise (by command) stay, unless a request was about the same endpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from qaztech.core.errors import Conflict, Error
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.time import Clock
from qaztech.member.access import Granted, end_of_day
from qaztech.member.store import AccessStore, Received
from qaztech.registry.authoring import ServiceRights
from qaztech.registry.call_limits import CallLimit, format_limits
from qaztech.registry.desk import Desk, Submission
from qaztech.registry.files import replace_file
from qaztech.registry.member_file import verify_member_file
from qaztech.registry.rights_page import Right


class Granting:
    """How one member's decisions reach its rights and its node.

    `directory` is the member's desk; `submit` brings a change to the registry; `tell` makes the member's node look at
    registry and limits at once; `limits` is the file its node reads, None where it reads none.
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
    ) -> None:
        self._directory = directory
        self._submit = submit
        self._tell = tell
        self._limits = limits
        self._clock = clock
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
                decided = store.of_pair(service, client)
                before = desk.rights(service)
                after = rights_after(before, client, decided, self._clock.now())
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
        limits: dict[tuple[ServiceId, SubsystemId], CallLimit] = {}
        for one in store.approved():
            if one.granted is not None:
                limits[_pair(one)] = CallLimit(one.granted.calls_a_minute, one.granted.calls_a_day)
        for service, client in dict.fromkeys(map(_pair, waiting)):
            decided = store.of_pair(service, client)
            closed = _ever_given(decided) - {e for one in decided if one.granted for e in one.granted.endpoints}
            if closed:
                limit = limits.get((service, client), CallLimit(None, None))
                limits[service, client] = limit._replace(closed=tuple(sorted(closed)))
        try:
            if self._limits is not None:
                _write(self._limits, format_limits({k: v for k, v in limits.items() if any(v)}))
            self._tell()
        except Error as exc:
            return exc.code
        except OSError:
            return "access.limits-file"
        return None


def _pair(one: Received) -> tuple[ServiceId, SubsystemId]:
    return ServiceId.parse(one.request.service), SubsystemId.parse(one.request.client)


def _write(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        replace_file(path, data)


def _ever_given(decided: Iterable[Received]) -> set[str]:
    steps = (step.change.granted for one in decided for step in one.steps)
    return {endpoint for granted in steps if granted is not None for endpoint in granted.endpoints}


def rights_after(before: ServiceRights, client: str, decided: Iterable[Received], now: int) -> ServiceRights:
    """The rights to a service once everything decided on one client holds; rights of others and of groups stay.

    What was given up to a day that is over by now is left out.
    """
    decided = list(decided)
    handled = _ever_given(decided)
    rights: list[Right] = []
    for right in before.rights:
        kept = tuple(e for e in right.endpoints if right.client != client or e not in handled)
        if kept:
            rights.append(right if kept == right.endpoints else _with_endpoints(right, kept))
    given = [_right(client, one.lineage, one.granted) for one in decided if one.granted is not None]
    wanted = (*rights, *(right for right in given if right.until is None or right.until > now))
    return before if set(wanted) == set(before.rights) else replace(before, rights=wanted)


def _with_endpoints(right: Right, endpoints: tuple[str, ...]) -> Right:
    return Right(
        client=right.client, group=right.group, lineage=right.lineage, endpoints=endpoints, until=right.until
    )  # fmt: skip


def _right(client: str, lineage: str, granted: Granted) -> Right:
    until = None if granted.until is None else end_of_day(granted.until)
    return Right(client=client, group=None, lineage=lineage, endpoints=granted.endpoints, until=until)
