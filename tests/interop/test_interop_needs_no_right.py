"""Which calls need no right: three verifiers, written apart, judge real receipts of such calls alike."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qaztech.core.exchange import ABOUT_ITSELF, needs_no_right
from qaztech.core.rights import METHODS
from qaztech.evidence.receipt import format_receipt
from qaztech.registry.verification import Verifier
from qaztech.web.texts import STATIC
from receipt_country import ReceiptCountry
from registry_country import Country

ROOT = Path(__file__).parents[2]
CODES = (*ABOUT_ITSELF, "registers", "accessrequests", "access%20Requests")
CALLS = [(code, method) for code in CODES for method in METHODS if method in {"GET", "POST", "PUT"}]


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiptCountry]:
    """One country for all: receipts change nothing in it."""
    registry = Country(tmp_path_factory.mktemp("country"))
    yield ReceiptCountry(registry)
    registry.close()


@pytest.fixture(scope="module")
def receipts(country: ReceiptCountry) -> list[bytes]:
    """The receipts of these calls, each made without a right."""
    system = country.provider.subsystem("main")
    made = []
    for code, method in CALLS:
        call = country.request(service=f"{system}/{code}", endpoint="-", method=method)
        made.append(format_receipt(country.receipt(country.answer(call))))
    return made


@pytest.fixture(scope="module")
def python(country: ReceiptCountry, receipts: list[bytes]) -> list[bool]:
    """What `qaztech verify` finds: whether the request had what right it needs."""
    verifier = Verifier(country.country.anchor)
    return ["right" not in {one.name for one in verifier.verify(data).bad()} for data in receipts]


def test_qaztech_verify_takes_these_and_no_others(python: list[bool]) -> None:
    """By the words of the protocol."""
    assert python == [needs_no_right(code, method) for code, method in CALLS]
    assert sum(python) == len(ABOUT_ITSELF) + 1


def test_the_page_judges_alike(
    country: ReceiptCountry, receipts: list[bytes], python: list[bool], program: Callable[[str], str]
) -> None:
    """The module in the browser."""
    anchor = b64encode(country.country.anchor_bytes).decode()
    lines = [json.dumps({"receipt": data.decode(), "anchor": anchor, "bodies": {}}) for data in receipts]
    driver = ROOT / "tests/interop/check_receipts.mjs"
    done = subprocess.run(
        [program("node"), str(driver), str(STATIC), "native"],
        input="\n".join(lines), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    checks = [json.loads(line)["checks"] for line in done.stdout.splitlines()]
    assert [next(c["verdict"] for c in found if c["check"] == "right") == "ok" for found in checks] == python


def test_the_independent_program_judges_alike(
    country: ReceiptCountry, receipts: list[bytes], python: list[bool], tmp_path: Path
) -> None:
    """docs/verify.py, which shares no code with ours; one of each method of each service."""
    (tmp_path / "anchor.json").write_bytes(country.country.anchor_bytes)
    command = [sys.executable, str(ROOT / "docs/verify.py"), "receipt.json", "--anchor", "anchor.json"]
    judged = []
    for data in receipts:
        (tmp_path / "receipt.json").write_bytes(data)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        judged.append("bad  right  " not in done.stdout)
    assert judged == python
