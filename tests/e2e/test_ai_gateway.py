"""A body calls a model that another hosts: over both nodes, on record at both, bounded by register and budget.

One country for all of these tests, with the stand-in and, where the extra `model` is installed, a real small model.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from qaztech.ai.gateway.budgeting import month_of
from qaztech.ai.gateway.budgets import Budgets
from qaztech.ai.gateway.keys import Keys
from qaztech.ai.gateway.usage import calls_of, statement
from qaztech.ai.proving import compare, prove, read_node
from qaztech.ai.register.store import METADATA as CARDS
from qaztech.ai.register.store import CardStore, Origin
from qaztech.cli.main import main
from qaztech.compose.gateway import open_books
from qaztech.core.bin import check_digit
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.time import SystemClock
from qaztech.runtime.database import open_database, reading, sqlite_url
from qaztech.testing import ai_service, real_model
from qaztech.testing.free_ports import free_ports
from qaztech.testing.instance import Answer, Instance, request

pytest.importorskip("duckdb")
# Born in month 13: valid by checksum, and nobody's.
IIN = f"99130130000{check_digit('99130130000')}"
CLOCK = SystemClock()
GEMMA = "gemma"


class AiCountry(Instance):
    """The country with what these tests ask of it."""

    @property
    def settings(self) -> Path:
        """Those of the gateway."""
        return self.home / ai_service.FOLDER / ai_service.SETTINGS

    def ask(self, content: str, *, key: str = "", model: str = ai_service.OFFERED, **more: Any) -> Answer:
        """A chat of one message by the gateway."""
        ai = self.country["ai"]
        shown = key or Path(ai["key"]).read_text().strip()
        body = {"model": model, "messages": [{"role": "user", "content": content}], **more}
        headers = {"Authorization": f"Bearer {shown}"}
        data = json.dumps(body, ensure_ascii=False).encode()
        return request(ai["gateway"], "POST", "/v1/chat/completions", body=data, headers=headers, seconds=60)

    def call(self, identifier: str) -> Any:  # type: ignore[override]
        """The ledger's row of a call."""
        with self.books() as engine, reading(engine) as db:
            return db.exec_driver_sql("SELECT * FROM ai_calls WHERE id = ?", (identifier,)).one()

    @contextmanager
    def books(self) -> Iterator[Any]:
        """The gateway's database."""
        _, engine = open_books(self.settings)
        yield engine
        engine.dispose()

    def headers(self, message: str, node: str) -> str:
        """The request's headers as a node's receipt discloses them; the receipt verifies, witnessed."""
        receipt = self.receipt(message, node=node, disclose=["headers"])
        file = self.home / f"{message}.json"
        file.write_text(json.dumps(receipt))
        assert main(["verify", str(file), "--anchor", str(self.anchor), "--require", "witnessed"]) == 0
        shown = next(each for each in receipt["disclosure"] if each["role"] == "request")
        return base64.b64decode(shown["value"]).decode()

    def act(self, *acts: str) -> None:
        """What the centre does with the card."""
        engine = open_database(sqlite_url(self.home / "centre" / "hub.db"), CARDS)
        store = CardStore(engine, CLOCK)
        for act in acts:
            version = store.card(ai_service.CARD).version
            store.act(ai_service.CARD, act, Origin(by="analyst", role="reviewer"), reason="test", version=version)
        engine.dispose()


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AiCountry]:
    """One country with a gateway; where the real model is installed its gateway knows that too."""
    country = AiCountry(tmp_path_factory.mktemp("ai") / "country", centre=True, ai=True, deliver_seconds=60)
    country.found()
    if real_model.is_installed():
        service = ServiceId(SubsystemId.parse(country.node("university")["system"]), GEMMA)
        text = country.settings.read_text()
        text += f'\n[[models]]\nname = "{GEMMA}"\n[[models.deployments]]\nname = "university"\nservice = "{service}"\n'
        text += f'model = "{real_model.MODEL}"\nmode = "local"\nprompt_price = 2000\ncompletion_price = 4000\n'
        country.settings.write_text(text)
    with country:
        Instance.until(lambda: country.ask("hello").status == 200, 20)
        yield country


@pytest.fixture
def key(country: AiCountry) -> Iterator[Callable[..., str]]:
    """Makes keys with a budget of their own."""

    def issue(tenge: int, *models: str) -> str:
        member = SubsystemId.parse(country.node("ministry")["system"]).member
        with country.books() as engine:
            budget = Budgets(engine, CLOCK).create(member=member, name="Test", kind="total", tenge=tenge, by="test")
            shown, _ = Keys(engine, CLOCK).issue(
                name="Test", member=member, system="permits", purpose="test", purpose_text="A test",
                card=ai_service.CARD, data_class="internal", models=models or [ai_service.OFFERED], budget=budget.id,
                by="test",
            )  # fmt: skip
        return shown

    return issue


def test_a_call_is_an_exchange_and_its_usage_another(country: AiCountry) -> None:
    """Both sides hold records of both; receipts verify and say who asked what for what, never the text."""
    answer = country.ask(f"Тексеріңіз: ЖСН {IIN}")
    assert answer.status == 200
    body = json.loads(answer.body)
    assert body["choices"][0]["message"]["content"] == f"You said: Тексеріңіз: ЖСН {IIN}"
    identifier = answer.headers["x-qaztech-call"]
    exchange = answer.headers["x-qaztech-exchange"]
    for node in ("ministry", "university"):
        said = country.headers(exchange, node)
        assert f"x-qaztech-ai:call={identifier}; card={ai_service.CARD}; purpose={ai_service.PURPOSE};" in said
        assert "class=personal; " in said
        assert "decision=masked iin:1" in said
        assert IIN not in said
    Instance.until(lambda: bool(country.call(identifier).told))
    row = country.call(identifier)
    for node in ("ministry", "university"):
        said = country.headers(row.usage_exchange, node)
        assert f"x-qaztech-ai-usage:call={identifier}; exchange={exchange};" in said
        assert f"prompt={row.prompt_tokens}; completion={row.completion_tokens};" in said
        assert f"cost={row.cost}; outcome=complete;" in said


def test_both_nodes_hold_the_same_statement(country: AiCountry, tmp_path: Path) -> None:
    """Summed from records at either side, and by the gateway's ledger: the same to the micro-tenge, call by call."""
    assert country.ask("statement").status == 200
    month = month_of(CLOCK.now())

    def all_told() -> bool:
        with country.books() as engine, reading(engine) as db:
            return not db.exec_driver_sql("SELECT 1 FROM ai_calls WHERE NOT told AND exchange IS NOT NULL").all()

    Instance.until(all_told, 20)
    nodes = (country.home / "nodes" / name for name in ("ministry", "university"))
    ours, theirs = (prove(read_node(node, month), month) for node in nodes)
    assert ours.lines == theirs.lines
    assert ours.total == theirs.total > 0
    assert compare(ours.each, [asdict(told) for told in theirs.each]) == []
    with country.books() as engine:
        member = SubsystemId.parse(country.node("ministry")["system"]).member
        ledger = [asdict(call) for call in calls_of(engine, member, month)]
        assert statement(engine, member, month).total == theirs.total
    assert compare(theirs.each, ledger) == []
    file = tmp_path / "calls.jsonl"
    file.write_text("\n".join(json.dumps(call) for call in ledger).replace('"cost": ', '"cost": 1', 1) + "\n")
    command = ["ai", "statement", "--management", country.node("university")["management"], "--month", month]
    assert main([*command, "--compare", str(file), "--json"]) == 1


def test_the_line_that_is_printed_calls_the_model(country: AiCountry) -> None:
    """As a newcomer pastes it into a shell."""
    line = country.country["ai"]["try"]
    said = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30, check=True).stdout
    assert json.loads(said)["choices"][0]["message"]["content"] == "You said: Сәлем!"


def test_a_stream_over_both_nodes(country: AiCountry) -> None:
    """Restored, marked, ended by `[DONE]` when it is on record."""
    answer = country.ask(f"Қара {IIN} енді", stream=True)
    events = [line[6:] for line in answer.body.decode().split("\n\n") if line]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(each) for each in events[:-1]]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == f"You said: Қара {IIN} енді"
    assert chunks[-1]["qaztech"]["synthetic"] is True
    assert country.call(answer.headers["x-qaztech-call"]).outcome == "complete"


def test_what_was_said_stands_in_no_file(country: AiCountry) -> None:
    """Neither in logs of processes, nor in the nodes' logs, nor in a database: not the number, not the words."""
    assert country.ask(f"Сирек сөз құпияжұлдыз, ЖСН {IIN}").status == 200
    needles = (IIN.encode(), "құпияжұлдыз".encode(), json.dumps("құпияжұлдыз").encode())
    files = [path for path in country.home.rglob("*") if path.is_file()]
    assert len(files) > 100
    assert [str(path) for path in files if any(needle in path.read_bytes() for needle in needles)] == []


def test_a_suspended_system_is_refused_within_seconds(country: AiCountry) -> None:
    """The register is asked every few seconds; what it lets go on goes on."""
    country.act("suspend")
    try:
        Instance.until(lambda: country.ask("hello").status == 403, 10)
        refused = country.ask("hello")
        assert json.loads(refused.body)["error"]["code"] == "ai.system.not-callable"
    finally:
        country.act("resume")
    Instance.until(lambda: country.ask("hello").status == 200, 10)


def test_a_budget_holds(country: AiCountry, key: Callable[..., str]) -> None:
    """It ends in 429, and never a micro-tenge above."""
    shown = key(10)
    statuses = [country.ask("word " * 30, key=shown, max_tokens=200).status for _ in range(5)]
    while statuses[-1] == 200:
        statuses.append(country.ask("word " * 30, key=shown, max_tokens=200).status)
    assert statuses[-1] == 429
    member = SubsystemId.parse(country.node("ministry")["system"]).member
    with country.books() as engine:
        budget = next(each for each in Budgets(engine, CLOCK).all(member=member) if each.tenge == 10)
    assert 0 <= budget.left < 10_000_000
    assert budget.present.reserved == 0


def test_a_gateway_that_dies_in_a_call_comes_back(country: AiCountry) -> None:
    """What it left open is settled in full: nothing is lost, nothing free."""
    ai = country.country["ai"]
    shown = Path(ai["key"]).read_text().strip()
    body = {"model": ai["model"], "messages": [{"role": "user", "content": "word " * 200}], "stream": True}
    command = [
        "curl",
        "-sN",
        f"{ai['gateway']}/v1/chat/completions",
        "-H",
        f"Authorization: Bearer {shown}",
        "-d",
        "@-",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as caller:
        assert caller.stdin is not None
        assert caller.stdout is not None
        caller.stdin.write(json.dumps(body).encode())
        caller.stdin.close()
        assert caller.stdout.readline().startswith(b"data: ")
        country.kill(ai_service.GATEWAY)
        assert b"[DONE]" not in caller.stdout.read()
    country.start()
    Instance.until(lambda: country.ask("hello").status == 200, 20)
    with country.books() as engine, reading(engine) as db:
        (orphan,) = db.exec_driver_sql("SELECT reserved, cost FROM ai_calls WHERE outcome = 'orphaned'").all()
        assert orphan.cost == orphan.reserved > 0


@pytest.mark.skipif(not real_model.is_installed(), reason="the extra `model` is not installed")
def test_a_real_model_answers_over_the_backbone(
    country: AiCountry, key: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A small one, which repeats what stands before it: the number it never saw comes back restored."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        real_model.command(port, tmp_path_factory.mktemp("gemma")), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        country.add_service("university", GEMMA, url)
        Instance.until(lambda: _answers(url), 60)
        shown = key(100, GEMMA)
        more = {"model": GEMMA, "key": shown, "max_tokens": 24, "temperature": 0}
        whole = country.ask(f"Repeat: {IIN} is the number.", **more)
        assert whole.status == 200, whole.body
        usage = json.loads(whole.body)["usage"]
        row = country.call(whole.headers["x-qaztech-call"])
        assert (row.prompt_tokens, row.completion_tokens) == (usage["prompt_tokens"], usage["completion_tokens"])
        streamed = country.ask(f"Repeat: {IIN} is the number.", stream=True, **more)
        lines = [line[6:] for line in streamed.body.decode().split("\n\n") if line.startswith("data: {")]
        deltas = [json.loads(line)["choices"][0]["delta"] for line in lines if json.loads(line)["choices"]]
        said = "".join(delta.get("content") or "" for delta in deltas)
        assert IIN in said
        assert "IIN_1" not in said
        assert len(deltas) > 5
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return request(url, "GET", "/v1/models", seconds=2).status == 200
    except OSError:
        return False
