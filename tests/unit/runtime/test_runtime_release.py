"""A process says which release it runs."""

from __future__ import annotations

import re

import pytest

from qaztech.cli.main import main
from qaztech.runtime.release import release
from qaztech.runtime.telemetry import Metrics, process_gauges


def test_the_command_says_its_release(capsys: pytest.CaptureFixture[str]) -> None:
    """`qaztech --version` prints one line and succeeds."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"qaztech {release()}\n"
    assert re.match(r"\d+\.\d+\.\d+", release())


def test_the_metrics_name_the_release() -> None:
    """As Prometheus does it: a gauge that is always 1, with the release as its label."""
    assert f'qaztech_build_info{{version="{release()}"}} 1' in Metrics().render(process_gauges()).decode().splitlines()
