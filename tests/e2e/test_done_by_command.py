"""The guide `docs/howto/join.md`, typed line by line on a second machine: from an application to being called.

The second machine has a network of its own: what the guide calls `registry.example` and `node.university.example` are
both ends of a cable. The operator types at the registry's machine; who asks for access is a ministry of the country.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qaztech.core.bin import reserved_bin
from qaztech.testing.consoles import FOLDER
from qaztech.testing.instance import Instance
from second_machine import SecondMachine

GUIDE = Path(__file__).parents[2] / "docs/howto/join.md"
RUNNING = ("registry", "witness-archive", "node-ministry", "console-ministry")
MEMBER = f"KZ/EDU/{reserved_bin(40)}"
SERVICE = f"{MEMBER}/library/books"
CLIENT = "KZ/GOV/991340000017/permits"


def steps() -> dict[str, list[tuple[str, str]]]:
    """What is typed or written at each numbered step of the guide: who or where, and the text."""
    found: dict[str, list[tuple[str, str]]] = {}
    for part in re.split(r"(?m)^## ", GUIDE.read_text(encoding="utf-8"))[1:]:
        blocks = re.findall(r"^```(?:sh|yaml|toml) ([^\n]+)\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
        found[part.partition(".")[0]] = blocks
    return found


class Place:
    """Both machines, and who types at them."""

    def __init__(self, country: Instance, machine: SecondMachine) -> None:
        self.country, self.machine, self.home = country, machine, machine.home
        self.known: dict[str, str] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        port = country.country["ports"]["registry"]
        self.registry = f"http://{machine.here}:{port}"

    def localised(self, text: str) -> str:
        """A text of the guide with the addresses of these machines."""
        text = text.replace("http://registry.example:8401", self.registry)
        return text.replace("node.university.example", self.machine.there)

    def follow(self, number: str, block: int) -> str:
        """Do what one block of a step says; gives what was printed."""
        who, text = steps()[number][block]
        text = self.localised(text)
        if who.startswith("~/"):
            path = self.home / who.removeprefix("~/")
            path.write_text((path.read_text() if path.suffix == ".toml" else "") + text, encoding="utf-8")
            return ""
        if who == "you running":
            self.running[text.strip()] = self.machine.start(text.strip(), self.home / "running.log")
            return ""
        if who == "operator":
            return self.operate(text)
        if who == "ministry":
            return self.operate(text.replace("$MINISTRY", self.country.country["consoles"]["ministry"]))
        return self.machine.type(text, **self.known)

    def step(self, number: str) -> list[str]:
        """Do all that a step says."""
        return [self.follow(number, block) for block in range(len(steps()[number]))]

    def operate(self, script: str) -> str:
        """At the registry's own machine, where the embedded country's folder is `~/.qaztech`."""
        script = script.replace("~/.qaztech", str(self.country.home)).replace("$APPLICATION", self.known.get("A", ""))
        command = (
            f'export QAZTECH_HOME="{self.country.home}" PATH="{Path(sys.executable).parent}:$PATH"; set -eu; {script}'
        )
        ran = subprocess.run(["bash", "-c", command], cwd=self.home, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A country here, and a machine elsewhere."""
    folder = tmp_path_factory.mktemp("joining")
    (folder / "there").mkdir()
    with (
        SecondMachine(folder / "there") as machine,
        Instance(folder / "home", only=RUNNING, host=machine.here) as country,
    ):
        yield Place(country, machine)


def test_the_organisation_applies_and_is_admitted(place: Place) -> None:
    """Steps 1 to 3: a key, an application that somebody signed, the operator's decision, the first member file."""
    (made,) = place.step("1")
    assert MEMBER in made
    place.step("2")
    place.known["A"] = place.operate("qaztech registry applications").split()[0]
    place.follow("3", 0)
    assert "admitted" in place.follow("3", 1)


def test_its_node_enrols_from_the_second_machine(place: Place) -> None:
    """Step 4: the token carries the registry's address there; the node's certificate is made by the registry here."""
    place.step("4")
    identity = json.loads((place.home / "node" / "node.json").read_text())
    assert identity["address"] == f"{place.machine.there}:5500"


def test_a_service_is_published_from_its_openapi_file(place: Place) -> None:
    """Step 5: the difference is shown, made, and then there is none."""
    printed = place.step("5")
    shown = next(text for text in printed if "+ service" in text)
    assert [f"+ description of {SERVICE}" in shown, f"+ passport of {SERVICE}" in shown] == [True, True]
    assert "so already" in place.machine.type(place.localised(steps()["5"][2][1]).splitlines()[0])


def test_a_request_for_access_arrives_is_approved_and_the_ministry_calls(place: Place) -> None:
    """Steps 6 and 7: node and console run there; what the ministry asks for here is decided there and holds."""
    told = place.follow("6", 0)
    lines = "".join(f"{line.strip()}\n" for line in told.splitlines() if re.match(r"\s+(desk|limits) = ", line))
    toml = place.home / "node" / "node.toml"
    text = re.sub(r"(?m)^(\[\[members\]\]\n)", rf"\1{lines}", toml.read_text(), count=1)
    text = text.replace("witnessing_seconds = 30.0", "witnessing_seconds = 0.25")
    toml.write_text("refresh_seconds = 0.5\n" + text)  # a test does not wait 20 seconds
    place.follow("6", 1)
    place.follow("6", 2)
    machine, country = place.machine, place.country
    machine.type("for i in $(seq 150); do curl -fsS http://127.0.0.1:4000/ready && exit; sleep 0.2; done; exit 1")
    machine.type("for i in $(seq 150); do curl -fsS http://127.0.0.1:8420/health && exit; sleep 0.2; done; exit 1")
    country.until(lambda: calls(place) == 500)  # no right yet
    asked = ask(place)
    (listed,) = place.follow("7", 1).splitlines()[1:]
    place.known["REQUEST"], state = listed.split()[:2]
    assert (state, f"{CLIENT} → {SERVICE}" in listed) == ("submitted", True)
    shown = place.follow("7", 2)
    assert ("Кітап қорын салыстыру" in shown, f"{place.known['REQUEST']} is approved" in shown) == (True, True)
    country.until(lambda: calls(place) == 200, 20.0)
    assert country.call("/other.json", service=SERVICE).status == 500, "no more than was given"
    known = place.operate(
        f"qaztech member requests poll {asked} --console {country.country['consoles']['ministry']} "
        "--token-file ministry.token --json"
    )
    assert json.loads(known)["state"] == "approved"


def calls(place: Place) -> int:
    """What the ministry gets when it calls the service."""
    answer = place.country.call("/books.json", service=SERVICE)
    if answer.status == 200:
        assert json.loads(answer.body) == [{"title": "Абай жолы"}]
        place.known["MESSAGE_ID"] = answer.message
    return answer.status


def ask(place: Place) -> str:
    """The ministry asks for access by its own console, with the guide's command; the request's id there."""
    database = place.country.home / "members" / "ministry" / FOLDER / "console.db"
    place.operate(
        "qaztech people token developer --token-name t --scope requests:read --scope requests:write "
        f"--database {database} --out ministry.token"
    )
    told = []

    def brought() -> bool:
        """Its node hears of the new member in a moment; what was asked before stays as unsent."""
        try:
            told.append(json.loads(place.follow("7", 0)))
        except AssertionError as exc:
            told.append({"state": "unsent", "said": str(exc)})
        return bool(told[-1]["state"] == "submitted")

    try:
        place.country.until(brought, 20.0)
    except TimeoutError:
        pytest.fail(str(told[-1]))
    return str(told[-1]["id"])


def test_the_receipt_proves_the_call_on_the_second_machine(place: Place) -> None:
    """Step 8: by the node's own management API, witnessed, checked there."""
    place.step("8")


def test_the_key_is_changed_and_calls_go_on(place: Place) -> None:
    """Step 9: another key, the same lineage; the showcase is signed again."""
    printed = place.step("9")
    assert "1 changes made" in printed[0]
    assert calls(place) == 200
    place.country.until(lambda: calls(place) == 200)


def test_the_node_is_lost_and_comes_back_from_its_backup(place: Place) -> None:
    """Step 10: killed with a call on record after the backup; its new log continues the old one, and it is called."""
    place.follow("10", 0)
    assert calls(place) == 200
    process = next(process for command, process in place.running.items() if "qaztech node run" in command)
    process.kill()
    process.wait()
    identity = (place.home / "node" / "node.json").read_text()
    shutil.rmtree(place.home / "node")
    place.country.until(lambda: calls(place) == 500)
    closed = re.search(r"closed +(\S+) at", place.follow("10", 1))
    assert closed is not None
    assert closed[1] in identity
    place.follow("10", 2)
    place.country.until(lambda: calls(place) == 200, 40.0)
    place.machine.type(place.localised(steps()["8"][0][1]), **place.known)


def test_nothing_of_the_guide_was_left_out() -> None:
    """Whoever adds a step adds it here."""
    assert list(steps()) == [str(number) for number in range(1, 11)]
