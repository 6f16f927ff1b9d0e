"""Our side of the comparison: two nodes of an instance with everything on, in front of the same service.

The instance is the one people run (`qaztech up`), so registry and witnesses are there and counted; the benchmark
adds one service to the provider and the right to call it.
"""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.embedded import Embedded, up
from bench.load import Target
from bench.pair import Service
from bench.side import Counters
from bench.tools import Unusable


@dataclass(frozen=True, slots=True, kw_only=True)
class Calling:
    """Which service is called, by whom, and through which edge."""

    edge: str  # of the consumer's node
    client: str  # INSTANCE/CLASS/MEMBER/SUBSYSTEM
    exchange: str  # INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE, answered by `bench.pair.Service.url`
    bodies: str  # the same, accepting early streaming, answered by `bench.pair.Service.bodies_url`


def metrics(text: str) -> dict[str, float]:
    """The samples of a Prometheus text page, summed over their labels."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            name = name.partition("{")[0]
            found[name] = found.get(name, 0) + float(value)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Two nodes of an embedded instance (a `Side`)."""

    embedded: Embedded
    calling: Calling
    roots: Mapping[str, list[int]]  # the processes each of the two nodes began with
    metrics_urls: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the tables call it."""
        return "our nodes"

    def _target(self, service: str, path: str) -> Target:
        return Target(
            url=f"{self.calling.edge.rstrip('/')}/r1/{service}{path}",
            headers={"X-Road-Client": self.calling.client},
        )

    def exchange(self) -> Target:
        """The consumer's edge, in the X-Road protocol."""
        return self._target(self.calling.exchange, "/exchange")

    def bodies(self) -> Target:
        """The streaming service; the path of its URL is added by the provider's node."""
        return self._target(self.calling.bodies, "/bodies")

    def nodes(self) -> Mapping[str, list[int]]:
        """Each node's processes: data plane, and what serves it."""
        return {name: processes.tree(roots) for name, roots in self.roots.items()}

    def processes(self) -> list[int]:
        """The whole instance, registry and witnesses included."""
        return self.embedded.processes()

    def counters(self) -> Counters | None:
        """The two nodes' own counters, added up."""
        if not self.metrics_urls:
            return None
        total: dict[str, float] = {}
        for url in self.metrics_urls:
            with urllib.request.urlopen(url, timeout=5) as response:
                for name, value in metrics(response.read().decode()).items():
                    total[name] = total.get(name, 0) + value
        return Counters(
            exchanges=int(total.get("qaztech_exchanges_total", 0)),
            entries=int(total.get("qaztech_log_entries_total", 0)),
            fsyncs=int(total.get("qaztech_log_fsyncs_total", 0)),
            signatures=int(total.get("qaztech_log_heads_signed_total", 0)),
        )


def _offer(embedded: Embedded, service: Service) -> Calling:
    """Let the provider's subsystem offer `service`, and the consumer's call it."""
    raise Unusable(f"{embedded.home}: a service for {service.url} cannot be added to an instance yet; try --only-pair")


@contextlib.contextmanager
def nodes(run: Path, service: Service) -> Iterator[Nodes]:
    """A fresh embedded instance in front of `service`."""
    with up(run / "instance") as embedded:
        calling = _offer(embedded, service)
        roots = {
            node["name"]: [pid for pid in embedded.processes() if pid in processes.mentioning(node["name"])]
            for node in embedded.status["nodes"][:2]
        }
        metrics_urls = tuple(f"{node['management'].rstrip('/')}/metrics" for node in embedded.status["nodes"][:2])
        yield Nodes(embedded=embedded, calling=calling, roots=roots, metrics_urls=metrics_urls)
