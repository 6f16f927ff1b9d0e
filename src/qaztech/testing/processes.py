"""The embedded country's processes: started in order, watched until ready, ended when told. One folder, no daemon.

Each process is a `qaztech` command of its own with its log beside its process id under `run/`. With `keep` there is a
`keeper` too, which starts again what ends by itself and bounds the logs; in tests what was killed stays dead.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from qaztech.core.errors import Conflict, Error, NotFound, Unavailable
from qaztech.registry.files import write_file
from qaztech.runtime.settings import child_environment
from qaztech.testing import ai_service, centre, keeper, spawning
from qaztech.testing.consoles import PASSWORDS, SETTINGS
from qaztech.testing.country import (
    COUNTRY_FILE,
    ORGANISATIONS,
    PEOPLE_LIST,
    Ports,
    is_founded,
    lines_to_paste,
    read_country,
)
from qaztech.testing.datasette import CodesService
from qaztech.testing.keeper import Kept
from qaztech.testing.national import founding as national

STOP_GRACE = 30.0
# Characters of what a process said last that are shown: a reason fits, a traceback does not.
MOST_OF_A_LINE = 600


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the country: its name, how it is started, and the URL that says it is well (none: it runs)."""

    name: str
    command: list[str]
    health: str
    # Where a node says whether its log has halted.
    status: str = ""


def plan(home: Path) -> list[Process]:
    """The processes in the order they start."""
    country = read_country(home)
    ports = country["ports"]

    def run(kind: str, settings: str) -> list[str]:
        return [sys.executable, "-m", "qaztech.cli.main", kind, "run", "--settings", str(home / settings)]

    codes = CodesService(directory=home / "systems", port=ports["codes"])
    planned = [
        Process("registry", run("registry", "registry/registry.toml"), f"{country['registry']}/health"),
        Process("witness-archive", run("witness", "witnesses/archive/witness.toml"), _local(ports["archive"])),
        Process("system-codes", codes.command(), f"{codes.url}/countries/KZ.json?_shape=object"),
        *(_node(o.name, ports["management"][o.name], run) for o in ORGANISATIONS),
        *_centre(country, run),
        *_ai(country, home),
        *(
            Process(f"console-{name}", run("console", f"members/{name}/{SETTINGS}"), _local(port))
            for name, port in ports.get("consoles", {}).items()
        ),
        Process("portal", run("portal", COUNTRY_FILE), f"{country['portal']}/health"),
        *([Process("life", command, "")] if (command := national.life_command(home)) else []),
    ]
    # In all but nodes the threads share one heap, for few of them work at a time: it stays smaller.
    return [p if p.status else replace(p, command=["env", "MALLOC_ARENA_MAX=1", *p.command]) for p in planned]


def _node(name: str, port: int, run: Callable[[str, str], list[str]]) -> Process:
    url = f"http://127.0.0.1:{port}"
    return Process(f"node-{name}", run("node", f"nodes/{name}/node.toml"), f"{url}/ready", status=f"{url}/status")


def _centre(country: dict[str, Any], run: Callable[[str, str], list[str]]) -> list[Process]:
    """The support center, which delivers for the nodes too; none where its extra is not installed."""
    if "centre" not in country or not centre.is_installed():
        return []
    hub = run("hub", f"{centre.FOLDER}/{centre.SETTINGS}")
    return [Process(centre.PROCESS, hub, f"{country['centre']['url']}/health")]


def _ai(country: dict[str, Any], home: Path) -> list[Process]:
    """The model's stand-in and the gateway; none without the register, which the support center has."""
    if "ai" not in country or not centre.is_installed():
        return []
    command = [sys.executable, "-m", "qaztech.cli.main", "ai", "gateway", "run", "--settings"]
    settings = home / ai_service.FOLDER / ai_service.SETTINGS
    port = country["ports"]["models"]
    return [
        Process(ai_service.MODELS, ai_service.models_command(port), f"http://127.0.0.1:{port}/v1/models"),
        Process(ai_service.GATEWAY, [*command, str(settings)], f"{country['ai']['gateway']}/health"),
    ]


def _local(port: int) -> str:
    return f"http://127.0.0.1:{port}/health"


def start(
    home: Path, tell: Callable[[str], None] = lambda _: None, only: Collection[str] = (), *, keep: bool = False
) -> None:
    """Start every process that is not running (of `only`, if given). Raises `Conflict` where a port is taken.

    With `keep` they are kept going from here on: who dies, or halts, is started again.
    """
    run = home / "run"
    run.mkdir(exist_ok=True)
    _name_command(home)
    if not any(running(home)) and (taken := Ports(**read_country(home)["ports"]).taken()):
        numbers = ", ".join(map(str, taken))
        raise Conflict(
            "country.port-taken",
            f"somebody else listens on port {numbers}; stop that, or found another country elsewhere: "
            "qaztech up --home DIR --base-port N",
        )
    if "centre" in read_country(home) and not centre.is_installed():
        tell("the support center is not started: it needs qaztech[traffic]")
    processes = plan(home)
    for process in processes:
        if not only or process.name in only:
            _start(home, process.name, process.command, tell)
    if keep:
        keeper.write_plan(run, [Kept(name=p.name, command=p.command, status=p.status) for p in processes])
        _start(home, keeper.NAME, keeper.command(home), tell)


def _start(home: Path, name: str, command: list[str], tell: Callable[[str], None]) -> None:
    if pid_of(home, name) is not None:
        tell(f"{name} runs already")
        return
    child = spawning.spawn(home / "run", name, command, cwd=home, environment=child_environment())
    child.returncode = 0  # from here on it is known by its id; that it outlives this object is meant
    tell(f"{name} started")


def _name_command(home: Path) -> None:
    """Let the page show the three lines with the command as this user would type it."""
    country = read_country(home)
    lines = lines_to_paste(home, _command(), Ports(**country["ports"]))
    if country["try"] != lines:
        write_file(home / COUNTRY_FILE, json.dumps({**country, "try": lines}, ensure_ascii=False, indent=2).encode())


def stop(home: Path, tell: Callable[[str], None] = lambda _: None, only: Collection[str] = ()) -> None:
    """End every process (of `only`, if given) and wait: first what uses the nodes, then the nodes, then the others.

    Before them the keeper, or it would start again what ends.
    """
    if not only or keeper.NAME in only:
        _stop_together(home, [keeper.NAME], tell)
        (home / "run" / keeper.KEPT).unlink(missing_ok=True)
    for _, together in groupby(reversed(plan(home)), lambda process: process.name.startswith("node-")):
        _stop_together(home, [process.name for process in together if not only or process.name in only], tell)


def _stop_together(home: Path, names: list[str], tell: Callable[[str], None]) -> None:
    told = {name: pid for name in names if (pid := pid_of(home, name)) is not None}
    for name in set(names) - told.keys():
        (home / "run" / f"{name}.pid").unlink(missing_ok=True)
    for pid in told.values():
        _send(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_GRACE
    while told:
        for name in [name for name in told if pid_of(home, name) is None]:
            del told[name]
            tell(f"{name} stopped")
            (home / "run" / f"{name}.pid").unlink(missing_ok=True)
        if time.monotonic() > deadline:
            for pid in told.values():
                _send(pid, signal.SIGKILL)
        if told:
            time.sleep(0.02)


def _send(pid: int, number: signal.Signals) -> None:
    # One that has ended by itself meanwhile is as it should be.
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def status(home: Path, only: Collection[str] = ()) -> dict[str, Any]:
    """What runs and what is ready (of `only`, if given), as `qaztech status --json` prints it."""
    if not is_founded(home):
        raise NotFound("country.none", f"there is no country in {home}; `qaztech up --home {home}` makes one")
    country = read_country(home)
    processes = {p.name: _state(home, p) for p in _kept_too(home) if not only or p.name in only}
    ready = all(state == "ready" for state in processes.values())
    return {
        "ready": ready,
        "registry": country["registry"],
        "portal": country["portal"],
        "consoles": {
            name: {"url": url, "people": str(home / "members" / name / PASSWORDS)}
            for name, url in country.get("consoles", {}).items()
        },
        **_center(home, country),
        "restarts": {n: r for n, r in keeper.read_records(home / "run").items() if r["restarts"]},
        "nodes": [{key: node[key] for key in ("name", "member", "edge", "management")} for node in country["nodes"]],
        "anchor": country["anchor"],
        "console": {"url": console_of(country), "accounts": str(home / "registry" / PEOPLE_LIST)},
        "try": lines_to_paste(home, _command(), Ports(**country["ports"])),
        "processes": processes,
    }


def troubles(home: Path) -> dict[str, list[str]]:
    """What troubles each process, in its own words: why a node is not ready, its alarms; what one that ended said."""
    addresses = {f"node-{node['name']}": node["management"] for node in read_country(home)["nodes"]}
    found: dict[str, list[str]] = {}
    records = keeper.read_records(home / "run")
    for process in _kept_too(home):
        name = process.name
        if pid_of(home, name) is None:
            # Who was told to stop has no such file any more.
            found[name] = [_said_last(home, name)] if (home / "run" / f"{name}.pid").exists() else []
        elif name in addresses:
            found[name] = _node_troubles(addresses[name])
        elif name == ai_service.GATEWAY:
            found[name] = _gateway_troubles(process.health)
        if name in records:
            found[name] = [*found.get(name, ()), *_said_of_keeping(records[name])]
    return {name: texts for name, texts in found.items() if texts}


def _kept_too(home: Path) -> list[Process]:
    """The processes, and the keeper where there is one."""
    there = (home / "run" / f"{keeper.NAME}.pid").exists()
    return [*plan(home), *([Process(keeper.NAME, [], "")] if there else [])]


_STATES = {
    "waiting": "it is started again in a moment",
    "no-room": f"it is not started again while less than {keeper.ROOM >> 20} MiB are free: make room",
    "given-up": "it is not started again any more: see why, then `qaztech up`",
    "refused": "it is not started again, for that would mend nothing: see docs/howto/restore-a-log.md",
}


def _said_of_keeping(record: dict[str, Any]) -> list[str]:
    """How often the keeper has started it again, and what it does about it now."""
    said = []
    if record["restarts"]:
        times = "once" if record["restarts"] == 1 else f"{record['restarts']} times"
        last = datetime.fromtimestamp(record["last"] / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        said.append(f"started again {times}, last at {last}, for {record['why']}")
    if record["state"] in _STATES:
        said.append(_STATES[record["state"]])
    return said


def _node_troubles(url: str) -> list[str]:
    try:
        facts = ask(url, "/status", seconds=2.0)
    except Error:
        return ["does not answer yet"]
    alarms = [(alarm["code"], alarm["detail"]) for alarm in facts["alarms"]]
    told = {detail for _, detail in alarms}
    return [*(why for why in facts["reasons"] if why not in told), *(f"{detail} ({code})" for code, detail in alarms)]


def _gateway_troubles(url: str) -> list[str]:
    """Why it refuses calls, and what has begun to fail: it says so with 503 too."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=2.0)
    try:
        connection.request("GET", parts.path)
        facts = json.loads(connection.getresponse().read())
    except (OSError, HTTPException, ValueError):
        return ["does not answer yet"]
    finally:
        connection.close()
    return [*facts.get("reasons", ()), *facts.get("warnings", ())]


def _center(home: Path, country: dict[str, Any]) -> dict[str, Any]:
    """Where support center and gateway are, if the country has them; `installed`: whether what it needs is here."""
    if "centre" not in country:
        return {}
    people = str(home / centre.FOLDER / centre.PASSWORDS)
    ai = {"ai": country["ai"]} if "ai" in country and centre.is_installed() else {}
    return {**ai, "centre": {"url": country["centre"]["url"], "people": people, "installed": centre.is_installed()}}


def console_of(country: dict[str, Any]) -> str:
    """Where the registry's people sign in."""
    return str(country.get("console", f"{country['registry']}/console/"))


def wait(
    home: Path,
    seconds: float,
    tell: Callable[[str], None] = lambda _: None,
    only: Collection[str] = (),
    *,
    patient: bool = False,
) -> dict[str, Any]:
    """Wait until all is ready. Raises `Unavailable`, naming what is not, when the time is over or a process ended.

    With `patient` one that ended is waited for as long as the keeper will start it again.
    """
    deadline = time.monotonic() + seconds
    told: set[str] = set()
    while True:
        now = status(home, only)
        for name, state in now["processes"].items():
            if state == "ready" and name not in told:
                told.add(name)
                tell(f"{name} ready")
        if now["ready"]:
            return now
        ended = [name for name, state in now["processes"].items() if state == "not running"]
        if patient:
            ended = [name for name in ended if not _comes_back(home, name)]
        late = time.monotonic() > deadline
        if ended or late:
            missing = ended or [name for name, state in now["processes"].items() if state != "ready"]
            known = troubles(home)
            texts = [text for name in missing for text in known.get(name) or [_said_last(home, name)]]
            said = "".join(f"\n  {text}" for text in texts)
            raise Unavailable("country.not-ready", f"not ready: {', '.join(missing)}{said}")
        time.sleep(0.1)


def _comes_back(home: Path, name: str) -> bool:
    """Whether a process that ended is started again by the keeper."""
    kept = keeper.read_records(home / "run").get(name)
    given_up = kept is None or kept["state"] in {"given-up", "refused"}
    return not given_up and pid_of(home, keeper.NAME) is not None and spawning.was_left(home / "run", name)


def _said_last(home: Path, name: str) -> str:
    path = home / "run" / f"{name}.log"
    return f"{path}: {spawning.last_line(path, MOST_OF_A_LINE)}"


def pid_of(home: Path, name: str) -> int | None:
    """The process id, if that process still runs (and is the one that was started)."""
    return spawning.pid_of(home / "run", name)


def running(home: Path) -> Iterator[tuple[str, int]]:
    """Name and process id of everything that runs."""
    for process in plan(home):
        pid = pid_of(home, process.name)
        if pid is not None:
            yield process.name, pid


def _state(home: Path, process: Process) -> str:
    if pid_of(home, process.name) is None:
        return "not running"
    return "ready" if not process.health or _answers(process.health) == 200 else "not ready"


def _answers(url: str) -> int | None:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=2.0)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def _command() -> str:
    """The command as this user would type it."""
    beside = Path(sys.executable).with_name("qaztech")
    try:
        return str(beside.relative_to(Path.cwd())) if beside.exists() else "qaztech"
    except ValueError:
        return str(beside)


def management(home: Path, node: str, path: str, method: str = "GET", seconds: float = 130.0) -> Any:
    """Ask the management API of a node, given by its name or its member; gives the JSON.

    Raises `NotFound` and `Unavailable` with its words.
    """
    if not is_founded(home):
        raise NotFound("country.none", f"there is no country in {home}; `qaztech up --home {home}` makes one")
    country = read_country(home)
    found = next((n for n in country["nodes"] if node in {n["name"], n["member"]}), None)
    if found is None:
        names = ", ".join(n["name"] for n in country["nodes"])
        raise NotFound("node.unknown", f"there is no node {node!r} in {home / COUNTRY_FILE}; it has {names}")
    return ask(found["management"], path, method, seconds=seconds, name=node)


def ask(url: str, path: str, method: str = "GET", *, seconds: float = 130.0, name: str = "", token: str = "") -> Any:
    """Ask the management API at a URL; gives the JSON. Raises `NotFound` and `Unavailable` with its words."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        connection.request(method, path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        body = json.loads(answer.read())
    except (OSError, HTTPException, ValueError) as exc:
        raise Unavailable("node.unreachable", f"node {name} does not answer at {url}") from exc
    finally:
        connection.close()
    if answer.status == 200:
        return body
    kind = NotFound if answer.status == 404 else Unavailable
    raise kind(body.get("code", "node.error"), body.get("title", f"node {name} answered {answer.status}"))
