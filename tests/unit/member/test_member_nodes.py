"""A member's nodes asked as one: pages merge by time, nothing is told twice or lost, a silent node is named."""

from __future__ import annotations

from typing import Any

import pytest

from qaztech.core.errors import Error, Malformed, NotFound, Unavailable
from qaztech.member.nodes import MemberNodes

MEMBER = "KZ/GOV/991340000017"


class Node:
    """A node with exchanges at these times, that looks at so many records for one question."""

    def __init__(self, name: str, times: list[int], most: int = 1000) -> None:
        self.url, self.name, self.times, self.most = f"http://{name}", name, sorted(times, reverse=True), most
        self.silent = False
        self.members = [MEMBER]
        self.told = 0

    def status(self) -> dict[str, Any]:
        self._speak()
        return {"node": f"{MEMBER}/{self.name}", "members": self.members}

    def search(self, query: dict[str, str]) -> dict[str, Any]:
        self._speak()
        assert query["member"] == MEMBER
        start, limit = int(query.get("before", "0")), int(query["limit"])
        if start > len(self.times):
            raise Malformed("request.malformed", "there is no such place", at="caller")
        stop = min(start + min(limit, self.most), len(self.times))
        found = [{"time": self.times[i], "message": f"{self.name}{i}", "at": str(i + 1)} for i in range(start, stop)]
        more = stop < len(self.times)
        return {
            "exchanges": found, "next": str(stop) if more else None, "back_to": self.times[stop] if more else None,
        }  # fmt: skip

    def outcome(self, message: str) -> dict[str, Any]:
        self._speak()
        if not message.startswith(self.name):
            raise NotFound("exchange.unknown", "the node knows of no such exchange", at="log")
        return {"message": message}

    def reload(self) -> None:
        self._speak()
        self.told += 1

    def _speak(self) -> None:
        if self.silent:
            raise Unavailable("console.node", "the member's node does not answer")


def nodes(*clients: Node) -> MemberNodes:
    return MemberNodes(clients)  # type: ignore[arg-type]


def test_a_node_of_another_member_is_no_own_one() -> None:
    """Nothing that it says is taken; the own ones are asked on, and the error names where it is."""
    own, other = Node("a", [30, 10]), Node("b", [20])
    other.members = ["KZ/GOV/991340000018"]
    both = nodes(own, other).of(lambda: MEMBER)
    looked = both.search(member=MEMBER)
    assert [one["time"] for one in looked.exchanges] == [30, 10]
    assert both.status()["node"] == f"{MEMBER}/a"
    alone = nodes(other).of(lambda: MEMBER)
    for ask in (alone.status, lambda: alone.search(member=MEMBER), lambda: alone.outcome("b0")):
        with pytest.raises(Unavailable, match="http://b serves another member") as caught:
            ask()
        assert caught.value.code == "console.node-other"
    assert nodes(other).of(lambda: None).status()["node"] == f"{MEMBER}/b"


def pages(asked: MemberNodes, limit: int) -> list[list[int]]:
    """The times on each page, to the end."""
    found, before = [], ""
    for _ in range(50):
        looked = asked.search(member=MEMBER, limit=limit, before=before)
        found.append([one["time"] for one in looked.exchanges])
        if looked.further is None:
            return found
        before = looked.further
    raise AssertionError(found)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_pages_of_two_nodes_merge_by_time(limit: int) -> None:
    """Every exchange once, the newest first, whichever node has it."""
    one, two = Node("a", [1, 2, 9, 10, 11, 12]), Node("b", [3, 4, 5, 13])
    told = pages(nodes(one, two), limit)
    assert [time for page in told for time in page] == [13, 12, 11, 10, 9, 5, 4, 3, 2, 1]
    assert all(len(page) == limit for page in told[:-2])


def test_each_exchange_says_which_node_has_it() -> None:
    """By the name that it gives itself."""
    looked = nodes(Node("a", [2]), Node("b", [1])).search(member=MEMBER)
    assert [one["node"] for one in looked.exchanges] == [f"{MEMBER}/a", f"{MEMBER}/b"]
    assert (looked.further, looked.back_to, looked.silent) == (None, None, ())


def test_a_silent_node_is_named_and_missed_by_nobody_else() -> None:
    """All silent is an error; one that comes back is asked from where it was left."""
    one, two = Node("a", [5, 3]), Node("b", [4, 2])
    asked = nodes(one, two)
    two.silent = True
    looked = asked.search(member=MEMBER, limit=1)
    assert ([o["time"] for o in looked.exchanges], looked.silent) == ([5], ("http://b",))
    two.silent = False
    assert looked.further is not None
    assert [o["time"] for o in asked.search(member=MEMBER, before=looked.further).exchanges] == [4, 3, 2]
    one.silent = two.silent = True
    with pytest.raises(Unavailable):
        asked.search(member=MEMBER)


@pytest.mark.parametrize("before", ["1", "1;2;3", "x" * 101 + ";", "99;99"])
def test_another_place_to_go_on_from_is_refused(before: str) -> None:
    """As the nodes refuse it themselves."""
    with pytest.raises(Malformed):
        nodes(Node("a", [1]), Node("b", [1])).search(member=MEMBER, before=before)


def test_one_exchange_is_known_where_it_is_on_record() -> None:
    """Nowhere is said only when all have said so."""
    one, two = Node("a", []), Node("b", [])
    asked = nodes(one, two)
    assert asked.outcome("b1") == {"message": "b1"}
    with pytest.raises(NotFound):
        asked.outcome("c1")
    one.silent = True
    assert asked.outcome("b1") == {"message": "b1"}
    with pytest.raises(Unavailable):
        asked.outcome("c1")


def test_all_are_told_to_reload_though_one_is_silent() -> None:
    """And the silence is told."""
    one, two, three = Node("a", []), Node("b", []), Node("c", [])
    two.silent = True
    with pytest.raises(Error):
        nodes(one, two, three).reload()
    assert (one.told, two.told, three.told) == (1, 0, 1)
