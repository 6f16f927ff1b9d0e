"""How often clients call: counted in minutes of the clock and days of the country, and told when to come again."""

from __future__ import annotations

import json

import pytest

from qaztech.compose.node_members import LimitFiles, build_desks
from qaztech.core.errors import Error, Forbidden, Malformed
from qaztech.core.ids import MemberId, ServiceId, SubsystemId
from qaztech.node.limits import ASKED_TOO_OFTEN, DAY, MINUTE, RATE, VOLUME, CallCounts, retry_after
from qaztech.node.place import refusal
from qaztech.node.settings import MemberSettings
from qaztech.registry.call_limits import CallLimit, format_limits, parse_limits, parse_timetable
from qaztech.registry.forms import Names
from qaztech.registry.maintenance import Maintenance

MEMBER = MemberId.parse("KZ/QUASI/991340000027")
SERVICE = ServiceId.parse(f"{MEMBER}/codes/codes")
CLIENT, OTHER = (SubsystemId.parse(f"KZ/EDU/991340000037/{name}") for name in ("research", "other"))
# 2027-01-01, 00:00 in Kazakhstan.
MIDNIGHT = 1798743600000
SECRET = "s" * 43
NOTICE = Names(kk="Қайта жүктеу", ru="Перезапуск", en="Restart")


def counts(minute=None, day=None, closed=()):
    """Counts of a node whose member limits one client so."""
    made = CallCounts(access_requests=2)
    made.limits = {(SERVICE, CLIENT): CallLimit(minute, day, closed)}
    return made


def codes(made, times, client=CLIENT):
    """What becomes of calls at these moments: None, or the code of the refusal."""
    outcomes = [made.call(SERVICE, client, "GET /a", MIDNIGHT + time) for time in times]
    return [outcome.code if outcome is not None else None for outcome in outcomes]


def test_calls_of_a_minute_and_of_a_day():
    """The next minute and the next day begin anew; refused calls are not counted."""
    assert codes(counts(minute=2), [0, 1, 2, MINUTE - 1, MINUTE]) == [None, None, RATE, RATE, None]
    assert codes(counts(day=2), [0, MINUTE, 2 * MINUTE, DAY - 1, DAY]) == [None, None, VOLUME, VOLUME, None]
    assert codes(counts(minute=1, day=2), [0, 0, MINUTE, 2 * MINUTE]) == [None, RATE, None, VOLUME]


def test_who_is_not_limited_is_not_counted():
    """Nor is another client's call counted for the first."""
    made = counts(minute=1)
    assert codes(made, [0] * 50, OTHER) == [None] * 50
    assert codes(made, [0, 0]) == [None, RATE]


def test_a_right_that_was_taken_away_is_refused_as_if_it_were_not_there():
    """By the endpoint that the call names."""
    made = counts(closed=("GET /a",))
    assert isinstance(made.call(SERVICE, CLIENT, "GET /a", MIDNIGHT), Forbidden)
    assert made.call(SERVICE, CLIENT, "GET /b", MIDNIGHT) is None


def test_speaking_of_access_is_counted_by_client():
    """Whatever it is about."""
    made = CallCounts(access_requests=2)
    asked = [made.access_request(CLIENT, MIDNIGHT) for _ in range(3)]
    assert [one and one.code for one in asked] == [None, None, ASKED_TOO_OFTEN]
    assert made.access_request(OTHER, MIDNIGHT) is None
    assert made.access_request(CLIENT, MIDNIGHT + MINUTE) is None


@pytest.mark.parametrize(
    ("code", "at", "seconds"),
    [
        (RATE, 0, 60), (RATE, 1, 60), (RATE, 59_999, 1), (RATE, 59_000, 1), (ASKED_TOO_OFTEN, 30_500, 30),
        (VOLUME, 0, 86_400), (VOLUME, DAY - 1, 1), ("limit.service", 5, 1),
    ],
)  # fmt: skip
def test_the_callers_node_knows_when_to_come_again(code, at, seconds):
    """From the time of the refusal alone, which is on record."""
    assert retry_after(code, MIDNIGHT + at) == seconds
    assert refusal(code, "too many", MIDNIGHT + at).retry_after == seconds


def test_the_file_has_one_spelling_and_is_the_members_own():
    """It names no service of another."""
    limits = {(SERVICE, CLIENT): CallLimit(1, None, ("GET /a",)), (SERVICE, OTHER): CallLimit(None, 5)}
    data = format_limits(limits)
    assert parse_limits(data, MEMBER) == limits
    line = json.loads(data)["limits"][0]
    for wrong in (
        data + b" ", data.replace(b"qaztech-limits 1", b"x"), data.replace(b'"minute":1', b'"minute":0'),
        data.replace(b'"minute":1', b'"minute":true'), data.replace(b"/codes/codes", b"/codes"),
        format_limits({}).replace(b"[]", json.dumps([line, line], separators=(",", ":")).encode()), b"",
    ):  # fmt: skip
        with pytest.raises(Malformed):
            parse_limits(wrong, MEMBER)
    with pytest.raises(Malformed):
        parse_limits(data, MemberId.parse("KZ/GOV/991340000017"))


def test_the_calls_of_a_day_are_kept_over_a_restart(tmp_path):
    """Of that day; the next begins anew, and a damaged file counts for nothing."""
    path, kept = tmp_path / "limits.json", tmp_path / "kept"
    path.write_bytes(format_limits({(SERVICE, CLIENT): CallLimit(None, 2)}))
    member = [MemberSettings(id=str(MEMBER), lineage="a" * 64, limits="limits.json")]

    def started():
        made = CallCounts(access_requests=2)
        files = LimitFiles(made, lambda name: tmp_path / name, kept)
        files.start(member)
        return made, files

    made, files = started()
    assert codes(made, [0, 0]) == [None, None]
    files.look()
    assert codes(started()[0], [MINUTE, DAY]) == [VOLUME, None]
    kept.write_bytes(b'{"day":1,"counts":[["x","y",1]]}')
    assert codes(started()[0], [MINUTE]) == [None]


def test_a_changed_file_is_taken_up_and_a_damaged_one_is_not(tmp_path):
    """What cannot be read changes nothing; a file that is gone limits nothing."""
    made, path = CallCounts(access_requests=2), tmp_path / "limits.json"
    files = LimitFiles(made, lambda name: tmp_path / name, tmp_path / "kept")
    files.use([MemberSettings(id=str(MEMBER), lineage="a" * 64, limits="limits.json")])
    assert made.limits == {}
    limits = {(SERVICE, CLIENT): CallLimit(1, None)}
    path.write_bytes(format_limits(limits))
    files.look()
    assert made.limits == limits
    path.write_bytes(b"{}")
    files.look()
    files.use([MemberSettings(id=str(MEMBER), lineage="a" * 64, limits="limits.json")])
    assert made.limits == limits
    with pytest.raises(Malformed):
        LimitFiles(made, lambda _: path, tmp_path / "kept").start(
            [MemberSettings(id=str(MEMBER), lineage="a" * 64, limits="x")]
        )
    path.unlink()
    files.look()
    assert made.limits == {}


@pytest.mark.parametrize("url", [
    f"http://192.0.2.1:8450/exchanges/{SECRET}", f"http://desk.example/exchanges/{SECRET}",
    "http://127.0.0.1:8450/exchanges/", "https://desk.example/exchanges/short", f"ftp://127.0.0.1/{SECRET}",
    f"https://a:b@desk.example/{SECRET}", f"http://127.0.0.1:8450/{SECRET}?x", f"http://[/{SECRET}",
])  # fmt: skip
def test_a_desk_is_reached_safely_or_not_at_all(url):
    """On this machine, or by https, and by a path that cannot be guessed."""
    with pytest.raises(Error) as told:
        build_desks([MemberSettings(id=str(MEMBER), lineage="a" * 64, desk=url)])
    assert isinstance(told.value, Malformed)
    assert SECRET not in str(told.value)


def test_each_member_has_its_own_desk():
    """And who has told of none has none."""
    first = MemberSettings(id=str(MEMBER), lineage="a" * 64, desk=f"http://127.0.0.1:8450/exchanges/{SECRET}")
    second = MemberSettings(id="KZ/GOV/991340000017", lineage="b" * 64)
    assert set(build_desks([first, second])) == {MEMBER}


def test_a_service_is_away_by_timetable_and_comes_back_by_itself():
    """For whoever calls, limited or not, with the notice; nothing is counted meanwhile."""
    made, begin, end = counts(minute=1), MIDNIGHT + 2 * 3_600_000, MIDNIGHT + 4 * 3_600_000
    planned = Maintenance(begin, end, NOTICE)
    made.timetable = {SERVICE: planned}
    away = [made.call(SERVICE, OTHER, "GET /a", time) for time in (begin - 1, begin, end - 1, end)]
    assert [outcome is None for outcome in away] == [True, False, False, True]
    assert away[1].code == "service.disabled"
    assert "Қайта жүктеу / Перезапуск / Restart (2027-01-01 02:00 – 2027-01-01 04:00 UTC+05:00)" in away[1].detail
    assert codes(made, [2 * 3_600_000, 4 * 3_600_000]) == ["service.disabled", None]


def test_the_timetable_stands_in_the_file_of_limits(tmp_path):
    """Only where there is one, so that who knows nothing of it reads a file without; taken up with the limits."""
    planned = {SERVICE: Maintenance(MIDNIGHT, MIDNIGHT + 1, NOTICE)}
    assert b"maintenance" not in format_limits({})
    data = format_limits({(SERVICE, CLIENT): CallLimit(1, None)}, planned)
    assert parse_timetable(data, MEMBER) == planned
    assert parse_limits(data, MEMBER) == {(SERVICE, CLIENT): CallLimit(1, None)}
    made, path = CallCounts(access_requests=1), tmp_path / "limits.json"
    path.write_bytes(data)
    files = LimitFiles(made, lambda _: path, tmp_path / "kept.json")
    files.start([MemberSettings(id=str(MEMBER), lineage="a" * 64, limits="limits.json")])
    assert made.timetable == planned
    path.unlink()
    files.look()
    assert (made.timetable, made.limits) == ({}, {})


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.update(end=line["begin"]), lambda line: line.update(end=line["begin"] + 32 * DAY),
        lambda line: line.update(begin=-1), lambda line: line["notice"].update(kk=""),
        lambda line: line["notice"].update(ru="x" * 201), lambda line: line.update(service="KZ/GOV/991340000017/a/b"),
        lambda line: line.update(service="x"),
    ],
)  # fmt: skip
def test_a_timetable_that_is_none_is_refused(change):
    """Another's service, times the wrong way round or too long, notices that are empty or too long."""
    file = json.loads(format_limits({}, {SERVICE: Maintenance(MIDNIGHT, MIDNIGHT + 1, NOTICE)}))
    change(file["maintenance"][0])
    with pytest.raises(Malformed) as caught:
        parse_timetable(json.dumps(file, ensure_ascii=False, separators=(",", ":")).encode(), MEMBER)
    assert caught.value.code == "limits.malformed"
