"""A member with two nodes: calls are spread, go on when one is down, and nothing that may not be repeated is."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from qaztech.member.node_client import NodeClient
from qaztech.member.nodes import MemberNodes
from qaztech.testing.instance import request
from steady_load import SteadyLoad
from two_nodes import PROVIDERS, TwoNodes, two_nodes


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory, echo) -> Iterator[TwoNodes]:
    """One for all tests here; each leaves both nodes running and linked."""
    with two_nodes(tmp_path_factory.mktemp("two") / "home", echo) as country:
        yield country


def arrived(echo) -> list[str]:
    """What reached the system."""
    return [call.target for call in echo.calls]


def test_calls_are_spread_over_both_nodes(country: TwoNodes) -> None:
    """One after the other; neither is spared."""
    answers = [country.echoed(f"/spread/{i}") for i in range(20)]
    assert {answer.status for answer in answers} == {200}
    found = Counter(country.called_at(answer.message) for answer in answers)
    assert min(found[name] for name in PROVIDERS) >= 5


def test_a_receipt_says_which_log_holds_the_exchange(country: TwoNodes) -> None:
    """The origin of the node that was called stands in it, that of the other does not, and it can be verified."""
    for i in range(2):
        answer = country.echoed(f"/receipt/{i}")
        receipt = country.receipt(answer.message)
        name = country.called_at(answer.message)
        other = next(each for each in PROVIDERS if each != name)
        text = json.dumps(receipt)
        assert (country.origin(name) in text, country.origin(other) in text) == (True, False)
        assert country.verdict(receipt)["ok"]


def test_both_are_restarted_one_after_the_other_under_load(country: TwoNodes, echo) -> None:
    """Every call, none of which may be repeated, is answered, and the system sees each exactly once."""
    where = country.node("ministry")
    with SteadyLoad(where["edge"], where["system"], country.echo, name="rolling", pause=0.002) as load:
        for name in PROVIDERS:
            load.going(50)
            country.end(name)
            load.going(50)
            country.again(name)
            country.until(lambda name=name: country.linked(name), 25.0)
        load.going(50)
    load.check(arrived(echo))
    assert len(load.told) > 250


def lost_with_its_node(country: TwoNodes, echo, path: str, **options) -> tuple[str, object]:
    """A call whose node is killed while the system works on it: which node, and what the caller was told."""
    with country.in_flight(echo, path, **options) as future:
        busy = [name for name in PROVIDERS if in_progress(country, name)]
        assert len(busy) == 1
        country.end(busy[0], signal.SIGKILL)
        answer = future.result(30)
    return busy[0], answer


def in_progress(country: TwoNodes, name: str) -> bool:
    """Whether a node has an exchange under way."""
    text = request(country.management(name), "GET", "/metrics").body.decode()
    values = [line for line in text.splitlines() if "exchanges_in_progress" in line and not line.startswith("#")]
    return any(float(line.rsplit(" ", 1)[1]) > 0 for line in values)


def test_an_idempotent_call_lost_with_its_node_is_made_at_the_other(country: TwoNodes, echo) -> None:
    """The caller hears only the answer; the dead node costs the next calls nothing, and is found again by itself."""
    name, answer = lost_with_its_node(country, echo, "/delay/1.5?of=get")
    assert answer.status == 200
    assert sum(target.endswith("of=get") for target in arrived(echo)) == 2
    began = time.monotonic()
    later = [country.echoed(f"/later/{i}") for i in range(20)]
    assert {each.status for each in later} == {200}
    assert time.monotonic() - began < 2.0
    country.again(name)
    country.until(lambda: country.linked(name), 25.0)


def test_a_call_that_is_not_idempotent_is_never_made_again(country: TwoNodes, echo) -> None:
    """Its caller hears that the outcome is unknown, and is told it when the node is back."""
    name, answer = lost_with_its_node(country, echo, "/delay/1.5?of=post", method="POST", body=b"once")
    assert answer.status == 500
    assert b"outcome" in answer.body
    country.again(name)
    country.until(lambda: country.linked(name), 25.0)
    time.sleep(0.5)
    assert sum(target.endswith("of=post") for target in arrived(echo)) == 1
    assert country.kinds("ministry", answer.message)[:1] == ["request"]
    assert country.called_at(answer.message) == name
    assert "no-answer" in country.outcome(answer.message)["records"]


def test_exchanges_of_both_nodes_are_found_in_one_list(country: TwoNodes) -> None:
    """Page by page, the newest first, each with the node that has it on record; since a time."""
    began = int(time.time() * 1000)
    made = [country.echoed(f"/found/{i}").message for i in range(12)]
    member = str(country.node("registers")["member"])
    nodes = MemberNodes([NodeClient(country.management(name)) for name in PROVIDERS])
    found, before = [], ""
    for _ in range(12):
        looked = nodes.search(member=member, since=began - 5, limit=5, before=before)
        assert len(looked.exchanges) <= 5
        found += looked.exchanges
        if looked.further is None:
            break
        before = looked.further
    assert {one["message"] for one in found} == set(made)
    assert [one["time"] for one in found] == sorted((one["time"] for one in found), reverse=True)
    assert {one["node"] for one in found} == {f"{member}/node1", f"{member}/node2"}
    assert {(one["side"], one["state"], one["status"]) for one in found} == {("provider", "answered", 200)}
    assert nodes.search(member="KZ/GOV/990000000000", since=began).exchanges == ()
    assert nodes.outcome(made[0])["outcome"] == "answered"
