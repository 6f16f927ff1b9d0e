"""Commands on one country wait for each other."""

from __future__ import annotations

import threading
from pathlib import Path

from qaztech.testing.alone import alone


def test_the_second_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    """Two `qaztech up` at once would found one country twice, each over what the other has made."""
    home, told, order = tmp_path / "home", threading.Event(), []

    def second() -> None:
        with alone(home, lambda _: told.set()):
            order.append("second")

    other = threading.Thread(target=second, daemon=True)
    with alone(home, order.append):
        other.start()
        assert told.wait(5)
        order.append("first")
    other.join(5)
    assert order == ["first", "second"]


def test_it_is_free_again_after_a_failure(tmp_path: Path) -> None:
    """What went wrong under it keeps nobody out."""
    heard: list[str] = []
    try:
        with alone(tmp_path):
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    with alone(tmp_path, heard.append):
        assert heard == []
