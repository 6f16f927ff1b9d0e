"""A whole country in one call, for members' own tests, and the crash simulator for the log's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qaztech.testing.instance import Instance

__all__ = ["Instance"]


def __getattr__(name: str) -> Any:
    """`Instance`, loaded when it is asked for: the small programs in this package need none of it."""
    if name == "Instance":
        from qaztech.testing.instance import Instance  # noqa: PLC0415

        return Instance
    raise AttributeError(name)
