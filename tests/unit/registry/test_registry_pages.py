"""The format pages say what the code does: their examples are read by it, and their numbers are its limits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from qaztech.registry import anchor, directory, excerpt, forms, member_file, rights_page
from qaztech.registry.metadata import snapshot_leaf
from qaztech.trust import envelope

PAGES = Path(__file__).parents[3] / "docs/formats"


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def examples(name: str) -> list[str]:
    return re.findall(r"```(?:json)?\n(.*?)```", page(name), re.DOTALL)


def compact(text: str) -> bytes:
    """The one spelling, as the page says Python writes it."""
    return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False).encode()


def test_the_member_file_of_the_page_is_one() -> None:
    """Its statement parses, and is spelled as the page says."""
    data = compact(examples("member-file")[0])
    statement = member_file.parse_statement(data)
    assert forms.encode(statement) == data
    table = page("member-file").partition("### Change")[0]
    order = re.findall(r"^\| `([a-z_]+)`(?:, `([a-z]+)`)? \|", table, re.MULTILINE)
    assert [name for pair in order for name in pair if name] == list(json.loads(data))


def test_the_key_change_of_the_page_is_what_is_signed() -> None:
    """Byte for byte."""
    text = next(e for e in examples("member-file") if e.startswith("qaztech-member-key"))
    _, member, version, from_, to = (line.partition(" ")[2] for line in text.splitlines())
    assert member_file.key_change_text(member, int(version), from_, to) == text.encode()


def test_the_rights_page_of_the_page_is_one() -> None:
    """And decides as it reads."""
    parsed = rights_page.parse_rights_page(compact(examples("rights-page")[0]))
    table = rights_page.RightsTable(parsed)
    lineage = parsed.groups["ministries"][0].lineage
    client = "KZ/GOV/991340000027/main"
    assert str(table.authorise(client, lineage, "GET", "/countries/KZ", 0)) == "GET /countries/*"
    assert str(table.authorise(client, lineage, "PUT", "/drafts", 0)) == "* /drafts/**"


def test_the_directory_of_the_page_is_one() -> None:
    """So is the instance file, but for its certificate, and the file of admin logs."""
    listing, instance, logs = examples("directory")
    assert directory.parse_logs(compact(logs)).admin[0].ended is None
    assert directory.parse_directory(compact(listing)).members[0].subsystems[0][0].code == "main"
    assert directory.parse_instance(compact(instance)).settings.witnessing_interval == 30_000


def test_the_entry_of_the_page_is_the_leaf() -> None:
    """Three lines, each with its newline."""
    text = examples("registry-log")[0]
    version, digest = re.findall(r"^(?:version|sha256) (.*)$", text, re.MULTILINE)
    assert snapshot_leaf(int(version), digest) == text.encode()


def test_the_fingerprint_is_written_in_groups() -> None:
    """SHA-256 in hex, four digits at a time."""
    shown = examples("anchor")[1].split()[1:]
    assert len(shown) == 16
    assert {len(group) for group in shown} == {4}
    assert anchor.fingerprint(b"x").split()[0] == "2d71"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("anchor", anchor.MAX_ANCHOR),
        ("member-file", member_file.MAX_MEMBER_FILE),
        ("member-file", envelope.MAX_ENVELOPE),
        ("member-file", member_file.MAX_PAGE),
        ("rights-page", member_file.MAX_PAGE),
        ("directory", directory.MAX_DIRECTORY),
        ("directory", directory.MAX_INSTANCE),
        ("excerpt", excerpt.MAX_EXCERPT),
    ],
)
def test_limits_are_those_of_the_page(name: str, number: int) -> None:
    """Written as people read numbers."""
    assert f"{number:,}" in page(name)


@pytest.mark.parametrize("name", ["anchor", "excerpt"])
def test_the_members_of_an_example_are_those_of_the_form(name: str) -> None:
    """Where the values are shortened, the names are not."""
    shown: dict[str, Any] = json.loads(examples(name)[0])
    form = anchor.AnchorForm if name == "anchor" else excerpt.ExcerptForm
    assert list(shown) == list(form.__struct_encode_fields__)
    if name == "excerpt":
        assert list(shown["snapshots"][0]) == list(excerpt.SnapshotPart.__struct_encode_fields__)
