"""The page's verifying module, run under Node: it finds what `qaztech verify` finds in good and in damaged receipts."""

from __future__ import annotations

import copy
import json
import random
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from qaztech.core.commitment import BODY, HEADERS, PATH, QUERY
from qaztech.evidence.receipt import Receipt, Token, format_receipt
from qaztech.registry.verification import Verifier
from qaztech.web.texts import STATIC
from receipt_country import BODIES, ReceiptCountry
from registry_country import Country

ALL = (("request", PATH), ("request", QUERY), ("request", HEADERS), ("request", BODY), ("response", HEADERS))
# Names of this page's own, for the steps of a check that `verify` makes as one.
WITHIN = {"excerpt": "configuration"}
STEPS = {"anchor", "roots", "snapshot", "targets", "bins", "member", "page", "registry-log", "ml-dsa"}
FLIPS = 100

Found = dict[str, Any]
Check = Callable[..., list[Found]]


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiptCountry]:
    """One country for all: receipts change nothing in it."""
    registry = Country(tmp_path_factory.mktemp("country"))
    yield ReceiptCountry(registry)
    registry.close()


@pytest.fixture(scope="module")
def receipt(country: ReceiptCountry) -> Receipt:
    """The receipt of the usual call, everything in it disclosed."""
    return country.receipt(country.answered(), disclose=(*ALL, ("response", BODY)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def check(country: ReceiptCountry, program: Callable[[str], str]) -> Check:
    """Check receipts (their bytes) with the page's module."""
    node = program("node")

    def run(receipts: list[bytes], *, which: str = "native", bodies: dict[str, bytes] | None = None) -> list[Found]:
        given = {role: b64encode(body).decode() for role, body in (bodies or {}).items()}
        anchor = b64encode(country.country.anchor_bytes).decode()
        lines = [json.dumps({"receipt": r.decode(), "anchor": anchor, "bodies": given}) for r in receipts]
        driver = Path(__file__).with_name("check_receipts.mjs")
        done = subprocess.run(
            [node, str(driver), str(STATIC), which],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            check=True,
            timeout=50,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def names(found: Found, verdict: str) -> set[str]:
    """The checks with this verdict, by the names of the format page."""
    told = {WITHIN.get(one["check"], one["check"]) for one in found["checks"] if one["verdict"] == verdict}
    return told - STEPS


def expected(country: ReceiptCountry, data: bytes) -> tuple[set[str], str | None]:
    """What `verify` finds bad, and the state it finds."""
    verdict = Verifier(country.country.anchor).verify(data)
    return {one.name for one in verdict.bad()}, verdict.state


@pytest.mark.parametrize("which", ["native", "vendored"])
def test_a_good_receipt_holds_in_every_check(
    receipt: Receipt, check: Check, country: ReceiptCountry, which: str
) -> None:
    """With the platform's cryptography and with the vendored one; the body is checked when it is given."""
    [found] = check([format_receipt(receipt)], which=which, bodies={"response": BODIES["response"]})
    assert found["native"] == (which == "native")
    assert {one["verdict"] for one in found["checks"]} == {"ok"}
    assert found["state"] == "witnessed"
    assert found["fingerprint"].replace(" ", "") == sha256(country.country.anchor_bytes).hexdigest()


def test_the_checks_are_those_of_the_format_page(receipt: Receipt, check: Check) -> None:
    """Every check of the table is made, under its name."""
    page = (Path(__file__).parents[2] / "docs/formats/receipt.md").read_text(encoding="utf-8")
    table = {row.split("`")[1] for row in page.partition("| check |")[2].splitlines() if row.startswith("| `")}
    stamped = replace(receipt, timestamps=(Token("x", b"y", b"z"),), seals=(Token("x", b"y", b"z"),))
    [found] = check([format_receipt(stamped)])
    assert names(found, "ok") | names(found, "bad") | names(found, "unchecked") == table


def test_kinds_of_exchanges(country: ReceiptCountry, check: Check) -> None:
    """Streamed, refused, unanswered, aborted, unwitnessed: the page and `verify` judge alike."""
    refused = country.answer(country.request(), "refused")
    late = country.answer(country.answer(country.request(), "no-answer", country.a), "response", country.b)
    back = {"from_": country.b.origin, "to": country.a.origin}
    aborted = country.answer(country.answer(country.request(), "aborted", country.a), "aborted", country.b, **back)
    receipts = [
        country.receipt(country.streamed(), disclose=(("response", BODY),)),
        country.receipt(refused),
        country.receipt(late, state="one-sided"),
        country.receipt(aborted),
        country.receipt(country.answered(), witnesses=(), state="recorded"),
        country.receipt(country.answered(), witnesses=(), state="witnessed"),
        country.receipt(country.answered(), witnesses=("third",), state="recorded"),
        country.receipt(country.request(), state="one-sided"),
        country.receipt(country.answered(), after=3 * 24 * 3600),
        country.receipt(country.answered(), after=-120),
        country.receipt(country.answer(country.request(endpoint="POST /countries"))),
        country.receipt(country.answer(country.request(endpoint="-"))),
        country.receipt(country.answer(country.request(), "response", country.a), state="one-sided"),
        country.receipt(country.answer(country.request(), "response", country.b), state="one-sided"),
    ]
    data = [format_receipt(one) for one in receipts]
    for one, found in zip(data, check(data), strict=True):
        assert (names(found, "bad"), found["state"]) == expected(country, one)


def test_a_wrong_body_is_found(receipt: Receipt, check: Check) -> None:
    """The body's salt opens its commitment for that body only."""
    [found] = check([format_receipt(receipt)], bodies={"response": b"another"})
    assert names(found, "bad") == {"commitment"}


def test_timestamps_and_seals_are_never_green(receipt: Receipt, check: Check) -> None:
    """What a page cannot check it does not claim, nor the state that would follow."""
    proof = receipt.messages[0].proofs
    [(log, data)] = list(proof.items())[:1]
    note = data.partition(b"\n\n")[2]
    stamped = replace(receipt, timestamps=(Token(log, note, b"token"),), state="timestamped")
    [found] = check([format_receipt(stamped)])
    assert names(found, "unchecked") >= {"timestamp", "state"}
    assert not names(found, "ok") & {"timestamp", "state"}
    assert names(found, "bad") == set()


def flipped(receipt: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The receipt with one bit of one character of one text in it changed."""
    changed = copy.deepcopy(receipt)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(inner, dict | list):
                walk(inner)
            elif isinstance(inner, str) and inner:
                places.append((value, key))

    walk(changed)
    holder, key = chance.choice(places)
    text = b64decode(holder[key]).decode() if key == "record" else holder[key]
    at = chance.randrange(len(text))
    text = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
    holder[key] = b64encode(text.encode()).decode() if key == "record" else text
    return changed


def test_one_changed_bit_is_found_and_judged_alike(receipt: Receipt, check: Check, country: ReceiptCountry) -> None:
    """Wherever it is: in a record, a proof, the configuration, a disclosure, or the receipt's own words."""
    chance = random.Random(7)
    whole = json.loads(format_receipt(replace(receipt, disclosure=receipt.disclosure[:-1])))  # no salt without a value
    changed = [json.dumps(flipped(whole, chance)).encode() for _ in range(FLIPS)]
    for one, found in zip(changed, check(changed), strict=True):
        bad, state = expected(country, one)
        assert bad, "a change that nobody notices"
        assert (names(found, "bad"), found.get("state")) == (bad, state), found


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace('"format"', '"format":1,"format"', 1),
        lambda text: text.replace('"seals":[]', '"seals":[],"more":1', 1),
        lambda text: text.replace('"seals":[]', '"seals":[1.0]', 1),
        lambda text: text.replace('"message"', '"mess\\u00', 1),
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: "[" * 5000 + "]" * 5000,
        lambda text: '"\\ud800"',
    ],
)
def test_what_is_no_receipt_is_said_to_be_none(receipt: Receipt, check: Check, spoil: Callable[[str], str]) -> None:
    """Doubled names, strangers, fractions, halves of characters, depth: bad form, and nothing else breaks."""
    [found] = check([spoil(format_receipt(receipt).decode()).encode()])
    assert names(found, "bad") == {"form"}
