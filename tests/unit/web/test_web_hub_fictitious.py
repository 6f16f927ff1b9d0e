"""A centre with made-up data says so on every page, in three languages; a real one says nothing of the kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("duckdb")

from hub_office import HOLDERS, HubOffice
from people_console import PASSWORD, Visitor
from qaztech.web.hub_app import HubSite
from qaztech.web.hub_pages import hub_texts
from qaztech.web.texts import LANGUAGES
from registry_country import quick_folder

PAGES = ("/console/", "/console/traffic", "/console/landscape", "/console/objects")


def test_every_page_says_that_it_is_made_up() -> None:
    """The overview, the traffic, the landscape, the registry."""
    with quick_folder() as folder:
        office = HubOffice(folder / "hub", deliver=False)
        for fictitious in (False, True):
            visitor = Visitor(HubSite(replace(office.parts, fictitious=fictitious)).app)
            assert visitor.sign_in(HOLDERS["analyst"], PASSWORD).status == 303
            for language in LANGUAGES:
                words = str(hub_texts(language)["fictitious"])
                said = [words in visitor.get(f"{page}?lang={language}").text for page in PAGES]
                assert said == [fictitious] * len(PAGES)
        office.close()
