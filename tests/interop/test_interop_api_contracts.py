"""Registry, portal and member's console answer as their descriptions say: asked by Schemathesis, in a whole country."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract_tester import ContractTester, Known, install
from qaztech.core.bin import reserved_bin
from qaztech.core.ids import MemberId
from qaztech.core.time import SystemClock
from qaztech.member.console import CONSOLE_ROLES
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.people import People
from qaztech.people.tables import PEOPLE
from qaztech.registry.application import binding_text, make_application, new_contact
from qaztech.registry.forms import Names, base64
from qaztech.registry.submitting import send
from qaztech.runtime.database import open_database, sqlite_url
from qaztech.testing.instance import Instance, request
from qaztech.trust.keys import Ed25519Key
from qaztech.trust.national import TestAuthority

RUNNING = (
    "registry", "witness-archive", "system-codes", "node-ministry", "node-registers", "console-ministry",
    "console-registers", "portal",
)  # fmt: skip
DAY = 86_400_000


@pytest.fixture(scope="module")
def tester(pytestconfig: pytest.Config) -> ContractTester:
    """Schemathesis."""
    return install(pytestconfig.cache)


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory, tester: ContractTester) -> Iterator[Instance]:
    """A country whose registry bears a tester: who sends much that is refused need not wait."""
    del tester
    country = Instance(tmp_path_factory.mktemp("contracts") / "home", only=RUNNING)
    country.found()
    settings = country.home / "registry" / "registry.toml"
    settings.write_text(f"refused_per_minute = 1000000\n{settings.read_text()}")
    with country:
        yield country


def console_token(country: Instance, name: str) -> str:
    """A token of a member's administrator, with every scope."""
    engine = open_database(sqlite_url(country.home / "members" / name / "console" / "console.db"), PEOPLE)
    people, clock = People(engine, roles=CONSOLE_ROLES, clock=SystemClock()), SystemClock()
    owner = people.accounts.named("admin").id
    scopes = CONSOLE_ROLES["administrator"]
    secret, _ = people.tokens.create(owner, "tester", scopes, clock.now() + DAY, by=COMMAND_LINE)
    engine.dispose()
    return secret


def apply(country: Instance) -> str:
    """One application, to be found by its id."""
    now, member, key = SystemClock().now(), MemberId("KZ", "EDU", reserved_bin(40)), Ed25519Key.generate()
    authority = TestAuthority.load(country.home / "registry")
    signer = authority.signer(name="Signatory of a test", iin="991300000019", bin_=member.code, now=now)
    sealed = make_application(
        member=member, key=key, names=Names(kk="Университет", ru="Университет", en="University"),
        contact=new_contact("IT department", "it@university.example", "+77010000000"), issued=now,
        binding=signer.sign(binding_text(str(member), base64(key.public), now)),
    )  # fmt: skip
    answer = send(country.country["registry"], "/members/applications", sealed)
    return str(answer["id"])


def ask_for_access(country: Instance) -> str:
    """The ministry asks for the service of codes; its request by id."""
    body = {
        "type": "qaztech-access-request 1", "service": country.service, "client": country.node("ministry")["system"],
        "endpoints": ["GET /**"], "purpose": {"kk": "Сынақ", "ru": None, "en": None}, "basis": "№ 1 бұйрық",
        "calls_a_day": 100, "calls_a_minute": 10, "until": None, "contact": "desk@ministry.example",
        "requested_by": "administrator",
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {console_token(country, 'ministry')}"}
    console = country.country["consoles"]["ministry"]
    answer = request(console, "POST", "/api/v1/requests", body=json.dumps(body).encode(), headers=headers)
    assert answer.status == 201, answer.body
    return str(json.loads(answer.body)["id"])


def test_the_registry_answers_as_it_is_described(tester: ContractTester, country: Instance, tmp_path: Path) -> None:
    """All that nodes, organisations that join and the registry's operator may ask."""
    targets = country.home / "registry" / "tuf" / "targets"
    directory = next(path.name for path in targets.iterdir() if path.name.endswith(".directory.json"))
    id_ = apply(country)
    university = country.node("university")["member"]
    newcomer = {
        "body.id": (f"KZ/EDU/{reserved_bin(50)}",),
        "body.lineage": ("a" * 64,),
        **{f"body.names.{language}": ("Университет",) for language in ("kk", "ru", "en")},
    }
    known = (
        Known(path="/registry/metadata/{name}", values={"path.name": ("timestamp.json", "1.root.json")}),
        Known(path="/registry/targets/{path}", values={"path.path": (directory,)}),
        Known(path="/registry/log/{path}", values={"path.path": ("tile/0/000.p/1", "tile/entries/000.p/1")}),
        Known(path="/members/applications/{id}", values={"path.id": (id_,)}),
        Known(path="/manage/applications/{id}", values={"path.id": (id_,)}),
        Known(path="/manage/members", values=newcomer),
        Known(path="/manage/suspend", values={"body.member": (university,)}),
        Known(path="/manage/revoke-tls", values={"body.tls": (base64(bytes(32)),)}),
    )
    token = (country.home / "registry" / "management.token").read_text().strip()
    url = f"{country.country['registry']}/api/openapi.json"
    tester.ask(url, tmp_path, token=token, known=known)


def test_the_portal_answers_as_it_is_described(tester: ContractTester, country: Instance, tmp_path: Path) -> None:
    """The catalogue, for anyone."""
    parts = dict(zip(("member_class", "code", "subsystem", "service"), country.service.split("/")[1:], strict=True))
    values = {f"path.{parameter}": (value,) for parameter, value in parts.items()}
    service = "/api/v1/services/{member_class}/{code}/{subsystem}/{service}"
    member = {name: values[name] for name in ("path.member_class", "path.code")}
    known = (Known(path=service, values=values), Known(path="/api/v1/members/{member_class}/{code}", values=member))
    tester.ask(f"{country.country['portal']}/api/v1/openapi.json", tmp_path, known=known)


def test_a_members_console_answers_as_it_is_described(
    tester: ContractTester, country: Instance, tmp_path: Path
) -> None:
    """All that the people of a member and their programs may ask."""
    message, made = country.call().message, ask_for_access(country)
    exchanges, requests = {"path.message": (message,)}, {"path.id": (made,)}
    known = (
        Known(path="/exchanges/{message}", values=exchanges),
        Known(path="/exchanges/{message}/receipt", values=exchanges),
        Known(path="/requests/{id}", values=requests),
        Known(path="/requests/{id}/poll", values=requests),
        Known(path="/requests/{id}/withdraw", values={**requests, "body.version": (1, 2)}),
    )
    token = console_token(country, "ministry")
    url = f"{country.country['consoles']['ministry']}/api/v1/openapi.json"
    tester.ask(url, tmp_path, token=token, known=known, examples=5)


def test_the_console_of_a_provider_answers_as_it_is_described(
    tester: ContractTester, country: Instance, tmp_path: Path
) -> None:
    """What an owner decides, of a request that is there and a service that others call."""
    ask_for_access(country)
    token, console = console_token(country, "registers"), country.country["consoles"]["registers"]
    headers = {"Authorization": f"Bearer {token}"}
    waiting = json.loads(request(console, "GET", "/api/v1/access", headers=headers).body)[0]["id"]
    known = (
        Known(path="/access/{id}", values={"path.id": (waiting,)}),
        Known(path="/access/{id}/decision", values={"path.id": (waiting,), "body.version": (1, 2, 3)}),
        Known(path="/services/notice", values={"body.service": (country.service,)}),
    )
    url = f"{console}/api/v1/openapi.json"
    tester.ask(url, tmp_path, token=token, known=known, examples=5, only="/(access|services|rights|systems)")
