"""The graph of systems: declared beside observed, who is hurt, what cuts off, where data go; and its picture."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import pytest

from qaztech.core.bin import reserved_bin
from qaztech.core.errors import NotFound, Unavailable
from qaztech.hub.flows import Flows
from qaztech.hub.landscape.graph import Landscape, Standing, landscape_of
from qaztech.hub.landscape.kept import Landscapes
from qaztech.hub.landscape.layout import GROUPINGS, lay_out
from qaztech.hub.observation import NOTHING_SEEN, Flow, Traffic
from qaztech.hub.register.rows import DigitalObject, Integration, IntegrationStatus, Organisation
from qaztech.hub.register.snapshot import Register
from qaztech.hub.register.store import METADATA, Edit, ObjectStore
from qaztech.runtime.database import open_database, sqlite_url

pytest.importorskip("rustworkx")


def system(name: str, owner: int = 1, **values: object) -> DigitalObject:
    """A system with one subsystem."""
    given = {"owner_bin": reserved_bin(owner), "subsystems": (f"KZ/GOV/1/{name}",), **values}
    return DigitalObject(id=name, **given)  # type: ignore[arg-type]


def integration(provider: str, consumer: str, *elements: str, **values: object) -> Integration:
    """Something declared to flow."""
    return Integration(
        id=f"{provider}-{consumer}",
        provider_object=provider,
        consumer_object=consumer,
        elements=elements,
        **values,  # type: ignore[arg-type]
    )


def flow(provider: str, consumer: str, calls: int = 5) -> Flow:
    """Something seen to flow."""
    return Flow(
        client=f"KZ/GOV/1/{consumer}", service=f"KZ/GOV/1/{provider}/s", calls=calls, failed=1, size=10,
        first=date(2026, 1, 1), last=date(2026, 2, 1), active_days=2, active_hours=2, regularity=0.0, variation=0.0,
        monthly=(("2026-01", calls - 1), ("2026-02", 1)),
    )  # fmt: skip


def country() -> Landscape:
    """A register that all hang on, in a ring with one that answers back, and two beyond a single point."""
    rows = [
        system("people", data_elements=("iin",), source_of_truth=True),
        system("copy", owner=2, data_elements=("iin",)),
        system("tax", owner=2),
        system("benefits", owner=3, public_services=("S1",)),
        system("village", owner=3),
        system("alone", owner=4),
        integration("people", "tax", "iin"),
        integration("copy", "benefits", "iin", "income"),
        integration("tax", "benefits", "income"),
        integration("benefits", "tax"),
        integration("people", "copy", "iin"),
        integration("benefits", "village"),
        integration("people", "alone", status=IntegrationStatus.STOPPED),
    ]
    seen = [flow("people", "tax", 50), flow("tax", "village"), flow("people", "stranger")]
    return landscape_of(Register(rows), Traffic(seen, date(2026, 1, 1), date(2026, 2, 1)))


def test_declared_and_observed_are_one_graph_with_the_gap_shown() -> None:
    """What is both, what only said, what only seen; a stranger who calls is there too."""
    links = {(link.provider, link.consumer): link for link in country().links}
    assert links["people", "tax"].standing is Standing.BOTH
    assert links["people", "tax"].calls == 50
    assert links["people", "copy"].standing is Standing.DECLARED
    assert links["tax", "village"].standing is Standing.OBSERVED
    assert links["people", "unregistered:KZ/GOV/1/stranger"].standing is Standing.OBSERVED
    assert ("people", "alone") not in links
    assert links["tax", "village"].monthly == (("2026-01", 4), ("2026-02", 1))


def test_switching_off_hurts_directly_and_further() -> None:
    """Each once, nearest first, also in a ring; with what they lose and who could give it instead."""
    hurt = {each.id: each for each in country().impact("tax")}
    assert {id_: each.steps for id_, each in hurt.items()} == {"benefits": 1, "village": 1}
    assert hurt["benefits"].public_services == ("S1",)
    assert hurt["benefits"].elements == ("income",)
    assert hurt["benefits"].alternative == ("copy",)
    assert country().impact("people")[0].id == "tax"
    assert country().impact("alone") == []
    with pytest.raises(NotFound):
        country().impact("nowhere")


def test_single_points_are_those_that_cut_off() -> None:
    """The one whose end leaves others without the rest."""
    points = country().single_points()
    assert [point.id for point in points] == ["people"]
    assert (points[0].cut_off, points[0].dependants) == (1, 5)


def test_data_of_a_register_are_followed() -> None:
    """From system to system as long as the element is carried, or nobody says what is."""
    links = {(link.provider, link.consumer) for link in country().register_flow("people", "iin")}
    assert ("people", "tax") in links
    assert ("copy", "benefits") in links
    assert ("tax", "benefits") not in links
    assert ("benefits", "tax") in links


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_a_picture_is_always_the_same_and_groups_do_not_touch(grouping: str) -> None:
    """Every system has a place of its own, within its group."""
    layout = lay_out(country(), grouping)
    assert layout == lay_out(country(), grouping)
    assert layout.places.keys() == country().nodes.keys()
    assert len(set(layout.places.values())) == len(layout.places)
    groups = list(layout.groups.values())
    for place, one in enumerate(groups):
        for other in groups[place + 1 :]:
            assert math.hypot(one.x - other.x, one.y - other.y) > (one.radius + other.radius) * 0.95


def test_nothing_has_a_picture_too() -> None:
    """An empty registry is no error."""
    layout = lay_out(landscape_of(Register([]), NOTHING_SEEN))
    assert layout.places == {}


def test_a_landscape_is_made_once_for_each_state_of_registry_and_traffic(tmp_path: Path) -> None:
    """The same until one of them changes; where traffic cannot be read, only what is declared, and that is said."""
    engine = open_database(sqlite_url(tmp_path / "hub.db"), METADATA)
    objects, flows = ObjectStore(engine), Broken(tmp_path)
    objects.apply([Edit(table="objects", values={"id": "a"})], by="test", source="test", at=1)
    landscapes = Landscapes(objects, flows)
    first = landscapes.newest()
    assert landscapes.newest() is first
    assert first.picture("area", "kk", lambda: b"once") == first.picture("area", "kk", lambda: b"twice") == b"once"
    objects.apply([Edit(table="objects", values={"id": "b"})], by="test", source="test", at=2)
    second = landscapes.newest()
    assert set(second.landscape.nodes) == {"a", "b"}
    flows.broken = True
    assert (landscapes.newest().blind, landscapes.newest().traffic.flows) == ("traffic.engine", ())
    engine.dispose()


class Broken(Flows):
    """Flows that cannot be read when told so."""

    broken = False

    def traffic(self) -> Traffic:
        if self.broken:
            raise Unavailable("traffic.engine", "not now")
        return super().traffic()


def test_a_link_in_a_month() -> None:
    """Declared ones stand in every month, those only seen in the months in which they were."""
    links = {(link.provider, link.consumer): link for link in country().links}
    assert links["tax", "village"].standing_in("2026-01") is Standing.OBSERVED
    assert links["tax", "village"].standing_in("2026-03") is None
    assert links["people", "tax"].standing_in("2026-03") is Standing.DECLARED
    assert links["people", "tax"].standing_in("") is Standing.BOTH
    assert links["people", "tax"].in_month("2026-01") == 49


def test_where_a_record_has_no_place_its_owners_counts() -> None:
    """Area and region; of a stranger those of its member."""
    body = Organisation(bin=reserved_bin(5), area="health", kato="710000000")
    called = f"KZ/GOV/{reserved_bin(5)}/x"
    seen = Flow(
        client=called, service="KZ/GOV/1/own/s", calls=1, failed=0, size=1, first=date(2026, 1, 1),
        last=date(2026, 1, 1), active_days=1, active_hours=1, regularity=0.0, variation=0.0,
    )  # fmt: skip
    nodes = landscape_of(
        Register([body, system("own", area="economy"), system("bare", owner=5)]),
        Traffic([seen], date(2026, 1, 1), date(2026, 1, 1)),
    ).nodes
    assert (nodes["own"].area, nodes["own"].kato) == ("economy", "")
    assert (nodes["bare"].area, nodes["bare"].kato) == ("health", "710000000")
    assert (nodes[f"unregistered:{called}"].area, nodes[f"unregistered:{called}"].kato) == ("health", "710000000")
