"""What is to be seen on the screenshots: a country with services, calls, applications and requests. All fictitious.

The same things happen in the same order each time; keys, ids and times are new, as in every country.
"""

from __future__ import annotations

import contextlib
import io
import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from qaztech.cli.main import main
from qaztech.core.bin import reserved_bin
from qaztech.core.time import SystemClock
from qaztech.member.console import CONSOLE_ROLES
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.people import People
from qaztech.people.tables import PEOPLE
from qaztech.runtime.database import open_database, sqlite_url
from qaztech.testing.instance import Instance

DAY = 86_400_000
LAW = {
    "act": "V1400009804",
    "title": {
        "kk": "Рұқсаттар және хабарламалар туралы заң",
        "ru": "Закон о разрешениях и уведомлениях",
        "en": "Law on permits and notifications",
    },
    "provision": "14",
}  # fmt: skip
UNIT = {"kk": "Рұқсат беру басқармасы", "ru": "Управление разрешений", "en": "Permits department"}
ROLE = {"kk": "басқарма басшысы", "ru": "руководитель управления", "en": "head of department"}
HOLDER = {"kk": "Рұқсаттар тізілімі", "ru": "Реестр разрешений", "en": "Register of permits"}
SERVICES: tuple[dict[str, Any], ...] = (
    {
        "code": "permits",
        "names": {
            "kk": "Рұқсаттар тізілімінен анықтама",
            "ru": "Справка из реестра разрешений",
            "en": "Certificate from the register of permits",
        },
        "purpose": {
            "kk": "Ұйымға берілген рұқсаттың бар-жоғын және мерзімін көрсетеді.",
            "ru": "Показывает, есть ли у организации разрешение и до какого срока.",
            "en": "Shows whether an organisation has a permit, and until when.",
        },
        "field": "permit",
        "element": {"kk": "Рұқсаттың нөмірі", "ru": "Номер разрешения", "en": "Permit number"},
        "personal": False,
    },
    {
        "code": "applicants",
        "names": {
            "kk": "Өтініш берушінің мәліметтері",
            "ru": "Сведения о заявителе",
            "en": "Particulars of an applicant",
        },
        "purpose": {
            "kk": "Рұқсат сұраған азаматтың мәліметтерін басқа органға қайта сұратпай береді.",
            "ru": "Отдаёт сведения о гражданине, чтобы другой орган не запрашивал их снова.",
            "en": "Gives a citizen's particulars so that no other body asks for them again.",
        },
        "field": "iin",
        "element": {"kk": "ЖСН", "ru": "ИИН", "en": "IIN"},
        "personal": True,
    },
)  # fmt: skip
NEWCOMERS = (
    ("EDU", 40, "Жетісу техника университеті", "Жетысуский технический университет", "Zhetisu Technical University"),
    # The first letter `a` of the Kazakh name is Latin: it looks like the university that is a member already.
    ("EDU", 41, "Дaла университеті (үлгі)", "Второй степной университет", "Second Steppe University"),
    ("COM", 42, "«Алатау жүктері» ЖШС", "ТОО «Алатау жүктері»", "Alatau Freight LLP"),
)  # fmt: skip


def act(country: Instance, folder: Path) -> dict[str, str]:
    """Let it all happen; gives what the pages' addresses are made of."""
    facts = _calls(country)
    tokens = {name: console_token(country, name) for name in country.country["consoles"]}
    _publish(country, tokens["ministry"])
    facts |= _request(country, tokens)
    facts |= _applications(country, folder)
    return facts


def console_token(country: Instance, name: str) -> str:
    """A token of a member's administrator."""
    engine = open_database(sqlite_url(country.home / "members" / name / "console" / "console.db"), PEOPLE)
    clock = SystemClock()
    people = People(engine, roles=CONSOLE_ROLES, clock=clock)
    owner, scopes = people.accounts.named("admin").id, CONSOLE_ROLES["administrator"]
    secret, _ = people.tokens.create(owner, "Screenshots", scopes, clock.now() + DAY, by=COMMAND_LINE)
    engine.dispose()
    return secret


def ask(url: str, method: str, path: str, token: str, body: Any = None) -> Any:
    """One call of a management API."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    if answer.status >= 300:
        raise SystemExit(f"{method} {path}: {answer.status} {said.decode()}")
    return json.loads(said)


def _calls(country: Instance) -> dict[str, str]:
    paths = ("/countries/KZ.json?_shape=object", "/currencies/KZT.json?_shape=object", "/languages.json?_size=1")
    answers = [country.call(path) for _ in range(4) for path in paths]
    country.call("/countries.json?_size=1", node="university")
    refused = country.call("/currencies.json", node="university")
    country.receipt(answers[0].message)
    return {"message": answers[0].message, "refused": refused.message}


def _publish(country: Instance, token: str) -> None:
    url = country.country["consoles"]["ministry"]
    system = country.node("ministry")["system"]
    for service in SERVICES:
        body = {"service": f"{system}/{service['code']}", "passport": _passport(service), "url": "http://127.0.0.1:9/"}
        ask(url, "PUT", "/api/v1/services", token, body)


def _passport(service: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "qaztech-passport 1",
        "names": service["names"],
        "purpose": service["purpose"],
        "owner": {"unit": UNIT, "role": ROLE},
        "legal_basis": [LAW],
        "serves": None,
        "data": [{"field": service["field"], "names": service["element"], "personal": service["personal"]}],
        "personal": service["personal"],
        "categories": ["identity"] if service["personal"] else [],
        "source": {"names": HOLDER, "holder": None, "original": True},
        "environment": "production",
        "contact": "permits@ministry.example",
        "availability": {"percent": "99.50", "hours": "24x7"},
        "version": "1",
        "deprecated": None,
        "successor": None,
    }


def _request(country: Instance, tokens: dict[str, str]) -> dict[str, str]:
    """The centre of registers asks the ministry twice, and the ministry asks it; one request is left to decide."""
    consoles = country.country["consoles"]
    systems = {name: country.node(name)["system"] for name in consoles}
    form = {
        "type": "qaztech-access-request 1",
        "basis": "№ 12 бұйрық, 2027 жылғы 1 маусым",
        "calls_a_day": 2000,
        "calls_a_minute": 60,
        "until": "2028-12-31",
        "requested_by": "administrator",
    }
    purposes = {
        "registers": {
            "kk": "Тіркеу кезінде рұқсаттың бар-жоғын тексеру",
            "ru": "Проверка разрешения при регистрации",
            "en": "Checking the permit at registration",
        },
        "ministry": {
            "kk": "Рұқсат беру кезінде валюта кодтарын тексеру",
            "ru": "Сверка кодов валют при выдаче разрешений",
            "en": "Checking currency codes when permits are given",
        },
    }
    made = {}
    for name, service in (
        ("registers", f"{systems['ministry']}/applicants"),
        ("registers", f"{systems['ministry']}/permits"),
        ("ministry", country.service),
    ):
        asked = {
            **form, "service": service, "client": systems[name], "endpoints": ["GET /**"], "purpose": purposes[name],
            "contact": f"desk@{name}.example",
        }  # fmt: skip
        made[service] = ask(consoles[name], "POST", "/api/v1/requests", tokens[name], asked)["id"]
    waiting, *others = ask(consoles["ministry"], "GET", "/api/v1/access", tokens["ministry"])
    _approve(consoles["ministry"], tokens["ministry"], others[0])
    owned = ask(consoles["registers"], "GET", "/api/v1/access", tokens["registers"])[0]
    _approve(consoles["registers"], tokens["registers"], owned)
    mine = made[country.service]
    ask(consoles["ministry"], "POST", f"/api/v1/requests/{mine}/poll", tokens["ministry"], {})
    return {"asked": waiting["id"], "made": mine, "own": "permits/permits"}


def _approve(url: str, token: str, received: dict[str, Any]) -> None:
    granted = {"endpoints": ["GET /**"], "until": "2028-12-31", "calls_a_minute": 60, "calls_a_day": 2000}
    body = {"version": received["version"], "approve": granted}
    ask(url, "POST", f"/api/v1/access/{received['id']}/decision", token, body)


def _applications(country: Instance, folder: Path) -> dict[str, str]:
    """Three apply; one is admitted, one refused, and the one with a name like another's waits."""
    registry, token = country.country["registry"], (country.home / "registry" / "management.token").read_text().strip()
    ids = []
    for kind, number, kk, ru, en in NEWCOMERS:
        bin_, desk = reserved_bin(number), folder / str(number)
        _run("member", "new", "--desk", desk, "--id", f"KZ/{kind}/{bin_}", "--name-kk", kk, "--name-ru", ru,
             "--name-en", en)  # fmt: skip
        _run("registry", "test-signer", "--directory", country.home / "registry", "--name", "Signatory of a test",
             "--iin", "991300000019", "--bin", bin_, "--out", folder / f"{number}.pem")  # fmt: skip
        filed = _run("member", "apply", "--desk", desk, "--registry", registry, "--signer", folder / f"{number}.pem",
                     "--unit", "Ақпараттық технологиялар бөлімі", "--email", f"it@applicant{number}.example",
                     "--phone", "+77010000000")  # fmt: skip
        ids.append(filed["id"])
    for id_, admit, reason in ((ids[0], True, ""), (ids[2], False, "Өтініш басқа ұйымның атынан берілген.")):
        ask(registry, "POST", f"/manage/applications/{id_}", token, {"admit": admit, "version": 1, "reason": reason})
    university = country.node("university")["member"]
    for suspended, reason in ((True, "Ұйымның өз өтініші бойынша"), (False, "Тексеру аяқталды")):
        body = {"member": university, "suspended": suspended, "reason": reason}
        ask(registry, "POST", "/manage/suspend", token, body)
    return {"application": ids[1]}


def _run(*arguments: object) -> dict[str, Any]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = main([*map(str, arguments), "--json"])
    if status:
        raise SystemExit(f"qaztech {' '.join(map(str, arguments[:2]))}: {status}")
    found: dict[str, Any] = json.loads(said.getvalue())
    return found
