"""The registry's office and its management API over a test's country: real log, real database, cheap argon2."""

from __future__ import annotations

from hashlib import sha256

from starlette.routing import BaseRoute

from databases import database_at
from people_console import CHEAP, PASSWORD
from qaztech.core.time import Clock
from qaztech.evidence.log import Entry
from qaztech.evidence.witnessing import WitnessState
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.acts import AdminLog
from qaztech.people.gate import Gate
from qaztech.people.people import People
from qaztech.people.tables import PEOPLE
from qaztech.registry.application import Contact, binding_text, make_application
from qaztech.registry.applications import JOINING, Applications, Filed
from qaztech.registry.enrolments import Enrolments
from qaztech.registry.forms import Names, base64
from qaztech.registry.management import Guard, Management
from qaztech.registry.office import Office
from qaztech.registry.outlook import Ending, endings
from qaztech.registry.scopes import REGISTRY_SCOPES
from qaztech.runtime.database import open_database
from qaztech.trust.certificates import Authority
from qaztech.trust.national import TestAuthority, TestVerifier
from qaztech.web.registry_console import console_routes
from qaztech.web.registry_parts import Parts
from registry_country import Country, MemberDesk

ORIGIN = "http://localhost:8410"
HOLDERS = {"registry-operator": "aigerim", "auditor": "dana", "analyst": "olzhas"}


class DirectLog(AdminLog):
    """An admin log without a writer of its own, for tests whose calls each have a loop of their own."""

    async def _append(self, message: bytes, leaf: bytes) -> int:
        return self._log.commit([Entry(message, self._clock.now(), leaf)]).start


class Offices:
    """Everything behind management and console; `restart` opens what is on disk again."""

    def __init__(self, country: Country, *, authority: Authority | None = None) -> None:
        self.country = country
        self.authority = authority
        self.clock: Clock = country.clock
        self.national = TestAuthority.create(self.clock.now())
        self._folder = country.directory / "office"
        self._folder.mkdir()
        DirectLog.create(self._folder / "admin", instance="KZ", clock=self.clock)._log.close()
        self.open()
        for role, name in HOLDERS.items():
            self.people.accounts.add(name, name.title(), [role], PASSWORD, by=COMMAND_LINE)

    def open(self) -> None:
        """What a process does at its start, without recovering."""
        country = self.country
        self.log = DirectLog.open(self._folder / "admin", clock=self.clock)
        self.engine = open_database(database_at(self._folder / "joining.db"), JOINING)
        self.people_engine = open_database(database_at(self._folder / "people.db"), PEOPLE)
        self.people = People(self.people_engine, roles=REGISTRY_SCOPES, clock=self.clock, parameters=CHEAP)
        self.gate = Gate(self.people, origin=ORIGIN)
        verifier = TestVerifier([self.national.certificate])
        self.applications = Applications(
            engine=self.engine, registry=country.registry, national=verifier, clock=self.clock
        )
        self.enrolments = Enrolments(
            engine=self.engine, registry=country.registry, authority=self.authority, clock=self.clock
        )
        self.office = Office(
            publisher=country.publisher, applications=self.applications, authority=self.authority, log=self.log,
            clock=self.clock,
        )  # fmt: skip

    def close(self) -> None:
        self.log._log.close()
        self.engine.dispose()
        self.people_engine.dispose()

    def endings(self) -> list[Ending]:
        country = self.country
        authorities = country.store.authorities()
        return endings(country.registry, country.publication, authorities=authorities, tsas=country.anchor.tsas)

    def management(self, *, token: str = "token") -> Management:
        country = self.country
        return Management(
            guard=Guard(token_hash=sha256(token.encode()).digest(), gate=self.gate),
            office=self.office,
            acts=self.log,
            publisher=country.publisher,
            applications=self.applications,
            log_size=lambda: country.log.head.size,
            endings=self.endings,
            clock=self.clock,
        )

    def apply(self, desk: MemberDesk, names: Names | None = None) -> Filed:
        """An application of this member, signed for it."""
        now, member = self.clock.now(), desk.id
        signer = self.national.signer(name="Signatory of a test", iin="991300000019", bin_=member.code, now=now)
        binding = signer.sign(binding_text(str(member), base64(desk.key.public), now))
        contact = Contact(unit="IT department", email="it@university.example", phone="+77010000000")
        sealed = make_application(
            member=member, key=desk.key, names=names or desk.statement.names, contact=contact, issued=now,
            binding=binding,
        )  # fmt: skip
        return self.applications.submit(sealed)


def console(offices: Offices) -> list[BaseRoute]:
    """Every route for people, as the registry's process has them."""
    country = offices.country
    parts = Parts(
        publisher=country.publisher, store=country.store, office=offices.office, applications=offices.applications,
        enrolments=offices.enrolments,
        people=offices.people, gate=offices.gate, admin_log=offices.log, log=country.log, anchor=country.anchor,
        witnessed=country.witnessed_note, witnesses={name: WitnessState() for name in country.anchor.policy.witnesses},
        endings=offices.endings, clock=offices.clock,
    )  # fmt: skip
    return console_routes(parts)
