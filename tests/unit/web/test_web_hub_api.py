"""The support center's API: looking for objects, changing rows as they were looked at, taking back, deciding."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("duckdb")

from test_web_hub_matrix import API

from hub_office import HOLDERS, HubOffice
from operational_logs import START
from people_console import PASSWORD, Reply, Visitor
from qaztech.core.bin import reserved_bin
from qaztech.core.errors import Halt
from qaztech.hub.detectors.finding import Fact, Finding
from qaztech.hub.register.archimate import read_model
from qaztech.hub.register.store import Edit
from qaztech.hub.scopes import HUB_ROLES
from qaztech.people.actors import COMMAND_LINE
from qaztech.people.roles import allowed
from registry_country import quick_folder

ROOT = Path(__file__).parents[3]
BODY = reserved_bin(810)
EDITS = [
    Edit(table="organisations", values={"bin": BODY, "name_ru": "Комитет лесного хозяйства"}),
    Edit(
        table="objects",
        values={
            "id": "ds-1", "name_kk": "Орман есебі жүйесі", "name_ru": "Система учёта леса",
            "name_en": "Forest register", "owner_bin": BODY, "kato": "110000000", "status": "planning",
            "functions": ["F1"],
        },
    ),
    Edit(table="objects", values={"id": "ds-2", "name_ru": "Учёт водных объектов", "status": "operation"}),
    Edit(table="costs", values={"object": "ds-1", "year": 2026, "kind": "support", "tenge": 5}),
]  # fmt: skip
ROW = {"reason": "by a program", "values": {"id": "ds-1"}}


class Program:
    """A program with the token of one role."""

    def __init__(self, office: HubOffice, role: str) -> None:
        people = office.people
        until = office.clock.now() + 86_400_000
        owner = people.accounts.named(HOLDERS[role]).id
        self._token = people.tokens.create(owner, "t", HUB_ROLES[role], until, by=COMMAND_LINE)[0]
        self._visitor = Visitor(office.app, origin=None)

    def ask(self, method: str, path: str, body: object = None, *, seen: int | str | None = None) -> Reply:
        """One call; `seen` is the version looked at."""
        headers = {"authorization": f"Bearer {self._token}"}
        if seen is not None:
            headers["if-match"] = f'"{seen}"'
        if method == "GET":
            return self._visitor.get(f"/api/v1{path}", headers)
        return self._visitor.send_json(method, f"/api/v1{path}", body, headers)

    def get(self, path: str) -> Any:
        """A good answer."""
        reply = self.ask("GET", path)
        assert reply.status == 200, reply.text
        return reply.json()


@pytest.fixture
def office() -> Iterator[HubOffice]:
    """A centre with two objects."""
    with quick_folder() as folder:
        office = HubOffice(folder / "hub", deliver=False)
        office.objects.apply(EDITS, by="a", source="s", at=START)
        yield office
        office.close()


@pytest.fixture
def analyst(office: HubOffice) -> Program:
    """An analyst's program."""
    return Program(office, "analyst")


def refused(reply: Reply, status: int, code: str) -> None:
    assert (reply.status, reply.json()["code"]) == (status, code), reply.text
    assert reply.headers["content-type"] == "application/problem+json"


def test_each_role_does_its_own(office: HubOffice) -> None:
    """By the table of scopes and by nothing else."""
    for role in HOLDERS:
        program = Program(office, role)
        for (method, path), scope in API.items():
            where = path.removeprefix("/api/v1").replace("{id}", "none").replace("{table}", "none")
            reply = program.ask(method, where, {"none": 1}, seen=1)
            may = allowed(HUB_ROLES, role, scope)
            assert (reply.status == 403) is not may, (role, path, reply.text)
            assert reply.status in {200, 400, 403, 404}, (role, path, reply.text)


class TestLooking:
    @pytest.mark.parametrize(
        "query", ["орманның есебін", "учет лесов", "forests", "ds-1", BODY, "комитет лесной", "F1"]
    )
    def test_by_words_in_any_form(self, analyst: Program, query: str) -> None:
        """In three languages, by owner, by function, by what identifies it."""
        found = analyst.get(f"/objects?q={quote(query)}")
        assert [each["id"] for each in found["objects"]][:1] == ["ds-1"]

    def test_the_page_finds_the_same(self, office: HubOffice) -> None:
        """Words in any form, filters with them, and identifiers while they are typed."""
        visitor = Visitor(office.app)
        visitor.sign_in(HOLDERS["auditor"], PASSWORD)

        def ids(query: str) -> list[str]:
            return [each["id"] for each in visitor.get(f"/console/objects.json?{query}").json()["objects"]]

        for text in ("орманның есебін", "учет лесов", "forests", "комитет лесной", BODY, BODY[:7]):
            assert ids(f"q={quote(text)}")[:1] == ["ds-1"], text
        assert ids("q=ds-") == ids("") == ["ds-1", "ds-2"]
        assert ids(f"q={quote('водный объект')}&status=operation") == ["ds-2"]
        assert ids(f"q={quote('водный объект')}&status=planning") == ids("q=nothing-like-it") == []
        page = visitor.get(f"/console/objects?lang=ru&q={quote('учет лесов')}").text
        assert "Система учёта леса" in page

    def test_by_what_is_declared(self, analyst: Program) -> None:
        """Filters narrow it, pages turn it; each line has the quality of its record."""
        assert analyst.get("/objects?status=operation")["objects"][0]["id"] == "ds-2"
        assert analyst.get(f"/objects?owner={BODY}&region=11")["total"] == 1
        assert analyst.get(f"/objects?owner={BODY}&region=75")["total"] == 0
        page = analyst.get("/objects?limit=1&offset=1")
        assert (page["total"], [each["id"] for each in page["objects"]]) == (2, ["ds-2"])
        assert 0 <= page["objects"][0]["quality"] <= 100

    @pytest.mark.parametrize(
        "query", ["status=flying", "limit=0", "limit=1001", "none=1", "q=a&q=b", "offset=x", f"q={'a' * 201}"]
    )
    def test_a_query_that_is_none(self, analyst: Program, query: str) -> None:
        """Is refused rather than understood in part."""
        refused(analyst.ask("GET", f"/objects?{query}"), 400, "request.query")

    def test_one_object_with_all_rows(self, analyst: Program) -> None:
        """And the version to change it by."""
        reply = analyst.ask("GET", "/objects/ds-1")
        found = reply.json()
        assert found["object"]["name_en"] == "Forest register"
        assert found["rows"]["costs"] == [{"object": "ds-1", "year": 2026, "kind": "support", "tenge": 5}]
        assert reply.headers["etag"] == '"1"'
        assert {gap["what"] for gap in found["gaps"]} >= {"missing"}
        refused(analyst.ask("GET", "/objects/none"), 404, "objects.none")

    def test_tables_and_rows(self, analyst: Program) -> None:
        """What may be declared, and what is."""
        tables = {table["name"]: table for table in analyst.get("/tables")}
        status = next(column for column in tables["objects"]["columns"] if column["name"] == "status")
        assert "operation" in status["choices"]
        assert analyst.get("/rows/costs?object=ds-1")["total"] == 1
        assert analyst.get("/rows/objects?object=ds-2")["rows"][0]["id"] == "ds-2"
        assert analyst.get("/rows/objects")["total"] == 2
        refused(analyst.ask("GET", "/rows/none"), 404, "objects.table")

    def test_the_model_is_the_registry(self, analyst: Program) -> None:
        """As ArchiMate, for other tools."""
        reply = analyst.ask("GET", "/model.xml")
        assert reply.headers["content-type"].startswith("application/xml")
        assert {edit.values.get("id") for edit in read_model(reply.body).edits} >= {"ds-1", "ds-2"}


class TestChanging:
    def test_a_patch_changes_what_it_names(self, office: HubOffice, analyst: Program) -> None:
        """With who and why in the history, and as an act of the admin log."""
        body = {"reason": "order 7", "values": {"id": "ds-1", "declared_users": 40000, "stack": ["Java 8", "Go 1.20"]}}
        reply = analyst.ask("PATCH", "/rows/objects", body, seen=1)
        assert (reply.status, reply.json()["version"], reply.headers["etag"]) == (200, 2, '"2"')
        row = office.objects.register().objects["ds-1"]
        assert (row.declared_users, row.stack, row.name_en) == (40000, ("Java 8", "Go 1.20"), "Forest register")
        (newest, *_) = analyst.get("/rows/objects/history?key=ds-1")
        assert (newest["batch"]["by"], newest["batch"]["source"]) == ("aigerim", "api: order 7")
        asyncio.run(office.log.drain(office.people.engine))
        assert ("aigerim", "objects.change") in {(each.act.who, each.act.act) for each in office.log.acts()}

    def test_a_put_sets_the_whole_row(self, office: HubOffice, analyst: Program) -> None:
        """What it does not name is not declared any more; a new row is made."""
        body = {"reason": "r", "values": {"id": "ds-1", "name_kk": "Орман"}}
        assert analyst.ask("PUT", "/rows/objects", body, seen=1).status == 200
        assert office.objects.register().objects["ds-1"].name_en == ""
        body = {"reason": "r", "values": {"id": "ds-9", "critical": True}}
        assert analyst.ask("PUT", "/rows/objects", body, seen=0).status == 200
        assert office.objects.register().objects["ds-9"].critical

    def test_who_looked_before_a_change_is_refused(self, office: HubOffice, analyst: Program) -> None:
        """Of the same row; a change of another row is no matter."""
        office.objects.apply([Edit(table="objects", values={"id": "ds-2", "area": "x"})], by="b", source="s", at=START)
        assert (
            analyst.ask("PATCH", "/rows/objects", {**ROW, "values": {"id": "ds-1", "area": "y"}}, seen=1).status == 200
        )
        reply = analyst.ask("PATCH", "/rows/objects", {**ROW, "values": {"id": "ds-2", "area": "y"}}, seen=1)
        refused(reply, 409, "objects.changed")
        refused(analyst.ask("PATCH", "/rows/objects", {**ROW, "values": {"id": "ds-2", "area": "z"}}, seen=99), 409,
                "objects.changed")  # fmt: skip
        for seen in (None, "x", "1.0"):
            refused(analyst.ask("PATCH", "/rows/objects", ROW, seen=seen), 400, "objects.if-match")

    @pytest.mark.parametrize(
        ("table", "values", "code"),
        [
            ("objects", {"id": "ds-1", "owner_bin": "123456789012"}, "cell.bin"),
            ("objects", {"id": "ds-1", "none": 1}, "objects.column"),
            ("objects", {"name_ru": "x"}, "row.fields"),
            ("objects", {"id": "ds-1", "id2": "x"}, "objects.column"),
            ("costs", {"object": "ds-1", "year": 2026, "kind": "support", "tenge": -1}, "cell.range"),
            ("objects", {"id": "ds-1", "name_ru": "x" * 20_001}, "cell.long"),
        ],
    )
    def test_what_no_cell_may_hold(
        self, office: HubOffice, analyst: Program, table: str, values: Any, code: str
    ) -> None:
        """Is refused, and nothing changes."""
        refused(analyst.ask("PATCH", f"/rows/{table}", {"reason": "r", "values": values}, seen=1), 400, code)
        assert office.objects.register().version == 1

    def test_a_status_that_the_life_cycle_does_not_let(self, analyst: Program) -> None:
        """As on the page: written off before it was made."""
        body = {"reason": "r", "values": {"id": "ds-1", "status": "written_off"}}
        refused(analyst.ask("PATCH", "/rows/objects", body, seen=1), 409, "lifecycle.refused")

    def test_a_batch_is_made_whole_or_not_at_all(self, office: HubOffice, analyst: Program) -> None:
        """Dry first; undone as one."""
        edits = [
            {"table": "objects", "values": {"id": "ds-3", "name_ru": "Новая"}},
            {"table": "costs", "values": {"object": "ds-1", "year": 2026, "kind": "support"}, "remove": True},
        ]
        dry = analyst.ask("POST", "/batches", {"reason": "r", "edits": edits, "dry_run": True}, seen=1).json()
        assert dry["batch"] is None
        assert {change["key"] for change in dry["changes"]} == {"ds-3", "ds-1|2026|support||"}
        bad = [*edits, {"table": "objects", "values": {"id": "ds-4", "status": "flying"}}]
        refused(analyst.ask("POST", "/batches", {"reason": "r", "edits": bad}, seen=1), 400, "cell.choice")
        assert office.objects.register().version == 1
        made = analyst.ask("POST", "/batches", {"reason": "r", "edits": edits}, seen=1).json()["batch"]
        assert (made["added"], made["removed"]) == (1, 1)
        assert len(analyst.get(f"/batches/{made['id']}")["changes"]) > 2
        assert analyst.ask("POST", f"/batches/{made['id']}/undo", {}).status == 201
        refused(analyst.ask("POST", f"/batches/{made['id']}/undo", {}), 409, "objects.undone")
        assert "ds-3" not in office.objects.register().objects
        assert [each["id"] for each in analyst.get("/batches?limit=2")] == [3, 2]
        assert [each["id"] for each in analyst.get("/batches?before=2")] == [1]

    def test_nothing_changes_while_the_admin_log_is_halted(self, office: HubOffice, analyst: Program) -> None:
        """What could not be recorded does not happen."""
        office.log._log._halted = Halt("log.halted", "stopped")
        reply = analyst.ask("PATCH", "/rows/objects", {**ROW, "values": {"id": "ds-1", "area": "y"}}, seen=1)
        assert reply.status == 503
        assert analyst.get("/objects")["version"] == 1


class TestBringing:
    def bring(self, analyst: Program, text: str, query: str) -> Reply:
        """A CSV file as the body."""
        headers = {"authorization": f"Bearer {analyst._token}", "content-type": "application/octet-stream"}
        return analyst._visitor.send("POST", f"/api/v1/imports?{query}", text.encode(), headers)

    def test_a_file_is_planned_and_taken(self, office: HubOffice, analyst: Program) -> None:
        """Dry first; the same again changes nothing."""
        text = "id;Наименование ИС;Статус\nds-7;Новая система;эксплуатация\n"
        dry = self.bring(analyst, text, "name=register.csv&dry_run=true").json()
        assert (dry["rows"], dry["refused"], dry["batch"]) == ({"objects": 1}, False, None)
        assert ("ds-7", "status", "operation") in {(c["key"], c["field"], c["after"]) for c in dry["changes"]}
        done = self.bring(analyst, text, "name=register.csv").json()
        assert (done["batch"]["added"], done["batch"]["source"], done["version"]) == (1, "import:register.csv", 2)
        assert self.bring(analyst, text, "name=register.csv").json()["batch"] is None
        assert office.objects.register().objects["ds-7"].name_ru == "Новая система"

    def test_wrong_rows_refuse_the_file_unless_the_good_are_wanted(self, office: HubOffice, analyst: Program) -> None:
        """Each is told by sheet, row and column."""
        text = "id;name_ru;status\nds-7;A;trial\nds-8;B;flies\n"
        told = self.bring(analyst, text, "name=../../register.csv").json()
        assert (told["refused"], told["wrong"], told["batch"]) == (True, 1, None)
        assert [(p["sheet"], p["row"], p["code"]) for p in told["problems"]] == [("register", 3, "cell.choice")]
        assert office.objects.register().version == 1
        taken = self.bring(analyst, text, "name=register.csv&take_good_rows=true").json()
        assert (taken["refused"], taken["batch"]["added"]) == (False, 1)

    def form(self, analyst: Program, query: str, **parts: str) -> Reply:
        """A form, as programs send one; the part `file` is one."""
        body = b""
        for name, text in parts.items():
            file = '; filename="x"' if name == "file" else ""
            body += f'--x\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n{text}\r\n'.encode()
        headers = {"authorization": f"Bearer {analyst._token}", "content-type": "multipart/form-data; boundary=x"}
        return analyst._visitor.send("POST", f"/api/v1/imports?{query}", body + b"--x--\r\n", headers)

    def test_conflicts_are_decided_with_the_file(self, office: HubOffice, analyst: Program) -> None:
        """A dry run names the rows; each is then left out, another system or the same, as on the page."""
        row = f"Система учёта леса;{BODY}"
        text = f"Наименование ИС;БИН владельца;Статус\nПочта;{BODY};создание\nПочта;{BODY};эксплуатация\n"
        text += f"Почта;{BODY};архив\n{row};эксплуатация\n"
        dry = self.form(analyst, f"name={quote('Лист')}.csv&dry_run=true", file=text).json()
        places = [(each["sheet"], each["row"]) for each in dry["problems"] if each["code"] == "object.twice"]
        assert places == [("Лист", 3), ("Лист", 4)]
        decided = [
            {"sheet": sheet, "row": row, "decision": word}
            for (sheet, row), word in zip(places, ("new", "skip"), strict=True)
        ]
        done = self.form(analyst, f"name={quote('Лист')}.csv", file=text, decisions=json.dumps(decided)).json()
        assert (done["refused"], done["wrong"]) == (False, 0)
        objects = office.objects.register().objects
        assert sorted(each.status for each in objects.values() if each.name_ru == "Почта") == ["creation", "operation"]
        assert objects["ds-1"].status == "operation"

    def test_what_is_no_form_of_a_file_and_decisions(self, office: HubOffice, analyst: Program) -> None:
        """Nothing is read of it, and nothing guessed."""
        one = '{"sheet": "a", "row": 2, "decision": "same"}'
        for parts, code in [
            ({"decisions": "[]"}, "form.malformed"),
            ({"file": "x", "other": "y"}, "form.malformed"),
            ({"file": "x", "decisions": "{}"}, "import.decision"),
            ({"file": "x", "decisions": one.replace("same", "best").join("[]")}, "import.decision"),
            ({"file": "x", "decisions": f"[{one}, {one}]"}, "import.decision"),
        ]:
            refused(self.form(analyst, "name=a.csv", **parts), 400, code)
        assert office.objects.register().version == 1

    @pytest.mark.parametrize("name", ["x.exe", "x.xlsx", "x.zip", "x.xml", ".", "x"])
    def test_what_is_no_register(self, analyst: Program, name: str) -> None:
        """Whatever its name says."""
        reply = self.bring(analyst, "nothing", f"name={name}")
        assert (reply.status, reply.json()["code"].partition(".")[0] in {"table", "archimate"}) == (400, True)


def test_findings_are_listed_and_decided(office: HubOffice, analyst: Program) -> None:
    """As in the queue's pages, with the version that was seen."""
    fact = Fact(what="status", value="planning", source="objects/ds-1/status")
    office.findings.refresh([Finding(detector="orphan", objects=("ds-1",), evidence=(fact,), confidence=0.9, money=7)])
    (case,) = analyst.get("/findings?object=ds-1&state=open&detector=orphan")["findings"]
    assert analyst.get("/findings?object=ds-2")["total"] == 0
    body = {"key": case["key"], "version": case["version"], "state": "measure", "measure": {
        "owner_bin": BODY, "responsible": "Head of IT", "due": "2027-01-31", "text": "Name an owner"}}  # fmt: skip
    decided = analyst.ask("POST", "/findings/decision", body).json()
    assert (decided["state"], decided["measure"]["due"]) == ("measure", "2027-01-31")
    refused(analyst.ask("POST", "/findings/decision", body), 409, "finding.changed")
    assert analyst.get("/findings?key=orphan%7Cds-1")["findings"][0]["state"] == "measure"


def test_the_description_is_what_is_served(office: HubOffice) -> None:
    """Kept in the reference, made from the calls, with the scope of each."""
    served = Visitor(office.app).get("/api/v1/openapi.json").json()
    kept = json.loads((ROOT / "docs/reference/hub-api.json").read_text(encoding="utf-8"))
    assert served == kept
    described = {
        (method.upper(), f"/api/v1{path}"): operation["x-scope"]
        for path, operations in served["paths"].items()
        for method, operation in operations.items()
    }
    assert described == API


def test_the_description_is_sound() -> None:
    """By the same checks that a member's console makes of its services' own."""
    from qaztech.member.openapi import read_description

    text = (ROOT / "docs/reference/hub-api.json").read_bytes()
    assert [each for each in read_description(text).findings if each.severity == "error"] == []
