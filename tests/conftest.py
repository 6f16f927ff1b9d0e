"""What all tests share: a skip that cannot go unnoticed, and one profile for generated tests.

On a desk a test whose program is missing skips and names it. With `CI=true` a skip is a failure: there everything
must be installed. Tests marked `slow` run only when asked for (`make soak`, or `pytest -m slow`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

import databases

IN_CI = os.environ.get("CI", "").lower() == "true"

settings.register_profile("desk", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
# The same examples on every run: a change is judged by what it changes. New ones are found at desks and by make soak.
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if IN_CI else "desk")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the same tests run on the other database."""
    kinds = (databases.SQLITE, databases.POSTGRESQL)
    parser.addoption("--database", choices=kinds, default=databases.SQLITE, help="what tests keep their tables in")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the database."""
    databases.choose(config.getoption("--database"))


def pytest_unconfigure() -> None:
    """Leave no server behind."""
    databases.end()


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Find an external program by name, or skip the test and say how to have it."""

    def find(name: str) -> str:
        path = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")  # where Debian has nginx
        if path is None:
            pytest.skip(f"{name} is not installed: it is in packages.txt, `make test` as root installs it")
        return path

    return find


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not IN_CI or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"skipped, which is a failure where CI=true: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Turn the skip of a test into its failure in CI."""
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """Turn the skip of a whole file into its failure in CI."""
    report = yield
    _fail_if_skipped(report)
    return report
