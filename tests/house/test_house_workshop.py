"""The workshop itself: a skip fails in CI, and the tests are counted in one closing line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPPING = "import pytest\n\ndef test_one():\n    pytest.skip('no such program')\n"
SKIPPED_FILE = "import pytest\npytest.skip('no such module', allow_module_level=True)\n"
EXPECTED_TO_FAIL = "import pytest\n\n@pytest.mark.xfail(strict=True)\ndef test_one():\n    assert False\n"


def run_pytest(root: Path, folder: Path, source: str, *, ci: bool) -> subprocess.CompletedProcess[str]:
    """Run one test file under the project's conftest."""
    for name in ("conftest.py", "databases.py"):
        shutil.copy(root / "tests" / name, folder / name)
    (folder / "test_sample.py").write_text(source, encoding="utf-8")
    environment = {**os.environ, "CI": "true" if ci else ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("source", [SKIPPING, SKIPPED_FILE], ids=["a test", "a file"])
def test_a_skip_is_a_failure_in_ci_and_only_there(root: Path, tmp_path: Path, source: str) -> None:
    """What could not be tested is never taken for tested."""
    in_ci = run_pytest(root, tmp_path, source, ci=True)
    assert in_ci.returncode not in {0, 5}
    assert "CI=true: Skipped: no such" in in_ci.stdout
    assert "1 skipped" in run_pytest(root, tmp_path, source, ci=False).stdout


def test_an_expected_failure_is_no_skip(root: Path, tmp_path: Path) -> None:
    """A test marked as failing, and failing, is as it should be also in CI."""
    assert run_pytest(root, tmp_path, EXPECTED_TO_FAIL, ci=True).returncode == 0


def test_shell_scripts_are_well_formed(root: Path, tracked: list[Path]) -> None:
    """Every shell script parses, and the one CI calls may be executed."""
    scripts = [path for path in tracked if path.suffix == ".sh"]
    for script in scripts:
        subprocess.run(["sh", "-n", str(script)], check=True)
    ci = root / ".ci/run"
    subprocess.run(["bash", "-n", str(ci)], check=True)
    assert os.access(ci, os.X_OK)
    assert "make test" in ci.read_text(encoding="utf-8")
