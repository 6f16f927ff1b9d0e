"""The page: what it shows, what it tells while it is open, the one thing it does, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fake_country import MEMBERS, NOW, FakeCountry, message, running, visit

from qaztech.web.portal import Portal
from qaztech.web.texts import LANGUAGES, STATIC

Running = tuple[FakeCountry, Portal]


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Running]:
    """A country whose nodes answer, and its page."""
    anchor = tmp_path / "anchor.json"
    anchor.write_bytes(b'{"type":"qaztech-anchor 1"}')
    async with running(anchor) as found:
        yield found


def state_in(text: str) -> dict[str, Any]:
    """What the page hands to its script."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


async def test_it_shows_the_country_without_javascript(page: Running) -> None:
    """Organisations, nodes, logs, calls to copy and the exchanges of both sides as one row stand in the HTML itself."""
    country, portal = page
    identifier = country.call()
    country.call("university", state="refused access-right.missing", status=0)
    answer = await visit(portal, "/")
    assert answer.status == 200
    for name in MEMBERS:
        assert f"{name} en" in answer.text
    assert answer.text.count(f'data-message="{identifier}"') == 1
    assert f"/receipts/ministry/{identifier}" in answer.text
    assert "answered 200" in answer.text
    assert "refused" in answer.text
    assert "qaztech verify r.json" in answer.text
    assert '<strong data-part="size">17</strong>' in answer.text  # the registry's log
    assert 'data-line="ministry registers"' in answer.text


@pytest.mark.parametrize("language", LANGUAGES)
async def test_it_speaks_three_languages(page: Running, language: str) -> None:
    """By the address, else by what the browser asks for."""
    country, portal = page
    country.call()
    for answer in (
        await visit(portal, f"/?lang={language}"),
        await visit(portal, "/", accept_language=f"de, {language}-KZ;q=0.9, en;q=0.1"),
    ):
        assert f'<html lang="{language}">' in answer.text
        assert f"ministry {language}" in answer.text
    assert f"/receipts/ministry/{message(1)}?lang={language}" in (await visit(portal, f"/?lang={language}")).text


async def test_no_script_and_no_style_stands_in_the_page(page: Running) -> None:
    """Its policy allows its own files only, and it needs no more."""
    _, portal = page
    for target in ("/", f"/receipts/ministry/{message(1)}"):
        answer = await visit(portal, target)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-frame-options"] == "DENY"
        assert " style=" not in answer.text
        assert not re.search(r"\son[a-z]+=", answer.text)
        scripts = re.findall(r"<script([^>]*)>", answer.text)
        assert all("src=" in attributes or "application/json" in attributes for attributes in scripts)
        assert re.findall(r'(?:src|href|action)="(?!/|#)([^"]*)"', answer.text) == []


async def test_what_comes_from_nodes_stands_as_text(page: Running) -> None:
    """A name, a code or a state that looks like markup is shown, not obeyed."""
    country, portal = page
    evil = "</script><script>alert(1)</script><b>"
    country.nodes["ministry"].incidents.append({"time": NOW, "code": evil, "detail": evil, "peer": evil})
    country.call(state=f"refused {evil}")
    text = (await visit(portal, "/")).text
    assert "<script>alert" not in text
    assert "<b>" not in text
    assert state_in(text)["state"]["incidents"][0]["code"] == evil


async def test_only_contradictions_are_called_so(page: Running) -> None:
    """A peer that is slow to be witnessed is not told of under the heading for two histories."""
    country, portal = page
    for code in ("peer.unwitnessed", "peer.unreachable", "peer.log-unknown", "log.forked"):
        country.nodes["ministry"].incidents.append({"time": NOW, "code": code, "detail": "seen", "peer": "p"})
    text = (await visit(portal, "/")).text
    proven, others = text.split('<section id="incidents"')[1].split('<section id="notices"')
    assert "log.forked" in proven
    assert "peer." not in proven
    others = others.split("</section>")[0]
    assert others.count("peer.") == 3
    assert "log.forked" not in others


async def test_a_node_that_is_down_is_shown_as_such(page: Running) -> None:
    """The page stands whatever falls."""
    country, portal = page
    await country.nodes["registers"].stop()
    answer = await visit(portal, "/")
    assert answer.status == 200
    assert "not reachable" in answer.text
    assert state_in(answer.text)["state"]["nodes"]["registers"] == {"reachable": False}


async def until(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(8):
        while not true():
            await asyncio.sleep(0.005)


async def followed(page: Running) -> None:
    """Wait until the page hears of both nodes."""
    country, _ = page
    await until(lambda: all(node.watchers for node in country.nodes.values()))


class Stream:
    """One open page's stream of events."""

    def __init__(self, portal: Portal) -> None:
        self._messages = portal._hub.subscribe()

    async def next(self, event: str) -> dict[str, Any]:
        async with asyncio.timeout(8):
            async for data in self._messages:
                name, _, rest = data.decode().partition("\n")
                if name == f"event: {event}":
                    found: dict[str, Any] = json.loads(rest.removeprefix("data: "))
                    return found
        raise AssertionError("the stream ended")

    async def calls(self, rows: int) -> tuple[list[dict[str, Any]], int]:
        """What is told of calls until that many sides of them were told: one by one, and the number of the others."""
        found: list[dict[str, Any]] = []
        more = 0
        while len(found) < rows:
            change = await self.next("change")
            found += change.get("exchanges", [])
            more += change.get("more", 0)
        return found, more

    async def close(self) -> None:
        await self._messages.aclose()  # type: ignore[attr-defined]  # a generator, for all that it is typed as


async def test_an_open_page_is_told_of_each_call(page: Running) -> None:
    """First the whole state, then each side of a call as its node tells it, and the logs as they grow."""
    country, portal = page
    stream = Stream(portal)
    assert set((await stream.next("state"))["nodes"]) == set(MEMBERS)
    await followed(page)
    identifier = country.call()
    rows, _ = await stream.calls(2)
    sides = {row["side"]: row for row in rows}
    assert set(sides) == {"consumer", "provider"}
    assert {row["message"] for row in rows} == {identifier}
    assert [sides["consumer"][name] for name in ("from", "to", "at")] == ["ministry", "registers", "ministry"]

    def log() -> dict[str, Any]:
        found: dict[str, Any] = portal._hub.state()["nodes"]["ministry"]["log"]
        return found

    await until(lambda: log()["size"] == 2 and log()["witnessed"] == {"size": 2, "time": NOW // 1000})
    await stream.close()


async def test_many_calls_are_told_as_a_few_and_a_number(page: Running) -> None:
    """A page is not flooded, however many calls there are."""
    country, portal = page
    stream = Stream(portal)
    await stream.next("state")
    await followed(page)
    for _ in range(200):
        country.call()
    rows, more = await stream.calls(12)
    while more + len({row["message"] for row in rows}) < 150:
        further, beside = await stream.calls(1)
        rows, more = rows + further, more + beside
    assert len(rows) <= 36, "a few times twelve, if the calls fell into several tellings"
    await stream.close()


async def test_a_node_that_comes_back_is_followed_again(page: Running) -> None:
    """Restarts are seen as such, and nothing has to be reloaded."""
    country, portal = page
    node = country.nodes["registers"]
    stream = Stream(portal)
    await stream.next("state")
    await followed(page)
    await node.stop()
    node.size = 40
    await node.start()
    await followed(page)
    country.call()
    rows, _ = await stream.calls(2)
    assert {row["at"] for row in rows} == {"ministry", "registers"}
    await stream.close()


async def test_nobody_is_asked_while_nobody_looks(page: Running) -> None:
    """With the last page closed the nodes are left alone."""
    country, portal = page
    stream = Stream(portal)
    await stream.next("state")
    await followed(page)
    await stream.close()
    await until(lambda: not any(node.watchers for node in country.nodes.values()))


async def test_closing_ends_the_streams(page: Running) -> None:
    """A page's process does not wait for those who look at it."""
    _, portal = page
    stream = Stream(portal)
    await stream.next("state")
    portal.close()
    with pytest.raises(AssertionError, match="ended"):
        await stream.next("change")


async def test_what_is_no_event_is_passed_over(page: Running) -> None:
    """A node's stream is not believed to be well-formed."""
    country, portal = page
    stream = Stream(portal)
    await stream.next("state")
    await followed(page)
    country.nodes["ministry"].tell("exchange", {"side": "nobody"})
    country.nodes["ministry"].tell("checkpoint", [])
    country.nodes["ministry"].tell("else", {})
    country.call()
    assert len((await stream.calls(2))[0]) == 2
    await stream.close()


# The one thing it does


async def test_the_button_makes_the_call_that_is_shown(page: Running) -> None:
    """With the headers and the address of the curl line, from the page's own origin."""
    country, portal = page
    country.nodes["ministry"].on_call = country.call
    answer = await visit(portal, "/calls", method="POST", origin="http://127.0.0.1:8400", accept="application/json")
    assert answer.status == 200
    told = answer.json()
    assert (told["status"], told["node"], told["message"]) == (200, "ministry", message(1))
    assert any(asked.startswith(f"GET /r1/{MEMBERS['registers']}") for asked in country.nodes["ministry"].asked)
    without = await visit(portal, "/calls", method="POST", origin="http://127.0.0.1:8400", accept="text/html")
    assert without.status == 429
    await asyncio.sleep(0.3)
    without = await visit(portal, "/calls", method="POST", origin="http://127.0.0.1:8400", accept="text/html")
    assert (without.status, without.headers["location"]) == (303, "/")


@pytest.mark.parametrize("origin", ["", "http://elsewhere.example", "http://127.0.0.1:9999", "null"])
async def test_no_other_page_can_make_the_call(page: Running, origin: str) -> None:
    """A request that does not come from this page is refused."""
    country, portal = page
    assert (await visit(portal, "/calls", method="POST", origin=origin)).status == 403
    assert not any("/r1/" in asked for asked in country.nodes["ministry"].asked)


async def test_another_host_name_is_not_answered(page: Running) -> None:
    """A name that somebody else's server resolves to this machine opens nothing."""
    _, portal = page
    for host in ("evil.example", "evil.example:8400", "", "127.0.0.1.evil.example"):
        assert (await visit(portal, "/", host=host)).status == 421
    for host in ("localhost:8400", "[::1]:8400", "127.0.0.1"):
        assert (await visit(portal, "/health", host=host)).status == 200


# Receipts


async def test_a_receipt_is_handed_through_as_it_is(page: Running) -> None:
    """The page's server neither reads nor judges it: that is for the visitor's browser."""
    country, portal = page
    country.nodes["ministry"].receipt = (200, b'{"any": "thing"}')
    target = f"/receipts/ministry/{message(1)}"
    assert (await visit(portal, f"{target}/receipt.json")).body == b'{"any": "thing"}'
    assert any("wait=witnessed" in asked for asked in country.nodes["ministry"].asked)
    shown = await visit(portal, target)
    assert shown.status == 200
    assert f"{target}/receipt.html?lang=en" in shown.text
    assert (await visit(portal, "/anchor.json")).body == b'{"type":"qaztech-anchor 1"}'


async def test_why_there_is_no_receipt_is_told(page: Running) -> None:
    """In the node's own words; a wrong name or id is not passed on."""
    country, portal = page
    answer = await visit(portal, f"/receipts/ministry/{message(1)}/receipt.json")
    assert (answer.status, answer.json()["detail"]) == (404, "this node has no record of it")
    country.nodes["ministry"].receipt = (503, b'{"title": "the peer is not witnessed yet"}')
    answer = await visit(portal, f"/receipts/ministry/{message(1)}/receipt.json")
    assert (answer.status, answer.json()["detail"]) == (503, "the peer is not witnessed yet")
    country.nodes["ministry"].asked.clear()
    for target in (f"/receipts/nobody/{message(1)}", "/receipts/ministry/nothing", "/receipts/ministry/..%2f"):
        assert (await visit(portal, f"{target}/receipt.json")).status == 404
    assert country.nodes["ministry"].asked == []


# Files


async def test_files_are_served_with_tags(page: Running) -> None:
    """A file that has not changed is not sent again."""
    _, portal = page
    first = await visit(portal, "/static/verify.js")
    assert first.headers["content-type"].startswith("text/javascript")
    assert first.body == (STATIC / "verify.js").read_bytes()
    again = await visit(portal, "/static/verify.js", if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("name", ["../portal.py", "..%2fportal.py", "/etc/passwd", "texts", "", "verify.js/"])
async def test_nothing_else_is_served(page: Running, name: str) -> None:
    """Only what was in the folder when the page began."""
    _, portal = page
    assert (await visit(portal, f"/static/{name}")).status == 404
