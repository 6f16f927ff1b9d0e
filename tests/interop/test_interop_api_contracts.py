"""Registry, portal and member's console answer as their descriptions say: asked by Schemathesis, in a whole country."""

from __future__ import annotations

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
from qaztech.testing.instance import Instance
from qaztech.trust.keys import Ed25519Key
from qaztech.trust.national import TestAuthority

RUNNING = (
    "registry", "witness-archive", "system-codes", "node-ministry", "node-registers", "console-ministry", "portal",
)  # fmt: skip
DAY = 86_400_000


@pytest.fixture(scope="module")
def tester(pytestconfig: pytest.Config) -> ContractTester:
    """Schemathesis."""
    assert pytestconfig.cache is not None
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


def test_the_registry_answers_as_it_is_described(tester: ContractTester, country: Instance, tmp_path: Path) -> None:
    """All that nodes, organisations that join and the registry's operator may ask."""
    targets = country.home / "registry" / "tuf" / "targets"
    directory = next(path.name for path in targets.iterdir() if path.name.endswith(".directory.json"))
    id_ = apply(country)
    known = (
        Known(path="/registry/metadata/{name}", values={"name": ("timestamp.json", "1.root.json")}),
        Known(path="/registry/targets/{path}", values={"path": (directory,)}),
        Known(path="/registry/log/{path}", values={"path": ("tile/0/000.p/1", "tile/entries/000.p/1")}),
        Known(path="/members/applications/{id}", values={"id": (id_,)}),
        Known(path="/manage/applications/{id}", values={"id": (id_,)}),
    )
    token = (country.home / "registry" / "management.token").read_text().strip()
    url = f"{country.country['registry']}/api/openapi.json"
    tester.ask(url, tmp_path, token=token, known=known)


def test_the_portal_answers_as_it_is_described(tester: ContractTester, country: Instance, tmp_path: Path) -> None:
    """The catalogue, for anyone."""
    parts = dict(zip(("member_class", "code", "subsystem", "service"), country.service.split("/")[1:], strict=True))
    values = {parameter: (value,) for parameter, value in parts.items()}
    service = "/api/v1/services/{member_class}/{code}/{subsystem}/{service}"
    member = {name: values[name] for name in ("member_class", "code")}
    known = (Known(path=service, values=values), Known(path="/api/v1/members/{member_class}/{code}", values=member))
    tester.ask(f"{country.country['portal']}/api/v1/openapi.json", tmp_path, known=known)


def test_a_members_console_answers_as_it_is_described(
    tester: ContractTester, country: Instance, tmp_path: Path
) -> None:
    """All that a member's people and their programs may ask."""
    message = country.call().message
    known = tuple(
        Known(path=path, values={"message": (message,)})
        for path in ("/exchanges/{message}", "/exchanges/{message}/receipt")
    )
    token = console_token(country, "ministry")
    url = f"{country.country['consoles']['ministry']}/api/v1/openapi.json"
    tester.ask(url, tmp_path, token=token, known=known, examples=5)
