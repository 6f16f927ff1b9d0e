"""What one log says of an exchange is checked against what the other says of the same."""

from __future__ import annotations

import pytest

from operational_logs import Pair
from qaztech.hub.crosscheck import CONTRADICTION, DIFFERENCE, GRACE, cross_check


@pytest.fixture
def pair() -> Pair:
    """Two logs with some exchanges of every honest kind."""
    pair = Pair()
    pair.answered()
    pair.refused()
    pair.unanswered()
    pair.streamed()
    pair.streamed(outcome="aborted")
    return pair


def found(pair: Pair, *, without: tuple[int, int] = (0, 0), held: dict | None = None) -> list[tuple[str, str, str]]:
    """Code, level and log of each finding; `without` takes a leaf out of the rows (log's number, place)."""
    rows = [row for log in pair.logs for row in log.rows() if (log.number, row.place) != without or without[0] == 0]
    times = {log.origin: log.recorded for log in pair.logs} if held is None else held
    findings = cross_check(rows, times)
    return [(finding.code, finding.level, finding.origin) for finding in findings]


def test_honest_logs_agree(pair: Pair) -> None:
    """Answered, refused, unanswered, streamed whole or cut short: nothing is found."""
    pair.later()
    assert found(pair) == []


def test_a_request_that_the_consumer_never_made(pair: Pair) -> None:
    """A provider that writes a call into its log which nobody made is found by the consumer's log."""
    request, place = pair.request()
    pair.consumer.entries.pop()
    pair.later()
    codes = found(pair)
    assert codes == [("exchange.not-made", CONTRADICTION, pair.provider.origin)]
    assert (request["message"], place) != ("", -1)


def test_an_answer_that_the_provider_never_gave(pair: Pair) -> None:
    """A consumer that writes an answer of its own making is found by the provider's log."""
    request, place = pair.request()
    forged = pair.bound("response", request, place, status=200, size=0, headers="A" * 43 + "=", body="A" * 43 + "=")
    pair.consumer.append(forged.data, pair.tick())
    pair.later()
    assert found(pair) == [("exchange.not-made", CONTRADICTION, pair.consumer.origin)]


def test_two_answers_to_one_request(pair: Pair) -> None:
    """A provider that has another answer on record than the consumer got."""
    response = pair.answered(status=200)
    other = response.data.replace(b"status 200", b"status 500")
    pair.provider.append(other, pair.tick())
    pair.later()
    assert ("exchange.two-answers", CONTRADICTION, pair.provider.origin) in found(pair)


def test_an_answer_without_its_request(pair: Pair) -> None:
    """A provider that answered has the request on record."""
    request, place = pair.request(arrives=False)
    refused = pair.bound("refused", request, place, code="access-right.missing")
    pair.provider.append(refused.data, pair.tick())
    pair.consumer.append(refused.data, pair.tick())
    pair.later()
    assert found(pair) == [("exchange.no-request", CONTRADICTION, pair.provider.origin)]


def test_an_answer_lost_on_its_way_is_a_difference(pair: Pair) -> None:
    """Honest nodes may end so: the consumer knows of no answer, the provider gave one."""
    pair.answered(lost=True)
    pair.later()
    assert found(pair) == [("exchange.ends-differ", DIFFERENCE, pair.consumer.origin)]


def test_a_consumer_that_was_killed_is_a_difference(pair: Pair) -> None:
    """Its log has the request and nothing after it."""
    pair.answered()
    pair.consumer.entries.pop()
    pair.later()
    assert found(pair) == [("exchange.ends-differ", DIFFERENCE, pair.consumer.origin)]


def test_nothing_is_said_before_the_other_side_can_have_delivered(pair: Pair) -> None:
    """A log that is complete only up to then, or was never delivered, accuses nobody."""
    pair.request()
    pair.consumer.entries.pop()
    assert found(pair) == []
    pair.later()
    assert found(pair, held={pair.provider.origin: pair.provider.recorded}) == []
    just = pair.provider.entries[-2][0] + GRACE
    held = {log.origin: just for log in pair.logs}
    assert len(found(pair, held=held)) == 1
    assert found(pair, held=dict.fromkeys(held, just - 1)) == []


@pytest.mark.parametrize("place", range(7))
def test_any_leaf_kept_back_on_one_side_is_found(place: int) -> None:
    """A row that one side does not deliver (had its arithmetic let it) stands in the other's rows."""
    pair = Pair()
    pair.answered()
    pair.refused()
    pair.streamed()
    pair.later()
    for log in pair.logs:
        assert found(pair, without=(log.number, place)) != []
