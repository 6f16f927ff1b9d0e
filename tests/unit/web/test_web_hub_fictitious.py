"""A centre with made-up data says so on every page, in three languages; a real one says nothing of the kind."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest

pytest.importorskip("duckdb")

from hub_office import HOLDERS, HubOffice
from people_console import PASSWORD, Visitor
from qaztech.core.bin import reserved_bin
from qaztech.hub.detectors.finding import Finding
from qaztech.hub.register.store import Edit
from qaztech.web import hub_book, printing
from qaztech.web.hub_app import HubSite
from qaztech.web.hub_pages import hub_texts
from qaztech.web.texts import LANGUAGES
from registry_country import quick_folder

PAGES = ("/console/", "/console/traffic", "/console/landscape", "/console/objects", "/account")
DOORS = ("/sign-in", "/sign-in?said=signed-out")
BODY = reserved_bin(860)


def test_every_page_says_that_it_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The overview, the traffic, the landscape, the registry; the page of signing in; what is printed."""
    monkeypatch.setattr(hub_book, "print_pdf", str.encode)
    with quick_folder() as folder:
        office = HubOffice(folder / "hub", deliver=False)
        edits = [
            Edit(table="organisations", values={"bin": BODY, "name_ru": "Комитет"}),
            Edit(table="objects", values={"id": "ds-1", "name_ru": "Учёт", "owner_bin": BODY}),
        ]
        office.objects.apply(edits, by="a", source="a", at=1)
        finding = Finding(detector="orphan", objects=("ds-1",), evidence=(), confidence=0.9)
        office.findings.refresh([finding])
        pages = (*PAGES, f"/console/bodies/body.pdf?code={BODY}", f"/console/cases/case.pdf?key={quote(finding.key)}")
        for fictitious in (False, True):
            app = HubSite(replace(office.parts, fictitious=fictitious)).app
            visitor, stranger = Visitor(app), Visitor(app)
            assert visitor.sign_in(HOLDERS["analyst"], PASSWORD).status == 303
            for language in LANGUAGES:
                words = str(hub_texts(language)["fictitious"])
                asked = [(visitor, page) for page in pages] + [(stranger, page) for page in DOORS]
                for who, page in asked:
                    reply = who.get(f"{page}{'&' if '?' in page else '?'}lang={language}")
                    assert (reply.status, words in reply.text) == (200, fictitious), page
        office.close()


def test_paper_says_so_at_the_foot_of_every_page() -> None:
    """What is printed may be taken apart."""
    style = printing.own_style("https://site.invalid/static/print.css").decode()
    assert "content: element(made-up)" in style
    assert "position: running(made-up)" in style
