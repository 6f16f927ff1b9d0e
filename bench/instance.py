"""Our side of the comparison: two nodes of an embedded instance with everything on, in front of the same service.

The instance is the one people run, with the witnessing interval that a real country begins with. The benchmark gives
the provider two services more and the consumer the right to call them. The demonstration's page and its code lists,
which take no part in these exchanges, are not started.
"""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.load import Target
from bench.pair import Service
from bench.side import Counters
from bench.tools import Unusable
from qaztech.core.errors import Error
from qaztech.testing.instance import Instance
from qaztech.testing.processes import pid_of

CONSUMER, PROVIDER = "ministry", "registers"
WITNESSING = 30.0  # seconds: the default of a node's settings
REFRESH = 20.0  # seconds: likewise
# Registry and witnesses (one of them is the university's node) beside the two nodes measured.
_RUNNING = ("registry", "witness-archive", f"node-{CONSUMER}", f"node-{PROVIDER}", "node-university")


def metrics(text: str) -> dict[str, float]:
    """The samples of a Prometheus text page, by their names with labels."""
    lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Two nodes of an embedded instance (a `Side`)."""

    country: Instance
    exchange_service: str  # INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE, answered by `bench.pair.Service.port`
    bodies_service: str  # the same, accepting early streaming, answered by `bench.pair.Service.bodies_port`

    @property
    def name(self) -> str:
        """What the tables call it."""
        return "our nodes"

    def _target(self, service: str, path: str) -> Target:
        consumer = self.country.node(CONSUMER)
        return Target(url=f"{consumer['edge']}/r1/{service}{path}", headers={"X-Road-Client": consumer["system"]})

    def exchange(self) -> Target:
        """The consumer's edge, in the X-Road protocol."""
        return self._target(self.exchange_service, "/exchange")

    def bodies(self) -> Target:
        """The streaming service; the path goes on to it."""
        return self._target(self.bodies_service, "/bodies")

    def _pid(self, name: str) -> int:
        pid = pid_of(self.country.home, name)
        if pid is None:
            log = self.country.home / "run" / f"{name}.log"
            raise Unusable(f"{name} has ended: {log.read_text()[-2000:]}")
        return pid

    def nodes(self) -> Mapping[str, list[int]]:
        """Each data-plane node's processes."""
        return {name: processes.tree([self._pid(f"node-{name}")]) for name in (CONSUMER, PROVIDER)}

    def processes(self) -> list[int]:
        """Everything of the instance that runs, registry and witnesses included."""
        return processes.tree(self._pid(name) for name in _RUNNING)

    def counters(self) -> Counters | None:
        """The two nodes' own counters: exchanges by the consumer's, the rest added up."""
        pages = {}
        for name in (CONSUMER, PROVIDER):
            url = f"{self.country.node(name)['management']}/metrics"
            with urllib.request.urlopen(url, timeout=10) as response:
                pages[name] = metrics(response.read().decode())

        def both(name: str) -> int:
            return int(sum(page.get(name, 0) for page in pages.values()))

        return Counters(
            exchanges=int(pages[CONSUMER].get('qaztech_exchanges_total{side="consumer"}', 0)),
            entries=both("qaztech_log_entries_total"),
            fsyncs=both("qaztech_log_fsyncs_total"),
            signatures=both("qaztech_log_heads_signed_total"),
        )

    def incidents(self) -> list[str]:
        """What the two nodes have to complain of; nothing may go wrong unseen."""
        found = []
        for name in (CONSUMER, PROVIDER):
            status = self.country.manage(name, "/status")
            if status["log"]["halted"]:
                found.append(f"the log of {name} has halted: {status['log']['halted']}")
            if status["incidents"]:
                codes = {incident["code"] for incident in self.country.manage(name, "/incidents")}
                found.append(f"{name} has {status['incidents']} incidents: {', '.join(sorted(codes))}")
        return found


@contextlib.contextmanager
def nodes(run: Path, service: Service, *, witnessing: float) -> Iterator[Nodes]:
    """A fresh embedded instance in front of `service`."""
    try:
        with Instance(
            run / "instance", witnessing_seconds=witnessing, refresh_seconds=REFRESH, only=_RUNNING
        ) as country:
            small = country.add_service(PROVIDER, "bench", f"http://127.0.0.1:{service.port}", clients=(CONSUMER,))
            large = country.add_service(
                PROVIDER, "bench-bodies", f"http://127.0.0.1:{service.bodies_port}", clients=(CONSUMER,), early=True
            )
            yield Nodes(country=country, exchange_service=small, bodies_service=large)
    except Error as error:
        raise Unusable(f"the instance: {error}") from error
