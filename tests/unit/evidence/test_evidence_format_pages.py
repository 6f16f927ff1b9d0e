"""The examples on the format pages are true: what a reader copies from them parses and verifies."""

from __future__ import annotations

import re
from pathlib import Path

from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.cosignature import verify_cosignature
from qaztech.evidence.merkle import leaf_hash
from qaztech.evidence.note import VerifierKey, parse_signature_lines
from qaztech.evidence.policy import Policy
from qaztech.evidence.proof import TlogProof
from qaztech.evidence.witness import AddCheckpoint, judge

FORMATS = Path(__file__).parents[3] / "docs" / "formats"


def page(name: str) -> tuple[str, list[bytes]]:
    """A page and its fenced examples."""
    text = (FORMATS / f"{name}.md").read_text()
    return text, [example.encode() for example in re.findall(r"^```\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)]


def key_on(text: str) -> VerifierKey:
    """The verifier key that a page names in its running text."""
    (vkey,) = re.findall(r"`([^`\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+)`", text)
    return VerifierKey.parse(vkey)


def example_policy() -> Policy:
    """The policy page's example, without the line that is cut short there."""
    _, (example, *_) = page("policy")
    return Policy.parse(b"".join(line for line in example.splitlines(keepends=True) if "…".encode() not in line))


def test_the_checkpoint_verifies() -> None:
    """The example checkpoint verifies with the key beside it."""
    text, (example, *_) = page("checkpoint")
    assert SignedCheckpoint.parse(example).verify([key_on(text)]).size == 5


def test_the_cosignature_verifies() -> None:
    """The example cosignature is one of the example checkpoint, at the time and over the text that the page shows."""
    text, (line, message) = page("cosignature")
    _, (checkpoint, *_) = page("checkpoint")
    signed = SignedCheckpoint.parse(checkpoint)
    assert verify_cosignature(*parse_signature_lines(line), key_on(text), signed) == 1_800_000_000
    assert message == b"cosignature/v1\ntime 1800000000\n" + signed.note.text


def test_the_proof_verifies_under_the_policy() -> None:
    """The example proof holds for the entry named there, under the policy page's example."""
    _, (example, *_) = page("proof")
    witnessed = TlogProof.parse(example).verify(leaf_hash(b"record 3"), example_policy())
    assert witnessed.times == {"registry": 1_800_000_000, "edu": 1_800_000_001}
    assert witnessed.time == 1_800_000_001


def test_the_request_and_the_answer_fit() -> None:
    """The example request is one the witness would cosign, and the example answer is its cosignature."""
    _, (request, answer) = page("witness")
    parsed = AddCheckpoint.parse(request.partition(b"\n\n")[2])
    assert judge(parsed, None) is not None
    assert parsed.old_size == 3
    (line,) = parse_signature_lines(answer.partition(b"\n\n")[2])
    assert verify_cosignature(line, example_policy().witnesses["registry"].key, parsed.checkpoint) == 1_800_000_000
