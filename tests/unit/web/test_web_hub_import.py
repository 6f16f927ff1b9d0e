"""A register brought through the pages: columns, conflicts, errors by row, nothing half done, undoing, exporting."""

from __future__ import annotations

import asyncio
import io
import re
import sys
import threading
import zipfile
from collections.abc import Coroutine, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("python_calamine")

from hub_office import HOLDERS, HubOffice
from people_console import _LOOP, PASSWORD, Reply, Visitor
from qaztech.core.bin import reserved_bin
from qaztech.hub.register import waiting
from qaztech.hub.register.rows import Cost
from qaztech.hub.register.waiting import KEPT_MS, Waiting
from qaztech.hub.scopes import HUB_ROLES
from qaztech.people.actors import COMMAND_LINE
from qaztech.web.hub_import_work import MOST_QUEUED, THREADS
from qaztech.web.hub_pages import hub_texts
from registry_country import quick_folder

OWNER = reserved_bin(720)
FILE = f"""Наименование ИС;БИН владельца;Статус;Сопровождение 2025 факт, тыс. тенге
Учёт воды;{OWNER};в эксплуатации;1 200,5
<script>alert(1)</script>;{OWNER};летает;5
Учёт воды;{OWNER};создание;7
""".encode("cp1251")


@pytest.fixture
def office() -> Iterator[HubOffice]:
    """A centre with an empty registry of digital objects."""
    with quick_folder() as folder:
        office = HubOffice(folder / "hub", deliver=False)
        yield office
        office.close()


@pytest.fixture
def analyst(office: HubOffice) -> Visitor:
    """An analyst who has signed in."""
    visitor = Visitor(office.app)
    assert visitor.sign_in(HOLDERS["analyst"], PASSWORD).status == 303
    return visitor


def upload(visitor: Visitor, name: str, data: bytes) -> Reply:
    """Bring a file, as a browser sends it."""
    csrf = visitor.get("/console/import").csrf
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{csrf}\r\n'.encode(),
        f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode(),
        data + b"\r\n--x--\r\n",
    ]  # fmt: skip
    return visitor.send("POST", "/console/import", b"".join(parts), {"content-type": "multipart/form-data; boundary=x"})


def place_of(reply: Reply) -> str:
    """The page of the file that waits."""
    assert reply.status == 303, reply.text
    return reply.headers["location"].partition("/columns")[0]


def chosen(page: Reply) -> dict[str, str]:
    """The fields of a form as they stand."""
    found = {"csrf": page.csrf}
    for name, inside in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', page.text, re.DOTALL):
        option = re.search(r'value="([^"]*)" selected', inside)
        found[name] = option[1] if option else ""
    found |= dict(re.findall(r'<input name="(y[^"]+)"[^>]* value="([^"]*)"', page.text))
    return found


def test_an_analyst_brings_a_register_and_takes_it_back(office: HubOffice, analyst: Visitor) -> None:
    """From the file to its columns, its errors and conflicts, the good rows, and back."""
    place = place_of(upload(analyst, "реестр.csv", FILE))
    columns = analyst.get(f"{place}/columns?lang=ru")
    assert "Сопровождение 2025 факт" in columns.text
    assert "Учёт воды · &lt;script&gt;" in columns.text
    form = chosen(columns)
    assert (form["f0.0"], form["f0.3"], form["u0.3"], form["y0.3"], form["s0.3"]) == (
        "name_ru", "cost.support", "1000", "2025", "paid",
    )  # fmt: skip
    assert analyst.submit(f"{place}/columns", form).headers["location"].startswith(place)
    plan = analyst.get(f"{place}?lang=ru")
    assert "летает" in plan.text
    assert "промышленная эксплуатация" in plan.text
    assert "<script>" not in plan.text
    assert analyst.submit(place, {"csrf": plan.csrf}).status == 400
    assert not list(office.objects.register())
    decide = next(name for name in chosen(plan) if name.startswith("d:"))
    analyst.submit(f"{place}/decisions", {"csrf": plan.csrf, decide: "skip"})
    assert analyst.submit(place, {"csrf": plan.csrf, "good": "yes"}).status == 303
    register = office.objects.register()
    assert [each.name_ru for each in register.objects.values()] == ["Учёт воды"]
    assert [cost.tenge for cost in register.all(Cost).values()] == [1_200_500]
    assert analyst.get(f"{place}/left-out.xlsx").body.startswith(b"PK")
    change = analyst.get("/console/import/changes/1?lang=kk")
    assert "Учёт воды" in change.text
    assert analyst.submit("/console/import/undo", {"csrf": change.csrf, "batch": "1"}).status == 303
    assert not list(office.objects.register())
    again = place_of(upload(analyst, "другой.csv", FILE.replace("Статус".encode("cp1251"), "СТАТУС".encode("cp1251"))))
    assert 'class="outcome waits"' not in analyst.get(f"{again}/columns").text


def test_a_dry_run_names_rows_and_gives_every_difference(office: HubOffice, analyst: Visitor) -> None:
    """Rows by what they are about; how many of how many are shown, all as a file; a conflict by names and cells."""
    head = "Наименование ИС;БИН владельца;Статус;Сопровождение 2025 факт, тыс. тенге;Назначение\n"
    head += f"Учёт воды;{OWNER};создание;3;\n"
    rows = "".join(f"Система {n} а{n:x}б{n * 7919:x};{OWNER};создание;{n};\n" for n in range(60))
    place = place_of(upload(analyst, "a.csv", f"{head}{rows}Учёт воды;{OWNER};создание;7;=Учёт\n".encode()))
    analyst.submit(f"{place}/columns", chosen(analyst.get(f"{place}/columns")))
    plan = unescape(analyst.get(f"{place}?lang=ru").text)
    assert re.search(r"Учёт воды · 2025 · [^<]*[^<·]+ · [^<·]+</th>", plan, re.IGNORECASE)
    assert re.search(r"Показаны первые поля: 200 из \d{3}\.", plan)
    assert "Учёт воды</strong>" in plan
    assert re.search(r'<td[^>]*data-label="Эта строка">7</td><td[^>]*>3</td>', plan)
    decide = next(name for name in chosen(analyst.get(place)) if name.startswith("d:"))
    csrf = analyst.get(place).csrf
    analyst.submit(f"{place}/decisions", {"csrf": csrf, decide: "skip"})
    file = analyst.get(f"{place}/differences.csv?lang=ru").body.decode("utf-8-sig").splitlines()
    assert file[0] == "Таблица реестра,Запись,Ключ,Поле,Было,Станет"
    assert len(file) > 201
    assert analyst.submit(place, {"csrf": csrf, "good": "yes"}).status == 303
    done = analyst.get("/console/import/changes/1/differences.csv?lang=ru").body.decode("utf-8-sig").splitlines()
    assert len(done) == len(file)
    assert "Учёт воды" in unescape(analyst.get("/console/import/changes/1?lang=ru").text)


def test_a_reader_that_fails_is_told_apart_from_a_bad_file(
    analyst: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Words for the person who brought it, and a line of log that says where; of the file no word."""
    words = hub_texts("en")["imports"]["problem"]
    bad = upload(analyst, "a.xlsx", b"PK no workbook")
    assert (bad.status, words["table.unreadable"] in unescape(bad.text)) == (400, True)
    assert "table.unreadable" in str([vars(record).get("fields") for record in caplog.records])
    program = tmp_path / "python"
    program.write_text("""#!/bin/sh
echo '  File "/x/workbook.py", line 7' >&2
echo "NameError: Secret" >&2
exit 1
""")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    broken = upload(analyst, "a.xlsx", b"PK")
    assert (broken.status, words["table.reader"] in unescape(broken.text)) == (503, True)
    told = str([vars(record).get("fields") for record in caplog.records])
    assert "NameError workbook.py:7" in told
    assert "Secret" not in told


def test_a_sheet_said_to_be_another_table_is_looked_at_again(analyst: Visitor) -> None:
    """And a column of costs is not taken without its year."""
    place = place_of(upload(analyst, "a.csv", b"x;y\n1;2\n"))
    form = chosen(analyst.get(f"{place}/columns"))
    assert analyst.submit(f"{place}/columns", {**form, "t0": "objects"}).headers["location"].endswith("columns-again")
    form = chosen(analyst.get(f"{place}/columns"))
    refused = analyst.submit(f"{place}/columns", {**form, "f0.0": "cost.support", "f0.1": "id"})
    assert refused.status == 400
    assert "year" in refused.text
    assert 'name="y0.0"' in analyst.submit(f"{place}/columns", {**form, "f0.0": "cost.support"}).text


def test_what_is_no_register_does_not_wait(office: HubOffice, analyst: Visitor) -> None:
    """Other files, empty ones, damaged ones, too large ones."""
    for name, data in {"a.exe": b"MZ", "a.csv": b"", "a.xlsx": b"hello", "b.csv": b"id\n"}.items():
        assert upload(analyst, name, data).status == 400, name
    big = {"content-type": "multipart/form-data; boundary=x", "content-length": str(70 * 1024**2)}
    assert analyst.send("POST", "/console/import", b"", big).status == 429
    assert list(office.parts.waiting.glob("*/*")) == []


def test_a_file_is_seen_by_who_brought_it_and_for_a_day(office: HubOffice, analyst: Visitor) -> None:
    """Nobody else finds it, and then it is gone."""
    place = place_of(upload(analyst, "a.csv", FILE))
    office.people.accounts.add("marat", "Marat", ["analyst"], PASSWORD, by=COMMAND_LINE)
    other = Visitor(office.app)
    other.sign_in("marat", PASSWORD)
    assert other.get(place).status == 404
    assert analyst.get("/console/import/../../etc").status in {404, 303}
    Waiting(office.parts.waiting).clean(office.clock.now() + KEPT_MS + 1)
    assert analyst.get(place).status == 404


def test_each_person_has_room_for_files_of_their_own(
    office: HubOffice, analyst: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who fills theirs keeps nobody else from bringing one; what is imported makes room, what waits does not."""
    monkeypatch.setattr(waiting, "MOST_WAITING", 3)
    row = FILE.splitlines(keepends=True)[0] + FILE.splitlines(keepends=True)[1]
    first = place_of(upload(analyst, "a.csv", row))
    analyst.submit(first, {"csrf": analyst.get(first).csrf})
    places = [place_of(upload(analyst, f"{name}.csv", row)) for name in "bcd"]
    assert analyst.get(first).status == 404
    refused = upload(analyst, "e.csv", row)
    assert (refused.status, refused.headers["retry-after"]) == (429, "3600")
    assert "Forget one" in refused.text
    office.people.accounts.add("marat", "Marat", ["analyst"], PASSWORD, by=COMMAND_LINE)
    other = Visitor(office.app)
    other.sign_in("marat", PASSWORD)
    assert upload(other, "a.csv", row).status == 303
    analyst.submit(f"{places[0]}/forget", {"csrf": analyst.get(places[1]).csrf})
    assert upload(analyst, "e.csv", row).status == 303
    monkeypatch.setattr(waiting, "MOST_BYTES", 2000)
    assert "too much room" in upload(other, "b.csv", row).text


def test_the_registry_is_exported_as_it_is_imported(office: HubOffice, analyst: Visitor) -> None:
    """A workbook and a ZIP, in the language of the page; bringing it back changes nothing."""
    place = place_of(upload(analyst, "a.csv", FILE.splitlines(keepends=True)[0] + FILE.splitlines(keepends=True)[1]))
    analyst.submit(place, {"csrf": analyst.get(place).csrf})
    book = analyst.get("/console/import/export.xlsx?lang=kk")
    assert book.headers["content-disposition"] == 'attachment; filename="objects.xlsx"'
    with zipfile.ZipFile(io.BytesIO(analyst.get("/console/import/export.zip?lang=ru").body)) as archive:
        assert "Цифровые объекты.csv" in archive.namelist()
    back = place_of(upload(analyst, "back.xlsx", book.body))
    page = analyst.get(f"{back}?lang=en")
    assert "Nothing is new" in page.text
    assert analyst.submit(back, {"csrf": page.csrf}).headers["location"].startswith("/console/import?")
    assert len(office.objects.batches()) == 1


def test_a_long_reading_says_how_far_it_is(
    office: HubOffice, analyst: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page does not wait for it; the next look has the plan."""
    monkeypatch.setattr("qaztech.web.hub_import._PATIENCE", 0.0)
    rows = "".join(f"is-{number};Учёт {number};создание\n" for number in range(1200))
    place = place_of(upload(analyst, "a.csv", f"ID;Наименование ИС;Статус\n{rows}".encode()))
    assert "Reading goes on" in analyst.get(f"{place}?lang=en").text
    monkeypatch.setattr("qaztech.web.hub_import._PATIENCE", 20.0)
    page = analyst.get(f"{place}?lang=en")
    assert "1\u202f200" in page.text
    assert analyst.submit(place, {"csrf": page.csrf}).status == 303
    assert len(office.objects.register().objects) == 1200


def test_no_page_waits_behind_files_and_too_many_are_refused(office: HubOffice, analyst: Visitor) -> None:
    """Whoever brings one more, by the page or by a program, is told when to come again."""
    place = place_of(upload(analyst, "a.csv", FILE))
    go = threading.Event()

    async def occupy() -> list[asyncio.Future[bool]]:
        return [office.parts.imports.begin(go.wait, 30) for _ in range(THREADS + MOST_QUEUED)]

    begun = _LOOP.run_until_complete(occupy())
    try:
        for page in ("/console/", "/console/import", "/console/objects", "/console/findings"):
            assert analyst.get(page).status == 200
        refused = upload(analyst, "b.csv", FILE)
        assert (refused.status, refused.headers["retry-after"]) == (429, "10")
        assert "Try again in some seconds" in refused.text
        refused = analyst.get(f"{place}?lang=ru")
        assert (refused.status, refused.headers["retry-after"]) == (429, "10")
        assert "Сейчас читаются другие файлы" in refused.text
        refused = by_program(office, "dry_run=true", FILE)
        assert (refused.status, refused.headers["retry-after"]) == (429, "10")
        assert refused.json()["code"] == "import.busy"
    finally:
        go.set()
        _LOOP.run_until_complete(asyncio.wait(begun))
    assert analyst.get(place).status == 200


def test_pages_answer_while_two_large_files_are_taken(office: HubOffice, analyst: Visitor) -> None:
    """One is only looked at, one is written; a page comes many times before both are done."""
    head, row = FILE.splitlines(keepends=True)[:2]
    data = head + b"".join(row.replace(b";", b" %d;" % number, 1) for number in range(1500))
    asked = [by_program_later(office, query, data) for query in ("dry_run=true", "dry_run=false")]
    tasks = [_LOOP.create_task(each) for each in asked]
    pages = 0
    while not all(task.done() for task in tasks):
        assert analyst.get("/console/").status == 200
        pages += 1
    assert [task.result().status for task in tasks] == [200, 200]
    assert len(office.objects.register().objects) == 1500
    assert pages >= 3


def by_program_later(office: HubOffice, query: str, data: bytes) -> Coroutine[Any, Any, Reply]:
    """A file brought by the API, to be awaited."""
    owner = office.people.accounts.named(HOLDERS["analyst"]).id
    until = office.clock.now() + 86_400_000
    token = office.people.tokens.create(owner, "t", HUB_ROLES["analyst"], until, by=COMMAND_LINE)[0]
    headers = {
        "host": "localhost:8410", "content-length": str(len(data)), "authorization": f"Bearer {token}",
        "content-type": "application/octet-stream",
    }  # fmt: skip
    return Visitor(office.app, origin=None)._send("POST", f"/api/v1/imports?name=c.csv&{query}", data, headers)


def by_program(office: HubOffice, query: str, data: bytes) -> Reply:
    """The same, awaited."""
    return _LOOP.run_until_complete(by_program_later(office, query, data))
