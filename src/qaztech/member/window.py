"""The member's window: what it shows of its services, as it lies signed in the desk's folder, with its descriptions.

Shared by who changes it: the console (`publishing`) and a declared member (`declared_shown`). Whoever changes it
holds the desk's lock. Form and signature are in `registry.showcase`; bringing it to the registry is `SendShowcase`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from qaztech.core.errors import Error, NotFound
from qaztech.core.ids import ServiceId
from qaztech.core.time import Clock
from qaztech.registry.desk import Desk
from qaztech.registry.files import replace_file
from qaztech.registry.maintenance import Maintenance
from qaztech.registry.member_file import verify_member_file
from qaztech.registry.passport import Passport
from qaztech.registry.showcase import (
    DescriptionReference,
    Showcase,
    ShowcaseStatement,
    ShownService,
    describe,
    new_showcase,
    parse_showcase,
    sign_showcase,
    verify_showcase,
)
from qaztech.trust.envelope import SignedEnvelope

SHOWCASE, DESCRIPTIONS, MEMBER_FILE = "showcase.json", "descriptions", "member-file.json"
SendShowcase = Callable[[str, bytes, Sequence[bytes]], None]
"""Brings member, envelope and descriptions to the registry; raises the registry's errors."""


class Window:
    """What lies in one desk's folder. Methods read and write files; none speaks to anybody."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    def showcase(self) -> Showcase | None:
        """The newest showcase, as signed; None where there is none yet, or the key has changed since."""
        try:
            file = verify_member_file((self._directory / MEMBER_FILE).read_bytes())
            return verify_showcase(self.envelope(), file)
        except (FileNotFoundError, Error):
            return None

    def envelope(self) -> bytes:
        """The signed file; raises `FileNotFoundError`."""
        return (self._directory / SHOWCASE).read_bytes()

    def shown(self) -> dict[str, ShownService]:
        """What is shown, by service; though the key has changed since, for these are the desk's own files."""
        statement = self._statement()
        return {one.id: one for one in statement.services} if statement is not None else {}

    def description(self, reference: DescriptionReference) -> bytes | None:
        """An OpenAPI document that the showcase names."""
        try:
            return (self._directory / DESCRIPTIONS / f"{reference.sha256}.json").read_bytes()
        except FileNotFoundError:
            return None

    def timetable(self) -> dict[ServiceId, Maintenance]:
        """The maintenance that is planned or lasts, by service; none where what is shown cannot be read."""
        now = self._clock.now()
        try:
            shown = self.shown()
        except Error:
            return {}
        planned = {ServiceId.parse(id_): one.maintenance for id_, one in shown.items()}
        return {id_: one for id_, one in planned.items() if one is not None and now < one.end}

    def plan(self, desk: Desk, service: ServiceId, maintenance: Maintenance | None) -> None:
        """Show when a service will not be there (None: no more), and sign. Raises `NotFound` where it is not shown."""
        shown = self.shown()
        if str(service) not in shown:
            raise NotFound("console.no-passport", "a service needs its passport first", at="caller")
        one = msgspec.structs.replace(shown[str(service)], maintenance=maintenance)
        self._sign(desk, {**shown, str(service): one})

    def put(self, desk: Desk, service: ServiceId, passport: Passport, document: bytes | None) -> None:
        """Show a service so, and sign. Without a document the one it has stays."""
        shown = self.shown()
        old = shown.get(str(service))
        reference = old.description if old is not None else None
        if document is not None:
            reference = describe(document)
            folder = self._directory / DESCRIPTIONS
            folder.mkdir(exist_ok=True)
            replace_file(folder / f"{reference.sha256}.json", document)
        planned = old.maintenance if old is not None else None
        one = ShownService(id=str(service), passport=passport, description=reference, maintenance=planned)
        self._sign(desk, {**shown, str(service): one})

    def sign_again(self, desk: Desk) -> None:
        """Sign it with the present key, after a change of key; nothing where there is none."""
        if self._statement() is not None:
            self._sign(desk, self.shown())

    def bring(self, send: SendShowcase) -> None:
        """Bring the newest showcase and its documents; nothing where there is none. Raises as `send` does."""
        showcase = self.showcase()
        if showcase is None:
            return
        references = [one.description for one in showcase.statement.services if one.description is not None]
        documents = [document for r in references if (document := self.description(r)) is not None]
        send(str(showcase.member), self.envelope(), documents)

    def _statement(self) -> ShowcaseStatement | None:
        try:
            return parse_showcase(SignedEnvelope.parse(self.envelope()).unverified_payload)
        except FileNotFoundError:
            return None

    def _sign(self, desk: Desk, shown: dict[str, ShownService]) -> None:
        before = self._statement()
        file = verify_member_file(desk.submission().envelope)
        named = {line.id for line in file.statement.services}
        now = self._clock.now()
        services = tuple(_present(one, now) for id_, one in shown.items() if id_ in named)
        version = before.version + 1 if before is not None else 1
        statement = new_showcase(file, version, now, services)
        replace_file(self._directory / SHOWCASE, sign_showcase(statement, desk.key))


def _present(one: ShownService, now: int) -> ShownService:
    """Without a maintenance that is over."""
    over = one.maintenance is not None and one.maintenance.end <= now
    return msgspec.structs.replace(one, maintenance=None) if over else one
