"""The registry's parsers and decisions under generated input: only our own errors escape, what holds always holds."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.core.errors import Error, Malformed, Untrusted
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.rights import METHODS, Endpoint
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.registry.anchor import parse_anchor
from qaztech.registry.authoring import ServiceRights, new_statement, revise, rotate_key, with_log, with_node
from qaztech.registry.directory import member_path, parse_directory, parse_instance
from qaztech.registry.excerpt import verify_excerpt
from qaztech.registry.forms import encode
from qaztech.registry.member_file import log_origin, parse_statement, sign_statement, verify_member_file
from qaztech.registry.metadata import Root, Snapshot, Targets, Timestamp, read
from qaztech.registry.rights_page import RightsTable, page_for, parse_rights_page
from qaztech.trust.certificates import load_key, node_of, spki_hash
from qaztech.trust.envelope import SignedEnvelope
from qaztech.trust.keys import Ed25519Key
from registry_country import Country, names, quick_folder, seed

NOW = 1_800_000_000_000
MEMBER = MemberId("KZ", "GOV", "991340000017")
SERVICE = ServiceId(SubsystemId(MEMBER, "main"), "x")
NODE = NodeId(MEMBER, "n")
KEY = Ed25519Key.from_seed(seed("property"))
LETTERS = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="%:;/\\\u200b\ufeff")
PARTS = st.text(LETTERS, min_size=1, max_size=12).filter(lambda s: s not in {".", ".."})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@cache
def anchor_bytes() -> bytes:
    """An anchor made once."""
    with quick_folder() as folder:
        country = Country(folder)
        country.close()
        return country.anchor_bytes


@cache
def samples() -> dict[str, bytes]:
    """One good example for each parser."""
    statement = with_node(new_statement(MEMBER, KEY.public, names("Атауы"), NOW), NODE, "a.example:1", bytes(32))
    origin = log_origin("KZ", KEY.public)
    statement = with_log(statement, NODE, [VerifierKey.of(origin, ED25519, KEY.public)], NOW)
    rights = ServiceRights(service=SERVICE).grant(SubsystemId(MEMBER, "c"), "ab" * 32, [Endpoint.parse("GET /*")])
    return {
        "statement": encode(statement),
        "file": sign_statement(statement, KEY),
        "page": rights.pages(1)[0].data,
        "anchor": anchor_bytes(),
    }


PARSERS = {
    "envelope": SignedEnvelope.parse,
    "statement": parse_statement,
    "file": verify_member_file,
    "page": parse_rights_page,
    "anchor": parse_anchor,
    "directory": parse_directory,
    "instance": parse_instance,
    "root": lambda data: read(data, Root),
    "snapshot": lambda data: read(data, Snapshot),
    "targets": lambda data: read(data, Targets),
    "timestamp": lambda data: read(data, Timestamp),
    "spki": spki_hash,
    "node": node_of,
    "key": load_key,
}


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=60)
@given(data=st.binary(max_size=200) | JSON.map(lambda v: json.dumps(v).encode()))
def test_only_our_errors_escape_a_parser(name: str, data: bytes) -> None:
    """Bytes and JSON of any shape."""
    with suppress(Error):
        PARSERS[name](data)


@pytest.mark.parametrize("name", ["statement", "file", "page", "anchor"])
@settings(max_examples=80)
@given(draw=st.data())
def test_a_good_form_with_something_exchanged_is_refused_or_itself(name: str, draw: st.DataObject) -> None:
    """One value of the JSON replaced by another: our errors, or a form with one spelling."""
    value = json.loads(samples()[name])
    holder, keys = value, []
    while True:
        key = draw.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else list(range(len(holder)))))
        keys.append(key)
        if not isinstance(holder[key], dict | list) or not holder[key] or draw.draw(st.booleans()):
            break
        holder = holder[key]
    holder[keys[-1]] = draw.draw(JSON)
    data = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    with suppress(Error):
        PARSERS[name](data)


@settings(max_examples=80)
@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_flipped_bit_breaks_a_member_file(position: int, bit: int) -> None:
    """Whatever is changed under the signature is found; the key hint alone is not relied on."""
    data = bytearray(samples()["file"])
    place = position % len(data)
    data[place] ^= 1 << bit
    try:
        file = verify_member_file(bytes(data))
    except (Malformed, Untrusted):
        return
    assert encode(file.statement) == samples()["statement"]
    assert b'"keyid"' in samples()["file"][max(0, place - 80) : place + 80]


@settings(max_examples=60)
@given(excerpt=JSON)
def test_only_our_errors_escape_an_excerpt(excerpt: object) -> None:
    """Whatever stands in a receipt."""
    with pytest.raises(Error):
        verify_excerpt(excerpt, parse_anchor(anchor_bytes()))


@given(member_class=PARTS, code=PARTS, other_class=PARTS, other_code=PARTS)
def test_no_two_members_share_a_path(member_class: str, code: str, other_class: str, other_code: str) -> None:
    """Target paths are injective, whatever characters a code has."""
    one, two = MemberId("KZ", member_class, code), MemberId("KZ", other_class, other_code)
    assert (member_path(one) == member_path(two)) == (one == two)
    assert member_path(one).count("/") == 2


@settings(max_examples=50)
@given(
    clients=st.dictionaries(st.integers(0, 999), st.sampled_from(METHODS), max_size=60),
    asked=st.integers(0, 999),
    method=st.sampled_from(METHODS),
    pad=st.integers(0, 60),
)
def test_cut_rights_decide_as_whole_ones(clients: dict[int, str], asked: int, method: str, pad: int) -> None:
    """However rights fall into pages, each client is allowed exactly what it was given."""
    rights = ServiceRights(service=SERVICE)
    for number, given_ in clients.items():
        endpoints = [Endpoint.parse(f"{given_} /{'x' * 80}/{n}") for n in range(pad)]
        rights = rights.grant(_client(number), "ab" * 32, [Endpoint.parse(f"{given_} /y"), *endpoints])
    pages = rights.pages(1)
    found = page_for([page.reference for page in pages], str(_client(asked)))
    assert found is not None
    data = next(page.data for page in pages if page.reference == found)
    decided = RightsTable(parse_rights_page(data)).authorise(str(_client(asked)), "ab" * 32, method, "/y", 0)
    assert (decided is not None) == (clients.get(asked) == method)


@settings(max_examples=40)
@given(rotations=st.integers(0, 5), skips=st.lists(st.integers(1, 3), min_size=6, max_size=6))
def test_a_lineage_survives_its_keys(rotations: int, skips: list[int]) -> None:
    """However often the key changes, the first one names the member, and every key is in the chain in order."""
    keys = [Ed25519Key.from_seed(seed(f"rotation {n}")) for n in range(6)]
    statement = new_statement(MEMBER, keys[0].public, names("x"), NOW)
    for number in range(rotations):
        for _ in range(skips[number]):
            statement = revise(statement, NOW)
        statement = rotate_key(statement, keys[number], keys[number + 1].public, NOW)
    file = verify_member_file(sign_statement(statement, keys[rotations]))
    assert file.keys == tuple(key.public for key in keys[: rotations + 1])
    assert file.lineage == new_statement(MEMBER, keys[0].public, names("x"), NOW).lineage
    if rotations:
        with pytest.raises(Untrusted):
            verify_member_file(sign_statement(statement, keys[0]))


def _client(number: int) -> SubsystemId:
    return SubsystemId(MemberId("KZ", "COM", f"{number:012d}"), "main")
