"""The anchor: read strictly, told apart by its fingerprint."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from qaztech.core.errors import Malformed, Untrusted
from qaztech.registry.anchor import fingerprint, make_anchor, parse_anchor
from qaztech.registry.client import ConfigurationClient
from qaztech.registry.directory import parse_directory, parse_instance
from registry_country import Country

MEMBERS = (
    b'{"type":"qaztech-directory 1","instance":"KZ","members":[{"id":"%b","lineage":"%b",'
    b'"names":{"kk":"a","ru":"a","en":"%b"},"subsystems":[]}]}'
)
Change = Callable[[dict[str, Any]], object]


def test_an_anchor_is_what_it_was_made_of(country: Country) -> None:
    """Root, log, policy and authorities come back as they went in."""
    anchor = parse_anchor(country.anchor_bytes)
    again = make_anchor(
        instance=anchor.instance,
        root=anchor.root,
        log_origin=anchor.log_origin,
        log_vkeys=tuple(map(str, anchor.log_keys)),
        policy=anchor.policy.format(),
        tsas=(b"certificate",),
        issued=anchor.issued,
    )
    assert parse_anchor(again).tsas == (b"certificate",)
    assert parse_anchor(again).fingerprint == fingerprint(again) != anchor.fingerprint
    assert len(anchor.fingerprint.split()) == 16


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.update(type="qaztech-anchor 2"),
        lambda a: a.update(root="*"),
        lambda a: a.update(root="YR=="),
        lambda a: a.update(policy="quorum nobody\n"),
        lambda a: a.update(issued=-1),
        lambda a: a.update(tsas=["?"]),
        lambda a: a["registry_log"].update(origin="elsewhere"),
        lambda a: a["registry_log"].update(vkeys=[]),
        lambda a: a.update(more=1),
        lambda a: a.pop("tsas"),
    ],
)
def test_anything_else_is_malformed(country: Country, change: Change) -> None:
    """Every member has one form."""
    form = json.loads(country.anchor_bytes)
    change(form)
    with pytest.raises(Malformed):
        parse_anchor(json.dumps(form, separators=(",", ":")).encode())


def test_spacing_is_not_free(country: Country) -> None:
    """One spelling, one fingerprint."""
    with pytest.raises(Malformed, match="spelling"):
        parse_anchor(country.anchor_bytes + b"\n")
    with pytest.raises(Malformed, match="longer"):
        parse_anchor(b" " * 300_000)


def test_an_anchor_whose_root_is_none_starts_no_node(country: Country) -> None:
    """A root must at least be signed by itself."""
    form = json.loads(country.anchor_bytes)
    form["root"] = "e30="
    anchor = parse_anchor(json.dumps(form, separators=(",", ":")).encode())
    with pytest.raises(Untrusted):
        ConfigurationClient(
            anchor=anchor, directory=country.directory / "node", fetcher=None, own_members={}, clock=country.clock
        )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        b'{"type":"x","instance":"KZ","members":[]}',
        MEMBERS % (b"x", b"ab" * 32, b"a"),
        MEMBERS % (b"KZ/GOV/1", b"x", b"a"),
        MEMBERS % (b"KZ/GOV/1", b"ab" * 32, b""),
    ],
)
def test_a_directory_has_one_form(data: bytes) -> None:
    """It grants nothing, and is read as strictly as what does."""
    with pytest.raises(Malformed):
        parse_directory(data)


@pytest.mark.parametrize(
    "change",
    [{"type": "x"}, {"revoked_tls": ["x"]}, {"settings": {"witnessing_interval": 0, "timestamp_interval": 1}}],
)
def test_an_instance_file_has_one_form(change: dict[str, Any]) -> None:
    """An interval of nothing, or a key that is no hash."""
    whole = {
        "type": "qaztech-instance 1",
        "instance": "KZ",
        "authorities": [],
        "revoked_tls": [],
        "settings": {"witnessing_interval": 1, "timestamp_interval": 1},
    }
    parse_instance(json.dumps(whole, separators=(",", ":")).encode())
    with pytest.raises(Malformed):
        parse_instance(json.dumps({**whole, **change}, separators=(",", ":")).encode())
