"""The landscape's pages: picture data, tables by query, one system, regions; as an analyst sees them."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("rustworkx")

from hub_office import HOLDERS, HubOffice
from landscape_register import AKIMAT, UNREGISTERED, edits, hours
from operational_logs import START
from people_console import PASSWORD, Reply, Visitor
from qaztech.web import hub_landscape, hub_overview, hub_regions
from qaztech.web.hub_app import HubSite
from qaztech.web.texts import STATIC
from registry_country import quick_folder

QUERIES = (
    "", f"body={AKIMAT}", "area=economy", "region=10", "channel=direct", "standing=observed", "standing=declared",
    "month=2026-08", "month=2026-08&standing=both", "region=10&channel=gateway", "area=nothing", "month=2026-09&body=x",
)  # fmt: skip
PAGE, SYSTEM = "/console/landscape", "/console/landscape/system"


@pytest.fixture(scope="module")
def analyst() -> Iterator[Visitor]:
    """An analyst of a centre with a small register and three months of its traffic."""
    with quick_folder() as folder:
        office = HubOffice(folder / "hub", deliver=False)
        office.objects.apply(edits(), by="aigerim", source="test", at=START)
        office.flows.take(hours(folder / "hours.parquet"), now=office.clock.now())
        groups = (hub_overview.GROUP, hub_landscape.GROUP, hub_regions.GROUP)
        visitor = Visitor(HubSite(office.parts, groups).app)
        assert visitor.sign_in(HOLDERS["analyst"], PASSWORD).status == 303
        yield visitor
        office.close()


def data(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply.text
    body = gzip.decompress(reply.body) if reply.headers.get("content-encoding") == "gzip" else reply.body
    found: dict[str, Any] = json.loads(body)
    return found


def lines(reply: Reply) -> list[str]:
    """The first cell of each line of the big table."""
    assert reply.status == 200, reply.text
    table = reply.text.partition('id="counted"')[2].partition('id="points"')[0]
    return re.findall(r'<th scope="row" class="wrap"><a [^>]*>([^<]+)</a>', table)


@pytest.mark.parametrize("grouping", ["organisation", "area", "region"])
def test_the_picture_has_every_system_and_link_in_columns_of_one_length(analyst: Visitor, grouping: str) -> None:
    """Places lead to what they name, and months to their calls."""
    found = data(analyst.get(f"{PAGE}.json?group={grouping}&lang=ru"))
    node, link = found["node"], found["link"]
    assert {len(column) for column in node.values()} == {9}
    assert {len(column) for column in link.values()} == {8}
    assert "Реестр людей" in node["name"]
    assert node["registered"].count(0) == 1
    places = {id_: place for place, id_ in enumerate(node["id"])}
    pairs = list(zip(link["from"], link["to"], strict=True))
    busy = pairs.index((places["people"], places["tax"]))
    assert found["months"] == ["2026-07", "2026-08", "2026-09"]
    assert link["monthly"][busy] == [0, 3 * 47, 3 * 48, 3 * 49]
    assert link["calls"][busy] == 3 * (47 + 48 + 49)
    assert link["declared"][busy] == 1
    assert link["monthly"][pairs.index((places["tax"], places["income"]))] == [0, 30, 0, 36]
    shadow = pairs.index((places["people"], places[UNREGISTERED]))
    assert (link["declared"][shadow], link["channels"][shadow]) == (0, 0)
    keys = found["group"]["key"]
    assert {keys[place] for place in node["group"]} == set(keys)


def test_it_travels_compressed_to_who_takes_that_and_is_made_once(analyst: Visitor) -> None:
    """The same data either way."""
    packed = analyst.get(f"{PAGE}.json", {"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert data(packed) == data(analyst.get(f"{PAGE}.json"))


def test_tables_follow_the_query(analyst: Visitor) -> None:
    """Text, body, area, region, channel, gap and month choose; sorting is the reader's."""
    assert len(lines(analyst.get(f"{PAGE}?lang=en"))) == 9
    assert lines(analyst.get(f"{PAGE}?lang=en&q=rEgIsTer")) == ["Register of houses", "Register of people"]
    assert lines(analyst.get(f"{PAGE}?lang=en&body={AKIMAT}&sort=name")) == ["Benefits", "Parking", "School places"]
    assert lines(analyst.get(f"{PAGE}?lang=en&area=economy")) == ["Proof of income", "Tax accounts"]
    assert lines(analyst.get(f"{PAGE}?lang=en&region=10&sort=consumes"))[0] in {"Benefits", "School places"}
    links = f"{PAGE}?lang=en&view=links"
    assert lines(analyst.get(links))[0] == "Register of people"
    assert len(lines(analyst.get(links))) == 8
    assert len(lines(analyst.get(f"{links}&channel=direct"))) == 1
    assert len(lines(analyst.get(f"{links}&standing=declared"))) == 3
    assert len(lines(analyst.get(f"{links}&standing=observed"))) == 2
    # In August only one called: the others are declared, and what was only seen is no link then.
    assert len(lines(analyst.get(f"{links}&month=2026-08"))) == 6
    assert len(lines(analyst.get(f"{links}&month=2026-08&standing=both"))) == 1
    assert len(lines(analyst.get(f"{PAGE}?lang=en&standing=observed"))) == 4


def test_the_picture_chooses_by_the_same_rules_as_the_tables(analyst: Visitor, program: Callable[[str], str]) -> None:
    """Each query gives the browser's own code and the server the same number of connections."""
    found = data(analyst.get(f"{PAGE}.json"))
    choices = []
    for query in QUERIES:
        given = dict(part.split("=") for part in query.split("&") if part)
        words = {name: given.get(name, "") for name in ("body", "area", "region", "channel", "standing")}
        month = given.get("month", "")
        choices.append({**words, "month": found["months"].index(month) if month else -1})
    code = (
        (STATIC / "landscape-graph.js").read_text(encoding="utf-8")
        + """
        const { data, choices } = JSON.parse(require("fs").readFileSync(0, "utf-8"));
        console.log(JSON.stringify(choices.map((each) => LandscapeGraph.chosen(data, each).links.length)));
    """
    )
    done = subprocess.run(
        [program("node"), "-e", code], input=json.dumps({"data": found, "choices": choices}), capture_output=True,
        text=True, timeout=20, check=True,
    )  # fmt: skip
    tables = [len(lines(analyst.get(f"{PAGE}?lang=en&view=links&{query}"))) for query in QUERIES]
    assert json.loads(done.stdout) == tables


def test_one_system_says_who_is_hurt_and_where_its_data_go(analyst: Visitor) -> None:
    """Directly and further, with public services; for one element or all; also as data."""
    page = analyst.get(f"{SYSTEM}?id=tax&lang=en").text
    assert "Hurt directly: 1. Hurt through others: 1." in page
    assert "GS-7" in page
    assert "/console/flows?lang=en&amp;client=" in page  # from calls down to the flow and its exchanges
    assert "/console/objects/history?lang=en&amp;table=integrations&amp;key=tax-income" in page
    found = data(analyst.get(f"{SYSTEM}.json?id=tax&lang=en"))
    assert [(each["id"], each["steps"], each["through"]) for each in found["hurt"]] == [
        ("income", 1, "Tax accounts"), ("benefits", 2, "Proof of income"),
    ]  # fmt: skip
    address = data(analyst.get(f"{SYSTEM}.json?id=people&element=address"))["flow"]
    assert ["people", "benefits"] in address
    assert ["people", "tax"] not in address
    assert analyst.get(f"{SYSTEM}?id={UNREGISTERED}&lang=kk").status == 200
    assert analyst.get(f"{SYSTEM}?id=nothing").status == 404
    assert analyst.get(f"{SYSTEM}.json?id=").status == 404


@pytest.mark.parametrize("query", ["group=x", "view=x", "sort=x", "channel=x", "standing=x", "page=0", "page=x"])
def test_a_query_that_cannot_be_is_told_so(analyst: Visitor, query: str) -> None:
    """And changes nothing."""
    assert analyst.get(f"{PAGE}?{query}").status == 400


def test_regions_stand_as_tiles_and_in_a_table(analyst: Visitor) -> None:
    """All twenty, with systems and money of those that have some."""
    page = analyst.get("/console/regions?lang=en").text
    assert len(re.findall(r'class="place r\d c\d ', page)) == 20
    abai = page.partition("Abai Region")[2][:200]
    assert "3 systems" in abai
    assert "270\N{NO-BREAK SPACE}mn\N{NO-BREAK SPACE}₸" in abai
    assert analyst.get("/console/regions?lang=kk").status == 200


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_pages_hold_scripts_only_as_files(analyst: Visitor, language: str) -> None:
    """Nothing inline, in any language."""
    for path in (PAGE, f"{SYSTEM}?id=people", "/console/regions"):
        reply = analyst.get(f"{path}{'&' if '?' in path else '?'}lang={language}")
        assert reply.status == 200
        assert "style=" not in reply.text
        assert all(re.fullmatch(r' src="/static/[\w/.-]+" defer></script>', rest[: rest.index("</script>") + 9])
                   for rest in reply.text.split("<script")[1:])  # fmt: skip
