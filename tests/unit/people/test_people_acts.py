"""The admin log: acts in their order, durable, each once, provable, and nothing in it that is no act."""

from __future__ import annotations

from pathlib import Path

import pytest

from people_console import PASSWORD
from qaztech.core.errors import Conflict, Limited, Malformed, NotFound
from qaztech.core.time import ManualClock
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.log import LogView
from qaztech.evidence.merkle import leaf_hash, verify_inclusion
from qaztech.evidence.note import VerifierKey
from qaztech.evidence.storage import OsStorage
from qaztech.people.actors import COMMAND_LINE, Act
from qaztech.people.acts import AdminLog
from qaztech.people.people import People
from qaztech.people.tables import pending_act


def act(number: int = 0, **fields: object) -> Act:
    """An act as consoles make them."""
    values = {
        "who": "aigerim", "role": "administrator", "when": 1_800_000_000_000 + number, "act": "service.enable",
        "subject": "KZ/GOV/991340000017/permits/list", "before": {"enabled": False}, "after": {"enabled": True},
    }  # fmt: skip
    return Act(**{**values, **fields})  # type: ignore[arg-type]


async def test_acts_are_there_when_the_log_is_opened_again(tmp_path: Path, clock: ManualClock) -> None:
    """In their order, under the same origin, and the log goes on."""
    log = AdminLog.create(tmp_path / "admin", instance="KZ", clock=clock)
    origin = log.origin
    assert [await log.record(act(n)) for n in range(3)] == [0, 1, 2]
    await log.close()
    log = AdminLog.open(tmp_path / "admin", clock=clock)
    assert (log.origin, log.head.size) == (origin, 3)
    assert await log.record(act(3, after={"аты": "Тізілім"})) == 3
    assert [found.index for found in log.acts()] == [3, 2, 1, 0]
    assert [found.act for found in log.acts(newest_first=False, before=1, limit=2)] == [act(1), act(2)]
    assert [found.index for found in log.acts(before=2, limit=5)] == [1, 0]
    assert log.acts()[0].act == act(3, after={"аты": "Тізілім"})
    await log.close()


async def test_an_act_can_be_proven_to_anybody(tmp_path: Path, clock: ManualClock) -> None:
    """The checkpoint is signed by the log's key, and the leaf leads to its root; tiles serve entries too."""
    log = AdminLog.create(tmp_path / "admin", instance="KZ", clock=clock)
    for n in range(5):
        await log.record(act(n))
    served = log.tile("checkpoint")
    assert served is not None
    checkpoint = SignedCheckpoint.parse(served[1]).verify([VerifierKey.parse(log.vkey)])
    bundle = log.tile("tile/entries/000.p/5")
    assert bundle is not None
    assert act(4).leaf() in bundle[1]
    with LogView.open_read_only(tmp_path / "admin" / "log", storage=OsStorage()) as view:
        proof = view.inclusion_proof(2, 5)
    verify_inclusion(leaf_hash(act(2).leaf()), 2, 5, proof, checkpoint.root)
    assert log.tile("../log.key") is None
    await log.close()


async def test_what_commands_changed_reaches_the_log_once(tmp_path: Path, clock: ManualClock, people: People) -> None:
    """Noted with the change, brought later, in order; also when a process ended between the two."""
    log = AdminLog.create(tmp_path / "admin", instance="KZ", clock=clock)
    assert await log.drain(people.engine) == 4
    assert await log.drain(people.engine) == 0
    people.accounts.set_roles("dana", ["service-owner"], by=COMMAND_LINE)
    people.accounts.set_disabled("dana", True, by=COMMAND_LINE)
    clock.advance(6 * 3_600_000)
    with people.engine.connect() as db:
        noted = [row._asdict() for row in db.execute(pending_act.select())]
    assert await log.drain(people.engine) == 2
    with people.engine.begin() as db:
        db.execute(pending_act.insert(), noted)  # as if the process had ended before it forgot them
    await log.close()
    log = AdminLog.open(tmp_path / "admin", clock=clock)
    assert await log.drain(people.engine) == 2
    told = [found.act for found in log.acts(newest_first=False)]
    assert [(one.act, one.subject, one.before, one.after) for one in told[4:] if one is not None] == [
        ("account.roles", "dana", {"roles": ["developer"]}, {"roles": ["service-owner"]}),
        ("account.disable", "dana", {"disabled": False}, {"disabled": True}),
    ]
    text = b"".join(one.leaf() for one in told if one is not None).decode()
    assert PASSWORD not in text
    assert "argon2" not in text
    await log.close()


async def test_one_process_has_the_log(tmp_path: Path, clock: ManualClock) -> None:
    """A second one is refused, and a folder with a log is not made into another."""
    log = AdminLog.create(tmp_path / "admin", instance="KZ", clock=clock)
    with pytest.raises(Conflict):
        AdminLog.open(tmp_path / "admin", clock=clock)
    with pytest.raises(Conflict):
        AdminLog.create(tmp_path / "admin", instance="KZ", clock=clock)
    with pytest.raises(Limited):
        log.acts(limit=100_000)
    await log.close()
    with pytest.raises(NotFound):
        AdminLog.open(tmp_path / "nothing", clock=clock)


@pytest.mark.parametrize(
    "fields",
    [
        {"who": ""},
        {"subject": ""},
        {"after": {"x": "y" * 17_000}},
        {"after": {"x": object()}},
        {"after": {"x": float("nan")}},
    ],
)
async def test_what_is_no_act_is_not_recorded(tmp_path: Path, clock: ManualClock, fields: dict[str, object]) -> None:
    """Bounded, complete, JSON."""
    log = AdminLog.create(tmp_path / "admin", instance="KZ", clock=clock)
    with pytest.raises(Malformed):
        await log.record(act(**fields))  # type: ignore[arg-type]
    assert log.head.size == 0
    await log.close()


@pytest.mark.parametrize(
    "leaf",
    [b"", b"{}", b"[]", b"null", b"qaztech-snapshot 1\n", b'{"qaztech":"act 2"}', b"\xff", b"[" * 5000, b"x" * 20_000,
     act().leaf().replace(b",", b", ", 1), act().leaf().replace(b"act 1", b"act 2"),
     act().leaf().replace(b"1800000000000", b'"soon"')],
)  # fmt: skip
def test_only_the_canonical_form_is_an_act(leaf: bytes) -> None:
    """One act, one spelling."""
    with pytest.raises(Malformed):
        Act.parse(leaf)
    assert Act.parse(act().leaf()) == act()
