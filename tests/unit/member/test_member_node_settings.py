"""Services in a node's settings: changed where they stand, added where they are not, or not touched at all."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from qaztech.core.errors import Conflict, Malformed
from qaztech.member.node_settings import lines_to_add, services_in, set_service, with_service

TEXT = """# The node.
id = "KZ/GOV/991340000017/node1"

[[services]]
id = "A"  # the first
url = "http://10.0.0.1"
timeout = 9.5

[[services]]
id = "B"
url = "http://10.0.0.2"

[edge]
port = 8080
"""


def test_a_value_changes_and_nothing_else_does() -> None:
    """Comments, order and other keys stay."""
    changed = with_service(TEXT, "A", {"url": "http://10.0.0.9"})
    assert changed == TEXT.replace("10.0.0.1", "10.0.0.9")


def test_a_key_is_added_to_the_table_of_its_service() -> None:
    """In front of what follows the table."""
    changed = with_service(TEXT, "B", {"openapi": 'with "quotes" and \\ қ'})
    assert tomllib.loads(changed)["services"][1] == {
        "id": "B", "url": "http://10.0.0.2", "openapi": 'with "quotes" and \\ қ',
    }  # fmt: skip
    assert tomllib.loads(changed)["edge"] == {"port": 8080}


def test_a_new_service_comes_at_the_end() -> None:
    """Also in a file without any; the lines for a node elsewhere say the same."""
    changed = with_service(TEXT, "C", {"url": "http://10.0.0.3"})
    assert changed.startswith(TEXT)
    assert changed.removeprefix(TEXT).strip() == lines_to_add("C", {"url": "http://10.0.0.3"})
    assert tomllib.loads(with_service("", "C", {"url": "u"}))["services"] == [{"id": "C", "url": "u"}]


@pytest.mark.parametrize(
    "text",
    [
        "[[services]\n",
        'x = """\n[[services]]\nid = "A"\n"""\n',
        'services = [{id = "A", url = "u"}]\n',
        "[services]\na = 1\n",
    ],
)
def test_what_is_written_otherwise_is_left_alone(text: str) -> None:
    """Better nothing than something that was not meant."""
    with pytest.raises(Conflict):
        with_service(text, "A", {"url": "v"})


def test_line_breaks_do_not_get_in() -> None:
    """A setting is one line."""
    with pytest.raises(Malformed):
        with_service(TEXT, "A", {"url": 'http://x"\n[management]\ntoken_hash = ""'})


def test_a_file_is_changed_in_its_place(tmp_path: Path) -> None:
    """And read again."""
    file = tmp_path / "node.toml"
    file.write_text(TEXT)
    set_service(file, "B", url="http://10.0.0.8")
    assert services_in(file)["B"]["url"] == "http://10.0.0.8"
    with pytest.raises(Conflict):
        services_in(tmp_path / "none")
