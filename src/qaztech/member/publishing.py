"""Services at the member's console: from an OpenAPI file and a passport to a signed service with its showcase.

A draft holds what was uploaded until it is published. Published means: named in the member file, known to the node,
shown in the signed showcase with its passport and description. Who may call it is not decided here (`requests`).
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import delete, select

from qaztech.core.errors import Conflict, Error, Malformed, NotFound
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.member.desk_work import DeskWork, Outcome, draft
from qaztech.member.node_settings import lines_to_add, services_in, set_service
from qaztech.member.openapi import Description, read_description
from qaztech.member.openapi_fetch import DescriptionFetcher
from qaztech.member.passport import completeness
from qaztech.member.service_url import check_service_url
from qaztech.member.window import SendShowcase, Window
from qaztech.people.actors import Actor
from qaztech.registry.desk import Desk
from qaztech.registry.files import replace_file
from qaztech.registry.forms import Form, Names
from qaztech.registry.maintenance import Maintenance, check_maintenance
from qaztech.registry.member_file import ServiceLine
from qaztech.registry.passport import Passport, check_passport, format_passport
from qaztech.registry.showcase import DescriptionReference, Showcase, ShownService

DRAFT_LASTS = 7 * 24 * 3600 * 1000
MAX_DRAFTS = 50
MAX_NOTICE = 200
CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?\Z", re.ASCII)


class DraftForm(Form, frozen=True, forbid_unknown_fields=True):
    """What was filled in on the first page: the system, the service's code, its names, its address."""

    subsystem: str
    code: str
    names: Names
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A service in the making. `description` is None for one without OpenAPI."""

    id: str
    form: DraftForm
    document: bytes | None
    description: Description | None

    @property
    def service(self) -> ServiceId:
        """What it will be called."""
        return ServiceId(SubsystemId.parse(self.form.subsystem), self.form.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnService:
    """A service of the member: as its file has it, as its showcase shows it, as its node is told of it."""

    id: ServiceId
    line: ServiceLine
    shown: ShownService | None
    node: dict[str, Any] | None
    clients: int

    @property
    def score(self) -> int | None:
        """How complete its passport is, 0 to 100; None where it has none."""
        return completeness(self.shown.passport).score if self.shown is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A service that is signed. `showcase` is a code of trouble; `lines` is what a node elsewhere has to be told."""

    outcome: Outcome
    showcase: str | None
    lines: str | None


class Publishing:
    """The services of one member. Methods block: call from a thread.

    `reserved` are URLs that no service may be at; `node_settings` is the `node.toml` beside the console, or None;
    `send` brings a showcase with its descriptions to the registry; `openapi_hosts` are those documents come from.
    """

    def __init__(  # each is a place
        self, *, work: DeskWork, node_settings: Path | None, reserved: Sequence[str], send: SendShowcase,
        openapi_hosts: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._work = work
        self._window = Window(work.directory, work.clock)
        self._node_settings = node_settings
        self._reserved = tuple(reserved)
        self._send = send
        self._fetcher = DescriptionFetcher(openapi_hosts, systems=self._system_urls, reserved=self._reserved)

    # What there is ------------------------------------------------------------------------------------------------

    def services(self) -> list[OwnService]:
        """All services of the member, by identifier."""
        desk = self._work.reading()
        shown, told = self._shown(), self._told()
        return [self._own(desk, line, shown, told) for line in sorted(desk.statement.services, key=lambda s: s.id)]

    def service(self, service: ServiceId) -> OwnService:
        """One of them. Raises `NotFound`."""
        desk = self._work.reading()
        return self._own(desk, _line_of(desk, service), self._shown(), self._told())

    def showcase(self) -> Showcase | None:
        """The newest showcase, as signed; None where there is none yet, or the key has changed since."""
        return self._window.showcase()

    def description(self, reference: DescriptionReference) -> bytes | None:
        """An OpenAPI document that the showcase names."""
        return self._window.description(reference)

    def fetched(self, url: str, by: Actor) -> bytes:
        """The OpenAPI document at a URL; that it is asked for is noted. Raises as `DescriptionFetcher.fetch` does."""
        self._work.note(by, "openapi.fetch", str(self._work.file().member), None, {"url": _hash(url.strip().encode())})
        return self._fetcher.fetch(url)

    # Drafts ---------------------------------------------------------------------------------------------------------

    def begin(self, account: str, form: DraftForm, document: bytes | None) -> Draft:
        """Keep what was filled in. Raises `Malformed` where it cannot become a service, `Conflict` where it is one."""
        self._check(form)
        description = read_description(document) if document is not None else None
        made = Draft(id=secrets.token_hex(16), form=form, document=document, description=description)
        if any(line.id == str(made.service) for line in self._work.file().statement.services):
            raise Conflict("console.service-exists", f"there is a service {made.service} already", at="caller")
        now = self._work.clock.now()
        with self._work.engine.begin() as db:
            db.execute(delete(draft).where(draft.c.created < now - DRAFT_LASTS))
            mine = db.execute(
                select(draft.c.id).where(draft.c.account == account).order_by(draft.c.created.desc())
            ).all()
            for row in mine[MAX_DRAFTS - 1 :]:
                db.execute(delete(draft).where(draft.c.id == row.id))
            db.execute(
                draft.insert().values(
                    id=made.id, account=account, created=now, form=msgspec.json.encode(form).decode(), document=document
                )
            )
        return made

    def draft(self, account: str, id_: str) -> Draft:
        """One's own draft. Raises `NotFound`."""
        with self._work.engine.begin() as db:
            row = db.execute(select(draft).where(draft.c.id == id_, draft.c.account == account)).first()
        if row is None:
            raise NotFound("console.draft", "there is no such draft any more; begin again", at="caller")
        form = msgspec.json.decode(row.form, type=DraftForm)
        document = None if row.document is None else bytes(row.document)
        description = read_description(document) if document is not None else None
        return Draft(id=row.id, form=form, document=document, description=description)

    def _check(self, form: DraftForm) -> None:
        check_code(form.code)
        known = {f"{self._work.file().statement.member}/{s.code}" for s in self._work.file().statement.subsystems}
        if form.subsystem not in known:
            raise Malformed("console.subsystem", "a service belongs to one of the member's own systems", at="caller")
        form.names.check("console.names")
        check_service_url(form.url, self._reserved)

    # Changes --------------------------------------------------------------------------------------------------------

    def publish(self, account: str, id_: str, passport: Passport, by: Actor) -> Published:
        """Make a draft a service that can be found, asked for and called. Raises `Malformed`, `Conflict`."""
        made = self.draft(account, id_)
        if made.description is not None:
            made.description.require_sound()
        published = self.put(made.service, passport, by, url=made.form.url, description=made.description)
        with self._work.engine.begin() as db:
            db.execute(delete(draft).where(draft.c.id == id_))
        return published

    def put(
        self,
        service: ServiceId,
        passport: Passport,
        by: Actor,
        *,
        url: str | None = None,
        description: Description | None = None,
    ) -> Published:
        """A service as it shall be: new, or another passport, address or description; what is not given stays."""
        check_passport(passport)
        if url is not None:
            check_service_url(url, self._reserved)
        document = description.document if description is not None else None
        lines: list[str | None] = []

        def work(desk: Desk) -> None:
            # The node may serve other members too: it is told of the member's own services only, and once it is noted.
            if str(service.subsystem) not in {f"{desk.member}/{system.code}" for system in desk.statement.subsystems}:
                raise Malformed(
                    "console.subsystem", "a service belongs to one of the member's own systems", at="caller"
                )
            lines.append(self._tell_node(service, url, description))
            known = next((line for line in desk.statement.services if line.id == str(service)), None)
            type_ = "OPENAPI" if document is not None else known.type if known is not None else "REST"
            disabled = known.disabled if known is not None else None
            if known is None or (known.type, known.names) != (type_, passport.names):
                desk.add_service(service, passport.names, type_=type_, disabled=disabled)
            self._window.put(desk, service, passport, document)

        after = {"passport": _hash(format_passport(passport))}
        if document is not None:
            after["description"] = _hash(document)
        if url is not None:
            after["url"] = _hash(url.encode())
        outcome = self._work.change(by, work, act="service.publish", subject=str(service), after=after)
        return Published(outcome=outcome, showcase=self._bring_showcase(), lines=lines[0])

    def disable(self, service: ServiceId, notice: str, by: Actor) -> Outcome:
        """Switch a service off: who calls is told this notice. Raises `Malformed`, `NotFound`."""
        notice = " ".join(notice.split())
        if not 1 <= len(notice) <= MAX_NOTICE or not notice.isprintable():
            raise Malformed("console.notice", f"a notice has 1 to {MAX_NOTICE} printable characters", at="caller")
        return self._switch(service, notice, by)

    def enable(self, service: ServiceId, by: Actor) -> Outcome:
        """Switch it on again."""
        return self._switch(service, None, by)

    def plan(self, service: ServiceId, maintenance: Maintenance | None, by: Actor) -> Published:
        """When a service will not be there, or None for no more of it, for all to read. Raises `Malformed`, `NotFound`.

        It does not count before the node is told of it (`Console.plan`).
        """
        before = self._shown().get(str(service))
        if maintenance is not None:
            check_maintenance(maintenance, "console.maintenance")
            if maintenance.end <= self._work.clock.now():
                raise Malformed("console.maintenance", "maintenance ends in the future", at="caller")
        old = before.maintenance if before is not None else None
        outcome = self._work.change(
            by, lambda desk: self._window.plan(desk, service, maintenance), act="service.maintenance",
            subject=str(service), before=_times(old), after=_times(maintenance),
        )  # fmt: skip
        return Published(outcome=outcome, showcase=self._bring_showcase(), lines=None)

    def _switch(self, service: ServiceId, disabled: str | None, by: Actor) -> Outcome:
        line = _line_of(self._work.reading(), service)

        def work(desk: Desk) -> None:
            known = _line_of(desk, service)
            desk.add_service(service, known.names, type_=known.type, disabled=disabled)

        return self._work.change(
            by, work, act="service.enable" if disabled is None else "service.disable", subject=str(service),
            before={"disabled": line.disabled}, after={"disabled": disabled},
        )  # fmt: skip

    def add_system(self, code: str, names: Names, by: Actor) -> Outcome:
        """One more information system of the member, or new names for one. Raises `Malformed`."""
        names.check("console.names")
        check_code(code)
        system = SubsystemId.parse(f"{self._work.file().member}/{code}")
        after = {"names": msgspec.to_builtins(names)}

        def work(desk: Desk) -> None:
            desk.add_subsystem(system, names)

        return self._work.change(by, work, act="system.put", subject=str(system), after=after)

    def sign_again(self) -> str | None:
        """Sign the showcase with the present key (after a change of key) and bring it; a code of trouble."""
        with self._work.turn() as desk:
            self._window.sign_again(desk)
        return self._bring_showcase()

    # Pieces ---------------------------------------------------------------------------------------------------------

    def _own(
        self, desk: Desk, line: ServiceLine, shown: dict[str, ShownService], told: dict[str, dict[str, Any]]
    ) -> OwnService:
        service = ServiceId.parse(line.id)
        rights = desk.rights(service)
        clients = {r.client for r in rights.rights if r.client} | {m.client for g in rights.groups.values() for m in g}
        return OwnService(
            id=service, line=line, shown=shown.get(line.id), node=told.get(line.id), clients=len(clients)
        )  # fmt: skip

    def _shown(self) -> dict[str, ShownService]:
        showcase = self.showcase()
        return {one.id: one for one in showcase.statement.services} if showcase is not None else {}

    def _told(self) -> dict[str, dict[str, Any]]:
        try:
            return services_in(self._node_settings) if self._node_settings is not None else {}
        except Conflict:
            return {}

    def _system_urls(self) -> list[str]:
        """Where the member's own systems are, as the node is told."""
        mine = f"{self._work.file().member}/"
        return [str(each["url"]) for id_, each in self._told().items() if id_.startswith(mine) and "url" in each]

    def _tell_node(self, service: ServiceId, url: str | None, description: Description | None) -> str | None:
        """Put the service into the node's settings; gives the lines for a node that is elsewhere."""
        values = {} if url is None else {"url": url.strip()}
        path = self._node_settings
        if path is None:
            return lines_to_add(str(service), values) if values else None
        if description is not None:
            file = path.parent / "openapi" / f"{_hash(str(service).encode())[:16]}.json"
            file.parent.mkdir(exist_ok=True)
            replace_file(file, description.document)
            values["openapi"] = os.path.relpath(file, path.parent)
        if values:
            set_service(path, str(service), **values)
        return None

    def _bring_showcase(self) -> str | None:
        try:
            self._window.bring(self._send)
        except Error as exc:
            return exc.code
        return None


def _line_of(desk: Desk, service: ServiceId) -> ServiceLine:
    line = next((line for line in desk.statement.services if line.id == str(service)), None)
    if line is None:
        raise NotFound("service.unknown", f"the member file names no service {service}", at="caller")
    return line


def check_code(code: str) -> None:
    """Raise `Malformed` unless this can be the code of a system, a service or a node of the member."""
    if not CODE.match(code):
        raise Malformed("console.code", "a code has 1 to 64 of a-z, A-Z, 0-9 and . _ - between them", at="caller")


def _times(one: Maintenance | None) -> dict[str, Any]:
    """As the admin log may show it."""
    return {"maintenance": None if one is None else {"begin": one.begin, "end": one.end}}


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()
