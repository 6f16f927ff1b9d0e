"""What all unit tests share: none that runs on an event loop waits for ever, whatever it waits for."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable

import pytest

# Far more than any takes on a busy machine; less than after what its whole process would be ended (scripts/run_tests).
SECONDS = 30.0


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Give a test that is a coroutine a deadline: it fails where it waits, and its fixtures are ended as ever."""
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        item.obj = _limited(item.obj)


def _limited(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def limited(*args: object, **kwargs: object) -> None:
        async with asyncio.timeout(SECONDS):
            await test(*args, **kwargs)

    return limited
