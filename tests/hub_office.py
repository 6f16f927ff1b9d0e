"""A support center's console over two logs that delivered: real database, real rows, cheap argon2."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from operational_logs import CONSUMER, PROVIDER, START, Hub, Pair
from people_console import CHEAP, ORIGIN, PASSWORD
from qaztech.ai.register.store import METADATA as AI_REGISTER
from qaztech.ai.register.store import CardStore
from qaztech.core.errors import Unavailable
from qaztech.core.time import ManualClock
from qaztech.hub.detecting import Detecting, Found
from qaztech.hub.detectors.all import DETECTORS, Progress, run
from qaztech.hub.detectors.finding import Case
from qaztech.hub.findings import METADATA as FINDINGS
from qaztech.hub.findings import FindingQueue
from qaztech.hub.flows import Flows
from qaztech.hub.register.law import current_law
from qaztech.hub.register.store import METADATA as OBJECTS
from qaztech.hub.register.store import ObjectStore
from qaztech.hub.scopes import HUB_ROLES
from qaztech.node.operational import OperationalData
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.gate import Gate
from qaztech.people.people import People
from qaztech.people.tables import PEOPLE
from qaztech.registry.configuration import Configuration
from qaztech.runtime.database import add_tables
from qaztech.web.hub_app import HubSite
from qaztech.web.hub_parts import HubParts
from registry_office import DirectLog

HOLDERS = {"analyst": "aigerim", "auditor": "dana", "administrator": "olzhas"}
__all__ = ["CONSUMER", "HOLDERS", "PROVIDER", "HubOffice"]


class HubOffice:
    """The centre of two logs with exchanges in them, its people, its pages. Needs DuckDB."""

    def __init__(
        self, directory: Path, pair: Pair | None = None, *, deliver: bool = True, origin: str = ORIGIN
    ) -> None:
        self.pair = pair or _traffic()
        self.hub = Hub(directory, *self.pair.logs)
        self.deliveries = self.hub.deliveries
        self.clock = ManualClock(max(self.pair.now, START) + 1000)
        if deliver:
            self.deliver(directory)
        engine = self.hub.engine
        add_tables(engine, PEOPLE)
        add_tables(engine, OBJECTS)
        add_tables(engine, FINDINGS)
        add_tables(engine, AI_REGISTER)
        self.objects = ObjectStore(engine)
        self.cards = CardStore(engine, self.clock)
        self.flows = Flows(directory / "flows", self.deliveries.store)
        self.findings = FindingQueue(engine, self.clock)
        self.detecting = Detecting(
            objects=self.objects, findings=self.findings, clock=self.clock,
            detect=self._detect,
        )  # fmt: skip
        self.people = People(engine, roles=HUB_ROLES, clock=self.clock, parameters=CHEAP)
        self.gate = Gate(self.people, origin=origin)
        DirectLog.create(directory / "admin", instance="KZ", clock=self.clock)._log.close()
        self.log = DirectLog.open(directory / "admin", clock=self.clock)
        for role, name in HOLDERS.items():
            self.people.accounts.add(name, name.title(), [role], PASSWORD, by=COMMAND_LINE)
        self.people.accounts.add("nobody", "Nobody", [], PASSWORD, by=COMMAND_LINE)
        self.parts = HubParts(
            deliveries=self.deliveries, objects=self.objects, cards=self.cards, flows=self.flows,
            findings=self.findings, detecting=self.detecting, waiting=directory / "waiting", configuration=_nothing,
            people=self.people, gate=self.gate, admin_log=self.log,
            instance="KZ", clock=self.clock,
        )  # fmt: skip
        self.waiting_file = ""
        self.site = HubSite(self.parts)
        self.app = self.site.app

    def _detect(self, today: date, progress: Progress) -> Found:
        """What rests on compared texts is left out: the model takes its time to load."""
        register = self.objects.register()
        case = Case(register=register, traffic=self.flows.traffic(), law=current_law(), today=today)
        return Found(
            findings=tuple(run(case, progress=progress)), detectors=tuple(d.slug for d in DETECTORS),
            version=register.version,
        )  # fmt: skip

    def deliver(self, directory: Path) -> None:
        """Let both nodes deliver all that they have."""
        for log in self.pair.logs:
            folder = directory / f"node-{log.number}"
            log.on_disk(folder / "log", len(log.entries))
            OperationalData(folder, clock=self.clock).deliver(self.hub)

    @property
    def message(self) -> str:
        """The message of the first exchange."""
        return str(self.pair.consumer.rows(0, 1)[0].message)

    def close(self) -> None:
        self.parts.imports.close()
        self.log._log.close()
        self.hub.close()


def _traffic() -> Pair:
    pair = Pair()
    pair.answered()
    pair.answered(status=500)
    pair.refused()
    return pair


def _nothing() -> Configuration:
    raise Unavailable("configuration.none", "there is no configuration yet")
