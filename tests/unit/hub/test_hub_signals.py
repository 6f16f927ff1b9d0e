"""Signals of an identity provider: who may send them, what becomes of them, what is refused whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from asgi_caller import Answer, Caller
from operational_logs import CLIENT, CONSUMER, PROVIDER, Hub
from qaztech.core.bin import reserved_bin
from qaztech.core.time import ManualClock
from qaztech.hub.observation import NOTHING_SEEN, usage_of
from qaztech.hub.operational import hub_app
from qaztech.hub.register.store import METADATA, Edit, ObjectStore
from qaztech.hub.signals import Signals
from qaztech.runtime.database import add_tables

pytest.importorskip("duckdb")

# Three in the morning of the first of March in Kazakhstan, still February by UTC.
NOW = int(datetime(2026, 2, 28, 22, tzinfo=UTC).timestamp() * 1000)
MESSAGE = "019ab3c2-7f4e-7abc-8def-{:012x}"
PORTAL, FORMS = (f"KZ/GOV/{reserved_bin(830)}/{name}" for name in ("portal", "forms"))


class Centre:
    """A centre with two systems, that knows the consumer as an identity provider."""

    def __init__(self, directory: Path) -> None:
        self.hub = Hub(directory)
        add_tables(self.hub.engine, METADATA)
        self.objects = ObjectStore(self.hub.engine)
        systems: list[dict[str, Any]] = [{"id": "ds-1", "subsystems": [PORTAL, FORMS]}, {"id": "ds-2"}]
        self.objects.apply([Edit(table="objects", values=each) for each in systems], by="a", source="s", at=1)
        self.kept = directory / "signals"
        signals = Signals(
            objects=self.objects, directory=self.kept, providers=[CONSUMER], clock=ManualClock(NOW)
        )  # fmt: skip
        self.caller = Caller(hub_app(self.hub.deliveries, signals=signals))

    def send(self, *signals: object, number: int = 1, client: str = CLIENT, message: str = MESSAGE) -> Answer:
        """Signals as the exchange of that number brings them."""
        headers = {"x-road-client": client, "x-road-request-id": message.format(number)}
        return self.caller.post("/signals", json={"signals": list(signals)}, headers=headers)

    def months(self, id_: str) -> tuple[tuple[str, int], ...]:
        """What is known of a system's sign-ins."""
        register = self.objects.register()
        return usage_of(register.objects[id_], register, NOTHING_SEEN).sign_ins


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    """The centre."""
    centre = Centre(tmp_path / "hub")
    yield centre
    centre.hub.close()


def refused(centre: Centre, answer: Answer, status: int, code: str) -> None:
    """It is refused with that code and nothing of it counts."""
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert centre.objects.register().version == 1
    assert not centre.kept.exists()


def test_signals_become_rows_whose_source_is_the_exchange(centre: Centre) -> None:
    """With the provider's BIN; subsystems of one system add up; what was sent is kept under the message's id."""
    answer = centre.send(
        {"subsystem": PORTAL, "month": "2026-01", "sign_ins": 4000},
        {"subsystem": FORMS, "month": "2026-01", "sign_ins": 7},
        {"object": "ds-2", "month": "2026-02", "sign_ins": 0},
    )
    message = MESSAGE.format(1)
    assert answer.json() == {"message": message, "added": 2, "changed": 0}
    assert (centre.months("ds-1"), centre.months("ds-2")) == ((("2026-01", 4007),), (("2026-02", 0),))
    ((batch, _), *_) = centre.objects.history("signals", "ds-1|2026-01")
    assert (batch.by, batch.source) == (CLIENT, f"exchange:{message}")
    values = {change.field: change.after for _, change in centre.objects.history("signals", "ds-1|2026-01")}
    assert values["signed_by"] == CONSUMER.code
    assert len(json.loads((centre.kept / f"{message}.json").read_bytes())["signals"]) == 3


def test_the_same_again_changes_nothing_and_a_correction_is_history(centre: Centre) -> None:
    """A provider that did not hear the answer sends again; one that counted wrong sends the month anew."""
    signal = {"object": "ds-2", "month": "2026-01", "sign_ins": 5}
    assert centre.send(signal).json()["added"] == 1
    assert centre.send(signal).json()["added"] == 0
    assert centre.send(signal, number=2).json() == {"message": MESSAGE.format(2), "added": 0, "changed": 0}
    assert centre.send({**signal, "sign_ins": 6}, number=3).json()["changed"] == 1
    told = [(change.before, change.after) for _, change in centre.objects.history("signals", "ds-2|2026-01")]
    assert (5, 6) in told
    assert centre.send({**signal, "sign_ins": 7}, number=3).json()["code"] == "signals.message"


def test_a_member_that_is_no_identity_provider_is_refused(centre: Centre) -> None:
    """Whatever it sends; and so is everybody at a centre that takes none."""
    other = f"{PROVIDER}/x"
    refused(centre, centre.send({"object": "ds-2", "month": "2026-01", "sign_ins": 5}, client=other), 403,
            "signals.sender")  # fmt: skip
    caller = Caller(hub_app(centre.hub.deliveries))
    assert caller.post("/signals", json={}, headers={"x-road-client": CLIENT}).json()["code"] == "signals.none"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"month": "2026-03"}, 400, "signals.month"),
        ({"month": "1999-12"}, 400, "signals.month"),
        ({"month": "2026-13"}, 400, "signals.malformed"),
        ({"sign_ins": -1}, 400, "signals.malformed"),
        ({"sign_ins": "5"}, 400, "signals.malformed"),
        ({"person": "x"}, 400, "signals.malformed"),
        ({"subsystem": PORTAL}, 400, "signals.malformed"),
        ({"object": ""}, 400, "signals.malformed"),
        ({"object": "ds-9"}, 404, "signals.object"),
        ({"object": "", "subsystem": f"{CONSUMER}/none"}, 404, "signals.object"),
        ({"object": "ds-1"}, 400, "signals.twice"),
    ],
)
def test_one_wrong_signal_refuses_all(centre: Centre, change: dict[str, Any], status: int, code: str) -> None:
    """Nothing is taken in part, and no number is a person's."""
    good = {"object": "ds-1", "month": "2026-01", "sign_ins": 1}
    refused(centre, centre.send(good, {"object": "ds-2", "month": "2026-01", "sign_ins": 5, **change}), status, code)


@pytest.mark.parametrize("message", ["", "x", "../../hub", MESSAGE.format(1).upper()])
def test_without_a_message_id_nothing_is_proven(centre: Centre, message: str) -> None:
    """The centre's node always gives one."""
    signal = {"object": "ds-2", "month": "2026-01", "sign_ins": 5}
    refused(centre, centre.send(signal, message=message), 400, "signals.message")


@pytest.mark.parametrize("signals", [[], [{}]])
def test_what_is_no_message_of_signals(centre: Centre, signals: list[object]) -> None:
    """Nothing, or a signal of nothing."""
    refused(centre, centre.send(*signals), 400, "signals.malformed")


def test_too_much_is_not_read(centre: Centre) -> None:
    """A message of signals is short."""
    headers = {"x-road-client": CLIENT, "x-road-request-id": MESSAGE.format(1)}
    answer = centre.caller.post("/signals", content=b" " * (4 * 1024**2 + 1), headers=headers)
    refused(centre, answer, 429, "request.too-large")


def test_what_another_provider_has_counted_stays(centre: Centre) -> None:
    """Two that count the same month differently are for people to settle."""
    row = {"object": "ds-2", "month": "2026-01", "sign_ins": 5, "signed_by": PROVIDER.code}
    centre.objects.apply([Edit(table="signals", values=row)], by="a", source="s", at=1)
    answer = centre.send({"object": "ds-2", "month": "2026-01", "sign_ins": 6})
    assert (answer.status_code, answer.json()["code"]) == (409, "signals.others")
    assert centre.months("ds-2") == (("2026-01", 5),)


def test_a_page_in_a_browser_on_this_machine_is_not_the_node(centre: Centre) -> None:
    """It names a host of its own that leads here (DNS rebinding), whatever member it says it is."""
    for host in ("evil.example:8404", "127.0.0.1.evil.example", "", "[::1", "localhost.evil.example"):
        answer = centre.caller.get("/findings", {"host": host, "x-road-client": CLIENT})
        assert (answer.status_code, answer.json()["code"]) == (403, "operational.remote"), host
    for host in ("127.0.0.1:8404", "localhost:8404", "[::1]:8404"):
        assert centre.caller.get("/findings", {"host": host, "x-road-client": CLIENT}).status_code == 200
