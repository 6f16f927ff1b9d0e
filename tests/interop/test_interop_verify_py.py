"""The independent verifier, docs/verify.py, on kept receipts and on receipts that somebody changed.

Samples: `receipts/NAME.json`, each with its anchor beside it as `NAME.anchor.json` or, for all others, `anchor.json`.
"""

import base64
import copy
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qaztech.core.errors import Error
from qaztech.registry.verification import verify_receipt

HERE = Path(__file__).resolve().parent
VERIFY = HERE.parents[1] / "docs" / "verify.py"
RECEIPTS = HERE / "receipts"
SAMPLES = sorted(path for path in RECEIPTS.glob("*.json") if not path.name.endswith("anchor.json"))
NONE = f"NO SAMPLE RECEIPTS in {RECEIPTS.relative_to(HERE.parents[1])}: docs/verify.py was run on none"

each_sample = pytest.mark.parametrize(
    "sample",
    SAMPLES or [pytest.param(None, marks=pytest.mark.skip(reason=NONE))],
    ids=lambda sample: getattr(sample, "stem", "none"),
)


def anchor_of(sample):
    own = sample.with_suffix(".anchor.json")
    return own if own.exists() else RECEIPTS / "anchor.json"


def run(receipt, anchor, *more):
    done = subprocess.run(
        [sys.executable, str(VERIFY), str(receipt), "--anchor", str(anchor), *more],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in {0, 1}, done
    return done.returncode, done.stdout


def is_accepted(receipt, anchor):
    """What `qaztech verify` says of the same two files."""
    try:
        return verify_receipt(receipt.read_bytes(), anchor.read_bytes()).ok
    except Error:
        return False


def bad_checks(report):
    return {line.split("  ")[1] for line in report.splitlines() if line.startswith("bad  ")}


def state_of(report):
    return re.search(r"^state +(\S+)$", report, re.MULTILINE)[1]


def other(text, at):
    """The text with another character of base64 or hex at this place."""
    return text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :]


# Each change takes receipt and anchor, changes them in place, and says which checks may be the ones that fail (one of
# them must). None: this sample has nothing to change there.


def record_byte(receipt, _):
    record = base64.b64decode(receipt["messages"][0]["record"])
    place = record.index(b"\ntime ") + len(b"\ntime 1")
    changed = record[:place] + (b"8" if record[place : place + 1] != b"8" else b"7") + record[place + 1 :]
    receipt["messages"][0]["record"] = base64.b64encode(changed).decode()
    return {"inclusion"}


def record_form(receipt, _):
    record = base64.b64decode(receipt["messages"][0]["record"])
    receipt["messages"][0]["record"] = base64.b64encode(record.replace(b"\ntime ", b"\ntime 0")).decode()
    return {"record"}


def proof_hash(receipt, _):
    for message in receipt["messages"]:
        for entry in message["proofs"]:
            if found := re.match(r"(?:[^\n]+\n){2}(?=[A-Za-z0-9+/]{43}=\n)", entry["proof"]):
                entry["proof"] = other(entry["proof"], found.end() + 5)
                return {"inclusion"}
    return None


def proof_index(receipt, _):
    entry = receipt["messages"][0]["proofs"][0]
    entry["proof"] = re.sub(r"(?m)^index (\d+)$", lambda found: f"index {int(found[1]) + 1}", entry["proof"], count=1)
    return {"inclusion"}


def checkpoint_root(receipt, _):
    entry = receipt["messages"][0]["proofs"][0]
    entry["proof"] = other(entry["proof"], re.search(r"\n\n[^\n]+\n\d+\n", entry["proof"]).end() + 5)
    return {"inclusion"}


def log_signature(receipt, _):
    entry = receipt["messages"][0]["proofs"][0]
    entry["proof"] = other(entry["proof"], entry["proof"].index(f"\n— {entry['log']} ") + len(entry["log"]) + 30)
    return {"checkpoint"}


def cosignature(receipt, _):
    for message in receipt["messages"]:
        for entry in message["proofs"]:
            for line in re.finditer(r"\n— (\S+) ", entry["proof"]):
                if line[1] != entry["log"]:
                    entry["proof"] = other(entry["proof"], line.end() + 30)
                    return {"cosignatures"}
    return None


def stranger(receipt, _):
    entry = receipt["messages"][0]["proofs"][0]
    entry["proof"] += f"— stranger.example {base64.b64encode(bytes(68)).decode()}\n"
    return {"checkpoint"}


def blob(receipt, _):
    blobs = receipt["configuration"]["blobs"]
    name = next(iter(blobs))
    blobs[name] = other(blobs[name], len(blobs[name]) // 2)
    return {"configuration"}


def blob_renamed(receipt, _):
    blobs = receipt["configuration"]["blobs"]
    name = next(iter(blobs))
    blobs[other(name, 5)] = blobs.pop(name)
    return {"configuration"}


def registry_log(receipt, _):
    entry = receipt["configuration"]["snapshots"][0]
    entry["proof"] = other(entry["proof"], entry["proof"].index("\n— ") + 100)
    return {"configuration"}


def state(receipt, _):
    receipt["state"] = "sealed"
    return {"state"}


def proof_dropped(receipt, _):
    if receipt["state"] == "one-sided":
        return None
    receipt["messages"][-1]["proofs"].pop()
    return {"state"}


def record_twice(receipt, _):
    receipt["messages"].append(copy.deepcopy(receipt["messages"][0]))
    return {"exchange"}


def another_message(receipt, _):
    receipt["message"] = other(receipt["message"], 30)
    return {"exchange"}


def disclosed_value(receipt, _):
    for shown in receipt["disclosure"]:
        if "value" in shown:
            shown["value"] = base64.b64encode(b"/other").decode()
            return {"commitment"}
    return None


def stranger_member(receipt, _):
    receipt["note"] = ""
    return {"form"}


def anchor_root(_, anchor):
    root = json.loads(base64.b64decode(anchor["root"]))
    for signature in root["signatures"]:
        signature["sig"] = other(signature["sig"], 20)
    anchor["root"] = base64.b64encode(json.dumps(root).encode()).decode()
    return {"configuration"}


def anchor_of_another_instance(_, anchor):
    anchor["instance"] += "X"
    return {"configuration"}


def anchor_with_other_witnesses(_, anchor):
    lines = [line for line in anchor["policy"].splitlines() if line.split()[0] in {"log", "#"}]
    key = bytes([4]) + bytes(range(32))
    digits = hashlib.sha256(b"w.example\n" + key).hexdigest()[:8]
    lines += [f"witness w w.example+{digits}+{base64.b64encode(key).decode()}", "quorum w"]
    anchor["policy"] = "\n".join(lines) + "\n"
    return {"configuration"}


def anchor_spelling(_, anchor):
    anchor["more"] = 1
    return {"form"}


CHANGES = [
    record_byte,
    record_form,
    proof_hash,
    proof_index,
    checkpoint_root,
    log_signature,
    cosignature,
    stranger,
    blob,
    blob_renamed,
    registry_log,
    state,
    proof_dropped,
    record_twice,
    another_message,
    disclosed_value,
    stranger_member,
    anchor_root,
    anchor_of_another_instance,
    anchor_with_other_witnesses,
    anchor_spelling,
]


@each_sample
def test_interop_verify_py_good(sample):
    receipt = json.loads(sample.read_text(encoding="utf-8"))
    status, report = run(sample, anchor_of(sample))
    assert status == 0, report
    assert bad_checks(report) == set()
    assert is_accepted(sample, anchor_of(sample))
    order = ["one-sided", "recorded", "witnessed", "timestamped", "sealed"]  # timestamps and seals: not by this program
    assert state_of(report) == order[min(order.index(receipt["state"]), 2)]


@each_sample
def test_interop_verify_py_asked_for_more_than_there_is(sample):
    status, report = run(sample, anchor_of(sample), "--require", "sealed")
    assert status == 1, report


@each_sample
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_interop_verify_py_changed(sample, change, tmp_path):
    receipt = json.loads(sample.read_text(encoding="utf-8"))
    anchor = json.loads(anchor_of(sample).read_text(encoding="utf-8"))
    expected = change(receipt, anchor)
    if expected is None:
        return  # this sample has nothing to change there; others have
    (tmp_path / "receipt.json").write_text(json.dumps(receipt), encoding="utf-8")
    spelled = json.dumps(anchor, separators=(",", ":"), ensure_ascii=False)
    (tmp_path / "anchor.json").write_text(spelled, encoding="utf-8")
    status, report = run(tmp_path / "receipt.json", tmp_path / "anchor.json")
    assert status == 1, report
    assert bad_checks(report) & expected, report
    assert not is_accepted(tmp_path / "receipt.json", tmp_path / "anchor.json")


@each_sample
def test_interop_verify_py_body(sample, tmp_path):
    (tmp_path / "body").write_bytes(b"certainly not what was sent")
    status, report = run(sample, anchor_of(sample), "--body", str(tmp_path / "body"))
    assert status == 1, report  # bad where its salt is disclosed, "cannot check" of what was asked for where it is not


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"1" * 5000, b"\xff", b"[" * 100000, b'{"a":1,"a":1}', b'{"a":NaN}', b'{"a":1.5}'],
    ids=["empty", "object", "list", "null", "number", "no-utf-8", "deep", "twice", "nan", "fraction"],
)
def test_interop_verify_py_malformed(data, tmp_path):
    (tmp_path / "file.json").write_bytes(data)
    status, report = run(tmp_path / "file.json", tmp_path / "file.json")
    assert status == 1
    assert bad_checks(report) == {"form"}


def test_interop_verify_py_no_file(tmp_path):
    status, report = run(tmp_path / "none.json", tmp_path / "none.json")
    assert status == 1
    assert bad_checks(report) == {"form"}


def test_interop_verify_py_usage():
    done = subprocess.run([sys.executable, str(VERIFY)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "--anchor" in done.stderr
