"""What all unit tests share: none that runs on an event loop waits for ever, and their many logs are small."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator

import pytest

from qaztech.evidence.log import Log

# Far more than any takes on a busy machine; less than after what its whole process would be ended (scripts/run_tests).
SECONDS = 30.0
# A new log writes a whole segment of zeros: 8 MiB where nothing else is said.
SEGMENT_SIZE = 1 << 20


@pytest.fixture(scope="session", autouse=True)
def small_segments() -> Iterator[None]:
    """Logs of this size, where a test says nothing of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Log.create.__kwdefaults__, "segment_size", SEGMENT_SIZE)
        yield


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
