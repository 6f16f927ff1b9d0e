"""What a restored registry does with what it had before."""

from __future__ import annotations

from pathlib import Path

from qaztech.compose.registry_restore import _end_admin_log


def test_every_restored_admin_log_ends_beside_those_that_ended_before(tmp_path: Path) -> None:
    """A registry may be restored more than once, and each of its admin logs is kept."""
    for number in range(3):
        (tmp_path / "admin").mkdir()
        (tmp_path / "admin" / "which").write_text(str(number))
        _end_admin_log(tmp_path)
    _end_admin_log(tmp_path)
    kept = {path.name: (path / "which").read_text() for path in tmp_path.iterdir()}
    assert kept == {"admin.ended": "0", "admin.ended.2": "1", "admin.ended.3": "2"}
