"""The AI service of the embedded country: a stand-in for a model at one member, a gateway beside another's node.

Made so that a newcomer can call it at once: the AI system is in the register, a budget is there, the key's text stands
in `key.txt` in the gateway's folder, for who runs the country on this machine; nowhere else.
"""

from __future__ import annotations

import json
import shlex
import sys
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from qaztech.ai.gateway.budgets import Budgets
from qaztech.ai.gateway.keys import Keys
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.ai.register.card import (
    PROHIBITED,
    Card,
    Check,
    Contact,
    DataLibrary,
    Document,
    Evaluation,
    Marking,
    Model,
    Words,
)
from qaztech.ai.register.store import METADATA as CARDS
from qaztech.ai.register.store import CardStore, Origin
from qaztech.ai.terms import day_of
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.core.time import Clock
from qaztech.people.actors import COMMAND_LINE
from qaztech.registry.files import write_file, write_private
from qaztech.registry.forms import Names
from qaztech.runtime.database import add_tables, open_database, sqlite_url
from qaztech.testing.models import MODEL

MODELS, GATEWAY = "models", "gateway"
FOLDER, SETTINGS, KEY = "gateway", "gateway.toml", "key.txt"
OPENAPI = Path(__file__).with_name("models.openapi.yaml")
NAMES = Names(
    kk="Тілдік модель (үлгі)", ru="Языковая модель (пример)", en="Language model (demo)"
)  # fmt: skip
ENDPOINTS = tuple(
    Endpoint.parse(text)
    for text in ("POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings", "GET /v1/models")
)
# What callers name; the model behind it, and what it costs in tenge for a million tokens.
OFFERED = "steppe-echo"
VECTORS = "steppe-vectors"
_PRICES = ("prompt_price = 2000", "completion_price = 4000")
BUDGET_TENGE = 100
CARD = "permits-letters"
PURPOSE = "letters"


def service_of(host: SubsystemId) -> ServiceId:
    """The service by which a system offers the model."""
    return ServiceId(host, MODELS)


def node_lines(service: ServiceId, port: int, openapi: str) -> list[str]:
    """What the host's node is told of it."""
    return ["", "[[services]]", f'id = "{service}"', f'url = "http://127.0.0.1:{port}"', f'openapi = "{openapi}"']


def models_command(port: int) -> list[str]:
    """How the stand-in is started."""
    return [sys.executable, "-m", "qaztech.testing.models", str(port)]


def make_gateway(
    home: Path, *, caller: SubsystemId, edge: int, port: int, register: ServiceId, models: ServiceId, clock: Clock
) -> None:
    """A gateway as it can be started: its settings, a budget and a key."""
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    place = [
        "[[models.deployments]]",
        'name = "university"',
        f'service = "{models}"',
        f'model = "{MODEL}"',
        'version = "stand-in-1"',
        'mode = "closed"',
        *_PRICES,
    ]
    lines = [
        "# The gateway by which the ministry's systems call models. Paths are relative to this file.",
        'directory = "."',
        f'edge = "http://127.0.0.1:{edge}"',
        f'register = "{register}"',
        f"port = {port}",
        "# In a country for trying, what is decided about an AI system is seen at once.",
        "register_seconds = 5",
        "",
        "[[members]]",
        f'member = "{caller.member}"',
        "# Which of its systems asks the register how its AI systems stand.",
        f'asks_as = "{caller.code}"',
        "",
        "[[models]]",
        f'name = "{OFFERED}"',
        *place,
        "",
        "[[models]]",
        f'name = "{VECTORS}"',
        'kind = "embedding"',
        *place,
    ]
    write_file(folder / SETTINGS, ("\n".join(lines) + "\n").encode())
    engine = open_database(sqlite_url(folder / "gateway.db"), AI_GATEWAY)
    budget = Budgets(engine, clock).create(
        member=caller.member, name="Letters", kind="month", tenge=BUDGET_TENGE, by=str(COMMAND_LINE.name)
    )
    shown, _ = Keys(engine, clock).issue(
        name="Letters of the permits system", member=caller.member, system=caller.code, purpose=PURPOSE,
        purpose_text="Drafts of answers to letters of citizens", card=CARD, data_class="internal",
        models=[OFFERED, VECTORS], budget=budget.id, by=str(COMMAND_LINE.name),
    )  # fmt: skip
    engine.dispose()
    write_private(folder / KEY, f"{shown}\n".encode())


def register_card(database: Path, caller: SubsystemId, clock: Clock) -> None:
    """The caller's AI system in the register, in service since it was reviewed today."""
    engine = open_database(sqlite_url(database), CARDS)
    add_tables(engine, CARDS)
    store = CardStore(engine, clock)
    owner = Origin(by=str(caller), role="owner")
    reviewer = Origin(by="analyst", role="reviewer")
    version = store.put(_card(caller, clock), owner, version=0).version
    for act, origin in (("declare", owner), ("approve", reviewer), ("serve", owner)):
        version = store.act(CARD, act, origin, reason="", version=version).version
    engine.dispose()


def _card(caller: SubsystemId, clock: Clock) -> Card:
    day = day_of(clock.now()) - timedelta(days=30)
    kinds = ("user-agreement", "description", "risk-assessment", "data-passport", "test-report", "security")
    return Card(
        id=CARD,
        owner=str(caller.member),
        system=caller.code,
        names=Words(
            kk="Хаттарға жауап жобалары (үлгі)", ru="Проекты ответов на письма (пример)",
            en="Drafts of answers to letters (demo)",
        ),
        purpose=Words(
            kk="Азаматтардың хаттарына жауап жобасын ұсынады; қызметкер оны өзі жазып, қол қояды.",
            ru="Предлагает проект ответа на письмо гражданина; пишет и подписывает его сотрудник.",
            en="Proposes a draft of an answer to a citizen's letter; an official writes and signs it.",
        ),
        decides=Words(
            kk="Ештеңе шешпейді.", ru="Ничего не решает.", en="It decides nothing."
        ),
        models=(Model(name=MODEL, version="stand-in-1", maker="Steppe University (demo)"),),
        data=(
            DataLibrary(
                name="Letters of citizens (demo)", maker="Ministry of Permits (demo)", use="input",
                basis="94-V, art. 7", data_class="personal",
            ),
        ),
        risk="minimal",
        risk_reasons=Words(
            kk="Шешімді адам қабылдайды.", ru="Решение принимает человек.", en="A person decides."
        ),
        autonomy="low",
        mode="closed",
        highest_class="personal",
        prohibited=tuple(
            Check(capability=name, found=False, by="Head of the legal department (demo)", day=day)
            for name in PROHIBITED
        ),
        documents=tuple(
            Document(kind=kind, title=kind, sha256=sha256(kind.encode()).hexdigest(), day=day) for kind in kinds
        ),
        risk_review=day,
        marking=Marking(
            machine="field `qaztech.synthetic` of each answer, header X-QazTech-Synthetic",
            visible=Words(kk="Машина жасаған жоба", ru="Проект составлен машиной", en="Drafted by a machine"),
        ),
        human_review=Contact(
            how=Words(
                kk="Жауапты қызметкер тексереді", ru="Ответ проверяет сотрудник", en="An official checks the answer"
            ),
            address="tel:1414",
        ),
        objection=Contact(
            how=Words(
                kk="Хатта машинасыз жауап сұраңыз", ru="Попросите в письме ответ без машины",
                en="Ask in your letter for an answer without a machine",
            ),
            address="https://permits.example/objection",
        ),
        evaluation=(
            Evaluation(language="kk", measure="drafts kept by officials", value=0.81, day=day),
            Evaluation(language="ru", measure="drafts kept by officials", value=0.84, day=day),
            Evaluation(language="en", measure="drafts kept by officials", value=0.8, day=day),
        ),
    )  # fmt: skip


def call_line(home: Path, port: int) -> str:
    """A line for a terminal that calls the model."""
    body = json.dumps({"model": OFFERED, "messages": [{"role": "user", "content": "Сәлем!"}]}, ensure_ascii=False)
    key = f"$(cat {shlex.quote(str(home / FOLDER / KEY))})"
    return f'curl http://127.0.0.1:{port}/v1/chat/completions -H "Authorization: Bearer {key}" -d {shlex.quote(body)}'
