"""A member's console over a test's registry: real desk, real signatures, real database and admin log, cheap argon2.

Its node does not run unless a test gives one: what the console tells it then stays told as not having arrived.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from databases import database_at
from people_console import CHEAP, ORIGIN, PASSWORD
from qaztech.ai.office import AiOffice
from qaztech.core.ids import MemberId
from qaztech.core.time import ManualClock
from qaztech.member.console import CONSOLE_ROLES, Console, Places
from qaztech.member.desk_work import CONSOLE
from qaztech.member.exchanges import EdgeCaller
from qaztech.member.node_client import NodeClient
from qaztech.member.nodes import MemberNodes
from qaztech.member.store import ACCESS
from qaztech.people.actors import COMMAND_LINE, Actor
from qaztech.people.gate import Gate
from qaztech.people.people import People
from qaztech.people.tables import PEOPLE
from qaztech.registry.admission import Registry
from qaztech.registry.desk import Submission
from qaztech.registry.forms import Names
from qaztech.runtime.database import open_database
from qaztech.web.member_console import MemberConsole
from registry_country import Country
from registry_office import DirectLog

MEMBER = MemberId("KZ", "QUASI", "991340000027")
NAMES = Names(kk="Тізілімдер орталығы", ru="Центр регистров", en="Centre of Registers")
CODES_NAMES = Names(kk="Кодтар", ru="Коды", en="Codes")
ADMIN = Actor(name="aigerim", role="administrator")
HOLDERS = {"administrator": "aigerim", "service-owner": "olzhas", "developer": "dana"}
SECRET = "s" * 43
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


class NoCountry:
    """No catalogue was verified yet."""

    def catalogue(self) -> None:
        return None


class MemberOffice:
    """One member's console with its registry. `admitted` says whether the member is one already."""

    def __init__(
        self, country: Country, folder: Path, *, admitted: bool = True, register: Any = None, books: Any = None
    ) -> None:
        self.registry: Registry = country.registry
        self.clock: ManualClock = country.clock  # type: ignore[assignment]
        self.folder = folder
        self.settings = folder / "node.toml"
        self.settings.write_text('# The node.\nid = "KZ/QUASI/991340000027/node1"\n\n[edge]\nport = 8080\n')
        self.away = False
        self.engine = open_database(database_at(folder / "console.db"), PEOPLE)
        ACCESS.create_all(self.engine)
        CONSOLE.create_all(self.engine)
        self.log = DirectLog.create(folder / "admin", instance="KZ", clock=self.clock)
        self.people = People(self.engine, roles=CONSOLE_ROLES, clock=self.clock, parameters=CHEAP)
        for role, name in HOLDERS.items():
            self.people.accounts.add(name, name.title(), [role], PASSWORD, by=COMMAND_LINE)
        self.people.accounts.add("nobody", "Nobody", [], PASSWORD, by=COMMAND_LINE)
        self.console = Console(
            places=Places(
                directory=folder / "desk", registry=NOWHERE, instance="KZ", node_settings=self.settings,
                limits=folder / "limits.json", reserved=(ORIGIN, "http://127.0.0.1:4000", "http://127.0.0.1:8080"),
            ),
            engine=self.engine,
            node=MemberNodes([NodeClient(NOWHERE, seconds=0.5)]),
            edge=EdgeCaller(NOWHERE, seconds=0.5),
            submit=self.submit,
            send_showcase=self.show,
            country=NoCountry(),
            clock=self.clock,
        )  # fmt: skip
        if admitted:
            self.console.member.create("QUASI", MEMBER.code, NAMES, ADMIN)
            file = self.console.work.file()
            self.registry.admit(file.member, file.lineage, NAMES)
        self.site = MemberConsole(
            console=self.console, people=self.people, gate=Gate(self.people, origin=ORIGIN), log=self.log,
            anchor=b"{}", secret_hash=sha256(SECRET.encode()).digest(),
            ai=AiOffice(
                member=lambda: self.console.work.file().member, note=self.console.work.note, clock=self.clock,
                register=register, books=books,
            ),
        )  # fmt: skip

    def submit(self, submission: Submission) -> None:
        """As the registry's HTTP service does."""
        if self.away:
            from qaztech.core.errors import Unavailable

            raise Unavailable("registry.unreachable", "the registry does not answer")
        self.registry.accept_submission(submission.envelope, submission.pages)

    def show(self, member: str, envelope: bytes, documents: Any) -> None:
        self.registry.accept_showcase(MemberId.parse(member), envelope, documents)

    def close(self) -> None:
        self.log._log.close()
        self.engine.dispose()
