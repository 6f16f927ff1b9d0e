"""Receipts under generated damage: no changed byte verifies as if nothing had happened, and no input escapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rfc3161_client import decode_timestamp_response

from qaztech.core.commitment import HEADERS, PATH
from qaztech.core.errors import Error, Malformed
from qaztech.core.time import ManualClock
from qaztech.evidence.dev_tsa import DevelopmentAuthority
from qaztech.evidence.receipt import format_receipt, parse_receipt
from qaztech.evidence.timestamp import Authorities, timestamp_request
from qaztech.registry.verification import Verifier
from receipt_country import ReceiptCountry
from registry_country import Country

AUTHORITY = DevelopmentAuthority.generate(ManualClock())
AUTHORITIES = Authorities([AUTHORITY.certificate])
TOKEN = decode_timestamp_response(AUTHORITY.timestamp_reply(timestamp_request(b"note").data)).time_stamp_token()
REQUEST = timestamp_request(b"note").data


@dataclass(frozen=True)
class Sample:
    """A receipt that verifies, with what it was verified to say, and its verifier."""

    data: bytes
    verifier: Verifier


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """A streamed exchange, with disclosures; its time is stamped."""
    registry = Country(tmp_path_factory.mktemp("country"))
    country = ReceiptCountry(registry)
    authority = DevelopmentAuthority.generate(registry.clock)

    def issue(note: bytes) -> bytes:
        return decode_timestamp_response(
            authority.timestamp_reply(timestamp_request(note).data)
        ).time_stamp_token()  # fmt: skip

    disclose = (("request", PATH), ("response", HEADERS))
    receipt = country.stamped(country.receipt(country.streamed(), disclose=disclose), issue)  # type: ignore[arg-type]
    yield Sample(format_receipt(receipt), Verifier(country.anchor(tsas=(authority.certificate,))))
    registry.close()


def test_the_sample_verifies(sample: Sample) -> None:
    """What is damaged below is whole before."""
    assert sample.verifier.verify(sample.data, require="timestamped").ok


@settings(max_examples=300)
@given(draw=st.data())
def test_no_changed_byte_goes_unseen(sample: Sample, draw: st.DataObject) -> None:
    """Every byte of a receipt is vouched for by somebody, or it says nothing.

    A token's framing may differ where CMS signs nothing; there is no white space in this spelling of the receipt.
    """
    place = draw.draw(st.integers(0, len(sample.data) - 1))
    new = draw.draw(st.one_of(st.integers(0, 255), st.sampled_from(b'AZaz09+/="\\{}[]:,-\n')))
    changed = bytearray(sample.data)
    changed[place] = new
    verdict = sample.verifier.verify(bytes(changed), require="timestamped")
    if verdict.ok and bytes(changed) != sample.data:
        before, after = json.loads(sample.data), json.loads(changed)
        for one, other in zip(before["timestamps"], after["timestamps"], strict=True):
            one.pop("token")
            other.pop("token")
        assert before == after


@settings(max_examples=150)
@given(draw=st.data())
def test_no_part_goes_unseen(sample: Sample, draw: st.DataObject) -> None:
    """Removing, doubling or exchanging members of the JSON never leaves a receipt that verifies to more than before."""
    form = json.loads(sample.data)
    where: list[tuple[object, object]] = []
    _walk(form, where)
    holder, key = draw.draw(st.sampled_from(where))
    _, other = draw.draw(st.sampled_from(where))
    change = draw.draw(st.sampled_from(["remove", "empty", "null", "other"]))
    if change == "remove":
        del holder[key]  # type: ignore[attr-defined]
    elif change == "empty":
        value = holder[key]  # type: ignore[index]
        holder[key] = type(value)() if value is not None else ""  # type: ignore[index]
    else:
        holder[key] = None if change == "null" else str(other)  # type: ignore[index]
    verdict = sample.verifier.verify(json.dumps(form).encode(), require="timestamped")
    # `logs` and `disclosure` may be shorter; what is left of them is checked.
    same = {name: value for name, value in form.items() if name not in {"logs", "disclosure"}}
    if verdict.ok:
        assert same == {n: v for n, v in json.loads(sample.data).items() if n not in {"logs", "disclosure"}}


def _walk(value: object, found: list[tuple[object, object]]) -> None:
    """Every place in a JSON value, as its holder and the key or index there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found.append((value, key))
        _walk(inner, found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=100)
@given(data=st.binary(max_size=200) | JSON.map(lambda v: json.dumps(v).encode()))
def test_junk_is_malformed(data: bytes) -> None:
    """Whatever comes, parsing raises nothing but `Malformed`."""
    with pytest.raises(Malformed):
        parse_receipt(data)


@settings(max_examples=150)
@given(draw=st.data(), value=JSON)
def test_junk_inside_is_a_verdict(sample: Sample, draw: st.DataObject, value: object) -> None:
    """Any value in any place: a verdict, never an error."""
    form = json.loads(sample.data)
    where: list[tuple[object, object]] = []
    _walk(form, where)
    holder, key = draw.draw(st.sampled_from(where))
    before = holder[key]  # type: ignore[index]
    holder[key] = value  # type: ignore[index]
    verdict = sample.verifier.verify(json.dumps(form).encode("utf-8", "surrogatepass"))
    assert verdict.checks
    assert not verdict.ok or value == before or verdict.state


@settings(max_examples=100)
@given(draw=st.data(), junk=st.binary(max_size=64))
def test_damaged_tokens_raise_our_errors_only(draw: st.DataObject, junk: bytes) -> None:
    """Tokens and answers cut, doubled, spliced: nothing but the project's errors."""
    cut = draw.draw(st.integers(0, len(TOKEN)))
    for token in (TOKEN[:cut] + junk + TOKEN[cut + len(junk) :], TOKEN[:cut] + junk, junk):
        with suppress(Error):
            assert AUTHORITIES.verify(token, b"note") > 0
        with pytest.raises(Error):
            AUTHORITIES.accept(timestamp_request(b"note"), token)


@settings(max_examples=100)
@given(request_=st.binary(max_size=80))
def test_the_authority_answers_anything(request_: bytes) -> None:
    """With a refusal that clients can read."""
    assert decode_timestamp_response(AUTHORITY.timestamp_reply(request_)).status == 2


@settings(max_examples=100)
@given(draw=st.data(), junk=st.binary(min_size=1, max_size=8))
def test_the_authority_answers_damaged_requests(draw: st.DataObject, junk: bytes) -> None:
    """Granted or refused, always an answer."""
    cut = draw.draw(st.integers(0, len(REQUEST) - 1))
    answer = AUTHORITY.timestamp_reply(REQUEST[:cut] + junk + REQUEST[cut + len(junk) :])
    assert decode_timestamp_response(answer).status in {0, 2}
