"""What a restored registry does with what it had before."""

from __future__ import annotations

from pathlib import Path

import pytest

from qaztech.compose.registry_restore import _with_advice
from qaztech.compose.restore import end_admin_log
from qaztech.core.errors import Unavailable
from qaztech.evidence.policy import Policy
from qaztech.registry.founding import OWN_WITNESS, policy_lines, with_quorum
from qaztech.registry.key_files import create_cosigner


@pytest.mark.parametrize(("others", "told"), [(1, "registry-lost.md"), (2, "let those witnesses run")])
def test_a_restore_that_witnesses_hold_up_says_what_to_do(tmp_path: Path, others: int, told: str) -> None:
    """Where the lost registry's own witness is needed for a quorum, waiting would be in vain."""
    lines = []
    for name in (OWN_WITNESS, "one", "two")[: others + 1]:
        (tmp_path / name).mkdir()
        keys = create_cosigner(tmp_path / name, f"kz.example/{name}", hybrid=False).verifier_keys
        lines += policy_lines(name, keys, f"http://{name}.example/")
    policy = Policy.parse(with_quorum("\n".join(lines)).encode())
    error = _with_advice(Unavailable("witness.quorum", "too few", at="log"), policy)
    assert (error.code, error.detail.startswith("too few; "), told in error.detail) == ("witness.quorum", True, True)


def test_every_restored_admin_log_ends_beside_those_that_ended_before(tmp_path: Path) -> None:
    """A registry may be restored more than once, and each of its admin logs is kept."""
    for number in range(3):
        (tmp_path / "admin").mkdir()
        (tmp_path / "admin" / "which").write_text(str(number))
        end_admin_log(tmp_path / "admin")
    end_admin_log(tmp_path / "admin")
    kept = {path.name: (path / "which").read_text() for path in tmp_path.iterdir()}
    assert kept == {"admin.ended": "0", "admin.ended.2": "1", "admin.ended.3": "2"}
