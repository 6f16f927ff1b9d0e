"""Where a node's own machine knows that peers are told to reach it."""

from __future__ import annotations

from qaztech.compose.node_address import resolves, told_addresses
from registry_country import Country, quick_folder

YEAR = 366 * 86_400_000


def test_the_members_file_as_it_was_fetched_last_says_where() -> None:
    """Read without the registry; once it has expired it says nothing."""
    with quick_folder() as folder:
        country = Country(folder)
        try:
            desk = country.admit(country.new_member(1, "ministry"))
            client, _ = country.client(desk, "ministry/configuration")
            client.refresh()
            place = (folder / "nodes/ministry", str(desk.node), {desk.id}, country.anchor)
            assert told_addresses(*place, country.clock) == ("ministry.example:5500",)
            country.clock.advance(2 * YEAR)
            assert told_addresses(*place, country.clock) == ()
        finally:
            country.close()


def test_an_address_is_found_by_number_or_by_name() -> None:
    """A name that nobody has, or that is none, is not."""
    assert [resolves(a) for a in ("10.0.0.1:5500", "[::1]:5500", "localhost:1")] == [True, True, True]
    assert not resolves("a" * 70 + ".example:1")
