"""What strangers send to the door: whatever it is, it is refused or means what it says."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.core.errors import Malformed
from qaztech.people.accounts import _NAME
from qaztech.people.actors import Act
from qaztech.people.oidc import account_name
from qaztech.people.throttle import network
from qaztech.web.people_pages import safe_next

values = st.none() | st.dictionaries(
    st.text(max_size=8),
    st.text(max_size=20) | st.integers(-(2**53), 2**53) | st.lists(st.booleans(), max_size=3),
    max_size=4,
)
# Few of all characters are not printable, but a text of forty has one more often than not: choose by category.
printable = st.characters(exclude_categories=["C", "Z"]) | st.just(" ")
names = st.text(printable, min_size=1, max_size=40).filter(lambda text: text.isprintable())


@settings(max_examples=50)
@given(who=names, role=names, when=st.integers(0, 2**48), act=names, subject=names, before=values, after=values)
def test_an_act_is_read_as_it_was_written(**fields: object) -> None:
    """And has one spelling."""
    act = Act(**fields)  # type: ignore[arg-type]
    assert Act.parse(act.leaf()) == act


@settings(max_examples=50)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_what_is_no_act_is_malformed(leaf: bytes) -> None:
    """And nothing else is raised."""
    with pytest.raises(Malformed):
        Act.parse(leaf)


@settings(max_examples=100)
@given(st.text(max_size=60) | st.text("/\\.:@?#%eviltn\t\n", max_size=20))
def test_nobody_is_led_away(wanted: str) -> None:
    """Wherever the form says to go, the browser stays at this site."""
    place = urlsplit(urljoin("https://console.example/sign-in", safe_next(wanted, "/")))
    assert (place.scheme, place.netloc) == ("https", "console.example")


@settings(max_examples=50)
@given(st.none() | st.integers() | st.text(max_size=100))
def test_every_new_account_has_a_name_that_is_one(wanted: object) -> None:
    """Whatever a provider calls somebody."""
    assert _NAME.match(account_name(wanted))


@settings(max_examples=50)
@given(st.ip_addresses().map(str) | st.text(max_size=40))
def test_an_address_belongs_to_one_network(address: str) -> None:
    """Text that is no address is all one."""
    found = network(address)
    assert found == "unknown" or network(found.partition("/")[0]) == found
