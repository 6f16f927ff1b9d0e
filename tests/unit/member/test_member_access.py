"""The form of a request for access, and what may become of one."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.json import decode, encode
from msgspec.structs import replace

from qaztech.core.errors import Conflict, Malformed
from qaztech.core.rights import Endpoint
from qaztech.member.access import (
    NEXT,
    STATES,
    AccessRequest,
    Granted,
    Purpose,
    check_granted,
    check_step,
    end_of_day,
    format_request,
    is_narrower,
    parse_request,
    parse_standing,
)

PAGE = (Path(__file__).parents[3] / "docs/formats/access-request.md").read_text(encoding="utf-8")
REQUEST = AccessRequest(
    type="qaztech-access-request 1", service="KZ/QUASI/991340000027/codes/codes",
    client="KZ/EDU/991340000037/research", endpoints=("GET /countries/*",),
    purpose=Purpose(kk="Зерттеу", ru=None, en=None), basis="№ 12 бұйрық", calls_a_day=2000, calls_a_minute=60,
    until="2028-12-31", contact="desk@university.example", requested_by="administrator",
)  # fmt: skip
GRANTED = Granted(endpoints=("GET /countries/*",), until=None, calls_a_minute=None, calls_a_day=None)


def test_the_page_shows_what_is_read():
    """Its two examples are in the one spelling."""
    shown, standing = re.findall(r"^(\{\"type\":\"qaztech-access-.*\})$", PAGE, re.MULTILINE)
    request = parse_request(shown.encode())
    assert format_request(request) == shown.encode()
    assert parse_standing(standing.encode()).state == "submitted"


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s | {"id": "../../../KZ/GOV/1/x"},
        lambda s: s | {"id": ""},
        lambda s: s | {"changes": [s["changes"][0] | {"time": 2**62}]},
        lambda s: s | {"changes": [s["changes"][0] | {"time": -1}]},
        lambda s: s | {"changes": [s["changes"][0] | {"role": "x" * 1000}]},
        lambda s: s | {"changes": [s["changes"][0] | {"granted": {
            "endpoints": ["GET /a"], "until": "9999-12-31", "calls_a_minute": None, "calls_a_day": None}}]},
    ],
)  # fmt: skip
def test_what_a_hostile_provider_says_of_a_request_is_not_kept(change):
    """Its id leads the next question somewhere, its times are shown: neither is taken as it comes."""
    standing = re.findall(r"^(\{\"type\":\"qaztech-access-.*\})$", PAGE, re.MULTILINE)[1]
    with pytest.raises(Malformed):
        parse_standing(encode(change(decode(standing))))


def test_the_page_tells_what_may_follow_what():
    """The table is the rule."""
    table = PAGE.partition("| state | what may follow |")[2].partition("\n\n")[0]
    told = {}
    for left, right in re.findall(r"^\| (`.+?) \| (.+) \|$", table, re.MULTILINE):
        told |= {state: set(re.findall(r"`([a-z]+)`", right)) for state in re.findall(r"`([a-z]+)`", left)}
    assert told == {state: set(following) for state, following in NEXT.items()}
    assert set(told) == set(STATES)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"type": "x"}, "type"),
        ({"service": "KZ/QUASI/991340000027/codes"}, "identifier"),
        ({"client": "KZ/EDU/991340000037/rese%61rch"}, "spelling"),
        ({"endpoints": ()}, "endpoints"),
        ({"endpoints": ("GET /a", "GET /a")}, "once"),
        ({"endpoints": ("FETCH /a",)}, "endpoint"),
        ({"endpoints": ("GET /" + "a" * 300,)}, "300"),
        ({"endpoints": tuple(f"GET /{i}" for i in range(65))}, "64"),
        ({"purpose": Purpose(kk=None, ru=None, en=None)}, "one language"),
        ({"purpose": Purpose(kk="x", ru=" ", en=None)}, "purpose"),
        ({"purpose": Purpose(kk="x\x00", ru=None, en=None)}, "purpose"),
        ({"basis": ""}, "legal basis"),
        ({"basis": "x" * 2001}, "legal basis"),
        ({"contact": "a\nb"}, "one line"),
        ({"calls_a_day": 0}, "counted"),
        ({"calls_a_minute": 2001}, "minute"),
        ({"until": "2028-13-01"}, "YYYY"),
        ({"until": "20281231"}, "YYYY"),
        ({"until": "9999-12-31"}, "times"),
        ({"requested_by": "Aigul Serikova"}, "role"),
    ],
)
def test_what_cannot_be_decided_upon_is_not_taken(changes, detail):
    """Each with its reason."""
    with pytest.raises(Malformed, match=detail) as told:
        parse_request(encode(replace(REQUEST, **changes)))
    assert (told.value.code, told.value.at) == ("access.malformed", "caller")


def test_a_request_has_one_spelling():
    """No spaces, no other order, no doubled names, nothing more."""
    data = format_request(REQUEST)
    assert parse_request(data) == REQUEST
    for other in (data + b" ", data.replace(b'"type"', b'"more":1,"type"'), data.replace(b"{", b"{ ", 1), b"", b"[]"):
        with pytest.raises(Malformed):
            parse_request(other)


@settings(max_examples=60)
@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")))
def test_hostile_input_raises_our_error_only(junk):
    """Alone, and in the place of something well-formed."""
    for data in (junk, format_request(REQUEST).replace(b"GET /countries/*", junk)):
        with contextlib.suppress(Malformed):
            parse_request(data)


def test_a_day_ends_where_the_country_is():
    """At 19:00 of UTC."""
    assert end_of_day("2027-01-01") == 1798830000000


@pytest.mark.parametrize(
    ("given_", "asked", "narrower"),
    [
        ("GET /a/KZ", "GET /a/*", True),
        ("GET /a/*", "GET /a/**", True),
        ("GET /a/**/b", "GET /a/**", True),
        ("GET /a/*/**", "GET /a/**", True),
        ("GET /a", "* /a", True),
        ("GET /a/**", "GET /a/*", False),
        ("GET /a/**", "GET /a/*/**", False),
        ("GET /a/**", "GET /a/**/b", False),
        ("GET /**", "GET /a/**", False),
        ("* /a", "GET /a", False),
        ("GET /*", "GET /~~~~~", False),
        ("GET /a%2Fb", "GET /*", False),
    ],
)
def test_narrower_is_never_wider(given_, asked, narrower):
    """An owner gives what was asked for, or less."""
    assert is_narrower(Endpoint.parse(given_), Endpoint.parse(asked)) is narrower


PATTERN = st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=4).filter(lambda s: s.count("**") < 3)
CALLED = st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=5)


@settings(max_examples=300)
@given(PATTERN, PATTERN, CALLED)
def test_no_call_comes_under_a_narrower_endpoint_alone(given_, asked, called):
    """Whatever it covers, the wider one covers."""
    narrow, wide = (Endpoint("GET", "/" + "/".join(segments)) for segments in (given_, asked))
    path = "/" + "/".join(called)
    if is_narrower(narrow, wide) and narrow.covers("GET", path):
        assert wide.covers("GET", path)


def test_more_than_was_asked_is_not_given():
    """Nor for a time that is over, nor nothing."""
    check_granted(replace(GRANTED, endpoints=("GET /countries/KZ",), calls_a_minute=1), REQUEST, 0)
    for wrong in (
        replace(GRANTED, endpoints=("GET /**",)),
        replace(GRANTED, endpoints=()),
        replace(GRANTED, until="2026-01-01"),
        replace(GRANTED, calls_a_minute=0),
    ):
        with pytest.raises(Malformed):
            check_granted(wrong, REQUEST, end_of_day("2026-06-01"))


def test_steps_are_those_of_the_table():
    """Everything else stands against the state."""
    for present, following in NEXT.items():
        for wanted in STATES:
            if wanted in following:
                check_step(present, wanted)
            else:
                with pytest.raises(Conflict, match=present):
                    check_step(present, wanted)
