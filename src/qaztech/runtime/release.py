"""Which release of QazTech this process runs.

It is for people and for tests, and decides nothing: nodes agree by the protocol's number (`core/exchange.py`), and
databases by the numbers of their scripts (`runtime/migration.py`).
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

NONE = "unknown"


@cache
def release() -> str:
    """The version of the installed package, such as `0.3.0`; `unknown` where the sources were never installed."""
    try:
        return version("qaztech")
    except PackageNotFoundError:
        return NONE
