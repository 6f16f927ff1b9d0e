"""The service both sides call, and the nginx pair our nodes are compared with.

The pair is what a careful operator would run to get mutual TLS 1.3 between two organisations and nothing else: no
record, no signature, no disk. Configurations stand in `bench/nginx`; each nginx has its own folder and its own
process tree, and none of the machine's is touched.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import certificates, processes
from bench.load import Target
from bench.side import Counters
from bench.tools import Unusable, free_ports, running, tool, wait_for_port
from qaztech.testing.country import MINISTRY

BODY = ("0123456789abcdef" * 64).encode()
_TEMPLATES = Path(__file__).with_name("nginx")


@contextlib.contextmanager
def _nginx(name: str, run: Path, port: int, values: Mapping[str, object]) -> Iterator[int]:
    """One nginx from its template; its master's process id."""
    text = (_TEMPLATES / f"{name}.conf").read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    configuration = run / f"{name}.conf"
    configuration.write_text(text)
    log = run / f"{name}.log"
    command = [tool("nginx"), "-p", str(run), "-e", str(log), "-c", str(configuration)]
    if os.geteuid() == 0:
        command += ["-g", "user root;"]  # else the worker could not enter our folder
    with running(command, log=log) as process:
        wait_for_port(port, process, log=log)
        yield process.pid


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The provider's system: 1 KiB from nginx, large bodies from `bench.bodies`."""

    port: int
    bodies_port: int
    roots: tuple[int, ...]

    @property
    def url(self) -> str:
        """Where 1 KiB comes back for whatever is posted."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def bodies_url(self) -> str:
        """Where large bodies are counted and made."""
        return f"http://127.0.0.1:{self.bodies_port}/bodies"

    def processes(self) -> list[int]:
        """Every process of the service."""
        return processes.tree(self.roots)

    def requests(self) -> int:
        """How many requests the service has answered, by its own count."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/status")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return int(lines[2].split()[2])


def check_reads_bodies(port: int) -> None:
    """Fail unless the service takes a request body off the connection before it reads the next request."""
    head = b"POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: 1024\r\n\r\n"
    decoy = b"GET /status HTTP/1.1\r\nHost: bench\r\n\r\n"  # would answer less than 1 KiB if taken for a request
    body = decoy + b"." * (1024 - len(decoy))
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        for part in (head, body, head + body[:100], body[100:]):
            connection.sendall(part)
        received = b""
        with contextlib.suppress(TimeoutError):
            connection.settimeout(0.5)
            while piece := connection.recv(65536):
                received += piece
    if received.count(b"HTTP/1.1 200") != 2 or received.count(BODY) != 2:
        raise Unusable(f"the service does not read request bodies: {received[:400]!r}")


@contextlib.contextmanager
def service(run: Path) -> Iterator[Service]:
    """The service, running."""
    port, bodies_port = free_ports(2)
    log = run / "bodies.log"
    command = [sys.executable, "-m", "bench.bodies", str(bodies_port)]
    values = {"RUN": run, "BACKEND_PORT": port, "BODY": BODY.decode()}
    with (
        _nginx("backend", run, port, values) as backend,
        running(command, log=log, cwd=Path(__file__).parent.parent) as bodies,
    ):
        wait_for_port(bodies_port, bodies, log=log)
        check_reads_bodies(port)
        yield Service(port=port, bodies_port=bodies_port, roots=(backend, bodies.pid))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """nginx → nginx over mutual TLS 1.3 (a `Side`)."""

    port: int
    roots: Mapping[str, int]

    @property
    def name(self) -> str:
        """What the tables call it."""
        return "nginx pair"

    def exchange(self) -> Target:
        """The near nginx, which passes everything on, the header that our nodes need included."""
        return Target(url=f"http://127.0.0.1:{self.port}/exchange", headers={"X-Road-Client": str(MINISTRY.system)})

    def bodies(self) -> Target:
        """The near nginx, with streaming in both directions."""
        return Target(url=f"http://127.0.0.1:{self.port}/bodies")

    def nodes(self) -> Mapping[str, list[int]]:
        """Master and worker of each nginx."""
        return {name: processes.tree([root]) for name, root in self.roots.items()}

    def processes(self) -> list[int]:
        """Both nginx, and there is nothing else."""
        return processes.tree(self.roots.values())

    def counters(self) -> Counters | None:
        """The pair signs nothing and stores nothing."""
        return None

    def check(self) -> None:
        """Fail unless the two really speak mutually authenticated TLS 1.3."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/tls")
        said = connection.getresponse().read()
        connection.close()
        if said != b"TLSv1.3 SUCCESS":
            raise Unusable(f"the pair does not speak mutual TLS 1.3: {said!r}")


@contextlib.contextmanager
def pair(run: Path, service: Service, *, connections: int) -> Iterator[Pair]:
    """The pair in front of `service`, made for up to `connections` connections."""
    certificates.write_pair(run)
    provider_port, consumer_port = free_ports(2)
    values = {
        "RUN": run,
        "BACKEND_PORT": service.port,
        "BODIES_PORT": service.bodies_port,
        "PROVIDER_PORT": provider_port,
        "CONSUMER_PORT": consumer_port,
        "KEEPALIVE": 4 * connections,
    }
    with (
        _nginx("provider", run, provider_port, values) as provider,
        _nginx("consumer", run, consumer_port, values) as consumer,
    ):
        side = Pair(port=consumer_port, roots={"consumer": consumer, "provider": provider})
        side.check()
        yield side
