"""The support center on the screenshots: its pages over the national sample, and what their addresses are made of."""

from __future__ import annotations

import json
import time
from typing import Any

from playwright.sync_api import FilePayload, Page

from qaztech.core.bin import reserved_bin

# Name, path, what it shows, and what a picture has of its own.
PAGES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("sign-in", "/sign-in", "signing in; every page says that the sample is made up", {}),
    ("overview", "/console/", "the overview: what is at stake, and where", {}),
    ("overview-ru", "/console/", "the overview in Russian", {"language": "ru"}),
    ("findings", "/console/cases", "findings, most money first", {}),
    ("finding", "/console/cases/case?key={finding}", "a finding: evidence, sources, what a person decides", {}),
    ("finding-en", "/console/cases/case?key={finding}", "the same in English", {"language": "en"}),
    ("bodies", "/console/bodies", "bodies, by what is at stake", {}),
    ("body", "/console/bodies/body?code={body}", "the summary of one body", {}),
    ("objects", "/console/objects?q={query}", "search in the registry of digital objects by word forms", {}),
    ("objects-phone", "/console/objects", "the registry on a phone", {"language": "ru", "width": 360}),
    ("object", "/console/objects/object?id={object}", "one system: declared and observed", {}),
    ("landscape", "/console/landscape", "the landscape: who exchanges with whom", {"wait": 2000}),
    ("regions", "/console/regions", "regions as tiles", {}),
    ("traffic", "/console/traffic", "what nodes delivered", {}),
    ("import", "/console/import", "bringing a register, and taking it back", {}),
    ("import-columns", "/console/import", "what the columns of a file are", {"step": "bring"}),
    ("overview-dark", "/console/", "the overview on a dark screen", {"dark": True}),
)
WAIT_SECONDS = 900
REGISTER = f"""Наименование ИС;БИН владельца;Статус;Сопровождение 2025 факт, тыс. тенге
Учёт школьных автобусов;{reserved_bin(720)};в эксплуатации;1 200,5
Реестр ветеринарных паспортов;{reserved_bin(720)};создание;
""".encode("cp1251")


def facts(page: Page, site: str) -> dict[str, str]:
    """What addresses are made of, once the detectors have run: the finding with most money, its object and owner."""
    until = time.monotonic() + WAIT_SECONDS
    while not (found := _read(page, f"{site}/console/cases.json")["findings"]):
        if time.monotonic() > until:
            raise SystemExit("the detectors found nothing in time")
        page.wait_for_timeout(2000)
    finding = next(each for each in found if not each["objects"][0].startswith("bin:"))
    object_ = _read(page, f"{site}/console/objects/object.json?id={finding['objects'][0]}")["object"]
    return {
        "finding": finding["key"],
        "object": object_["id"],
        "body": object_["owner_bin"] or "",
        "query": "реестров",
    }


def bring(page: Page) -> None:
    """A file is brought; its columns are shown."""
    file: FilePayload = {"name": "реестр.csv", "mimeType": "text/csv", "buffer": REGISTER}
    page.locator("input[type=file]").set_input_files(file)
    page.locator("form[enctype] button").click()
    page.wait_for_url("**/columns**")


def _read(page: Page, url: str) -> Any:
    return json.loads(page.request.get(url).text())
