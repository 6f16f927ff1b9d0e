"""Receipts verified from the anchor alone: every check, each of them failing for its own reason, and every state."""

from __future__ import annotations

import copy
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from rfc3161_client import decode_timestamp_response

from qaztech.core.commitment import BODY, HEADERS, PATH, QUERY, commit
from qaztech.core.errors import Malformed
from qaztech.core.record import STREAMED, hash_text
from qaztech.evidence.dev_tsa import DevelopmentAuthority
from qaztech.evidence.receipt import ListedLog, Receipt, Token, format_receipt
from qaztech.evidence.timestamp import timestamp_request
from qaztech.registry.verification import Verdict, Verifier, verify_receipt
from receipt_country import BODIES, MESSAGE, ReceiptCountry
from registry_country import Country, seed

DAY = 24 * 3600 * 1000
ALL = (("request", PATH), ("request", QUERY), ("request", HEADERS), ("request", BODY), ("response", HEADERS))


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiptCountry]:
    """One country for all: receipts change nothing in it."""
    registry = Country(tmp_path_factory.mktemp("country"))
    yield ReceiptCountry(registry)
    registry.close()


@pytest.fixture(scope="module")
def verify(country: ReceiptCountry) -> Callable[..., Verdict]:
    """Verify a receipt against the country's anchor."""
    verifier = Verifier(country.country.anchor)
    return lambda receipt, **asked: verifier.verify(format_receipt(receipt), **asked)


@pytest.fixture(scope="module")
def receipt(country: ReceiptCountry) -> Receipt:
    """The receipt of the usual call."""
    return country.receipt(country.answered(), disclose=(*ALL, ("response", BODY)))  # type: ignore[arg-type]


def found(verdict: Verdict, outcome: str = "bad") -> set[str]:
    """The names of the checks with this outcome."""
    return {check.name for check in verdict.checks if check.verdict == outcome}


def with_message(receipt: Receipt, number: int, **changes: Any) -> Receipt:
    """The receipt with one of its messages changed."""
    messages = list(receipt.messages)
    messages[number] = replace(messages[number], **changes)
    return replace(receipt, messages=tuple(messages))


# What verifies


def test_the_usual_receipt_verifies(receipt: Receipt, verify: Callable[..., Verdict]) -> None:
    """Request and response, both logs, a quorum, the configuration, every disclosure."""
    verdict = verify(receipt, require="witnessed", body=io.BytesIO(BODIES["response"]))
    assert verdict.ok
    assert verdict.state == "witnessed"
    assert found(verdict) == found(verdict, "cannot check") == set()
    assert verdict.message == MESSAGE
    assert verdict.exchange is not None
    assert verdict.exchange.outcome == "200"
    assert verdict.exchange.witnessed == 1_800_000_001_000
    assert sorted({check.name for check in verdict.checks}) == sorted(
        ["form", "record", "exchange", "inclusion", "checkpoint", "cosignatures", "configuration", "logs", "parties",
         "right", "time", "commitment", "state"]
    )  # fmt: skip


def test_one_call_is_enough_for_one_receipt(receipt: Receipt, country: ReceiptCountry) -> None:
    """Without a `Verifier` of one's own; an anchor that is none is an error, not a verdict."""
    assert verify_receipt(format_receipt(receipt), country.country.anchor_bytes).ok
    with pytest.raises(Malformed):
        verify_receipt(format_receipt(receipt), b"{}")


def test_streamed_bodies_are_proven_by_their_tails(country: ReceiptCountry, verify: Callable[..., Verdict]) -> None:
    """Four records; the body's commitment is the tail's."""
    receipt = country.receipt(country.streamed(), disclose=(("response", BODY),))
    assert len(receipt.messages) == 4
    assert verify(receipt, require="witnessed", body=io.BytesIO(BODIES["response"])).ok
    assert not verify(receipt, body=io.BytesIO(b"another")).ok


@pytest.mark.parametrize("kind", ["refused", "no-answer", "aborted"])
def test_other_outcomes_are_outcomes(country: ReceiptCountry, verify: Callable[..., Verdict], kind: str) -> None:
    """A refusal is proven by both, what only one side knows by its writer alone."""
    owed = () if kind == "refused" else (country.a,)
    verdict = verify(country.receipt(country.answer(country.request(), kind, *owed)), require="witnessed")
    assert verdict.ok
    assert verdict.exchange is not None
    assert verdict.exchange.outcome.startswith(kind)


def test_an_answer_that_came_too_late_stands_beside_no_answer(
    country: ReceiptCountry, verify: Callable[..., Verdict]
) -> None:
    """Both are true; the response is not in the consumer's log, so the receipt is one-sided."""
    call = country.answer(country.request(), "no-answer", country.a)
    verdict = verify(country.receipt(country.answer(call, "response", country.b), state="one-sided"))
    assert verdict.ok
    assert verdict.state == "one-sided"


def test_both_sides_may_abort(country: ReceiptCountry, verify: Callable[..., Verdict]) -> None:
    """Each once; twice from one side is a contradiction."""
    call = country.answer(country.request(), "aborted", country.a)
    back = {"from_": country.b.origin, "to": country.a.origin}
    assert verify(country.receipt(country.answer(call, "aborted", country.b, **back))).ok
    assert found(verify(country.receipt(country.answer(call, "aborted", country.b, **back)))) == {"exchange", "state"}


def test_a_call_about_services_needs_no_right(country: ReceiptCountry, verify: Callable[..., Verdict]) -> None:
    """`listMethods` and its like are for everyone who may connect; nothing else is."""
    listed = f"{country.provider.subsystem('main')}/listMethods"
    assert verify(country.receipt(country.answer(country.request(service=listed, endpoint="-")))).ok
    assert found(verify(country.receipt(country.answer(country.request(endpoint="-"))))) == {"right"}


@pytest.mark.parametrize(
    ("code", "method", "held"),
    [
        ("accessRequests", "GET", True),
        ("accessRequests", "POST", True),
        ("accessRequests", "DELETE", False),
        ("listMethods", "POST", False),
        ("getOpenAPI", "PUT", False),
        ("accessrequests", "POST", False),
    ],
)
def test_what_needs_no_right_needs_none_by_its_own_methods_only(
    country: ReceiptCountry, verify: Callable[..., Verdict], code: str, method: str, held: bool
) -> None:
    """Asking for access is a call like `listMethods`; neither may be made by another method."""
    service = f"{country.provider.subsystem('main')}/{code}"
    call = country.answer(country.request(service=service, endpoint="-", method=method))
    assert found(verify(country.receipt(call))) == (set() if held else {"right"})


def test_two_snapshots_may_be_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The provider had fetched a newer configuration when it answered."""
    registry = Country(tmp_path_factory.mktemp("country"))
    country = ReceiptCountry(registry)
    call = country.request()
    registry.admit(registry.new_member(3, "other"))
    country.client.refresh()
    receipt = country.receipt(country.answer(call))
    assert len(receipt.configuration["snapshots"]) == 2
    assert Verifier(registry.anchor).verify(format_receipt(receipt), require="witnessed").ok
    registry.close()


# States


def test_what_is_not_witnessed_is_recorded(country: ReceiptCountry, verify: Callable[..., Verdict]) -> None:
    """Valid, less than witnessed, and a receipt that says more of itself is wrong."""
    call = country.answered()
    recorded = country.receipt(call, witnesses=(), state="recorded")
    verdict = verify(recorded)
    assert verdict.ok
    assert verdict.state == "recorded"
    assert found(verdict, "cannot check") == {"cosignatures", "time"}
    assert not verify(recorded, require="witnessed").ok
    assert verify(recorded, require="recorded").ok
    assert found(verify(replace(recorded, state="witnessed"))) == {"state"}


def test_a_missing_proof_is_one_sided(receipt: Receipt, verify: Callable[..., Verdict]) -> None:
    """Without the peer's proof of the request."""
    (log, proof), _ = receipt.messages[0].proofs.items()
    half = replace(with_message(receipt, 0, proofs={log: proof}), state="one-sided")
    assert verify(half).ok
    assert verify(half).state == "one-sided"
    assert not verify(half, require="recorded").ok
    assert found(verify(replace(half, state="recorded"))) == {"state"}


def test_a_request_without_an_outcome_is_one_sided(country: ReceiptCountry, verify: Callable[..., Verdict]) -> None:
    """And so is a streamed head without its tail."""
    assert verify(country.receipt(country.request(), state="one-sided")).state == "one-sided"
    call = country.answer(country.request(), size=STREAMED, body=STREAMED)
    assert verify(country.receipt(call, state="one-sided")).state == "one-sided"


def stamps(authority: DevelopmentAuthority) -> Callable[[bytes], bytes]:
    return lambda note: decode_timestamp_response(
        authority.timestamp_reply(timestamp_request(note).data)
    ).time_stamp_token()


def test_timestamps_make_it_timestamped(country: ReceiptCountry, receipt: Receipt) -> None:
    """Every checkpoint stamped by an authority of the anchor; without one in the anchor nobody can say."""
    authority = DevelopmentAuthority.generate(country.country.clock)
    stamped = country.stamped(receipt, stamps(authority))
    verifier = Verifier(country.anchor(tsas=(authority.certificate,)))
    verdict = verifier.verify(format_receipt(stamped), require="timestamped")
    assert verdict.ok
    assert verdict.state == "timestamped"
    unknown = Verifier(country.country.anchor).verify(format_receipt(stamped))
    assert unknown.ok
    assert unknown.state == "witnessed"
    assert found(unknown, "cannot check") == {"timestamp", "state", "commitment"}
    part = replace(stamped, timestamps=stamped.timestamps[1:])
    assert found(verifier.verify(format_receipt(part))) == {"state"}


def test_a_wrong_timestamp_is_bad(country: ReceiptCountry, receipt: Receipt) -> None:
    """By another authority, of another note, or older than what it covers."""
    clock = country.country.clock
    authority = DevelopmentAuthority.generate(clock)
    verifier = Verifier(country.anchor(tsas=(authority.certificate,)))
    stamped = country.stamped(receipt, stamps(authority))
    first, *rest = stamped.timestamps
    other = replace(first, token=stamps(DevelopmentAuthority.generate(clock))(first.note))
    strange = Token(first.log, first.note + b"x", stamps(authority)(first.note + b"x"))
    clock.advance(-3_600_000)
    early = replace(first, token=stamps(authority)(first.note))
    clock.advance(3_600_000)
    for wrong in (other, strange, early):
        changed = replace(stamped, timestamps=(wrong, *rest))
        assert found(verifier.verify(format_receipt(changed))) == {"timestamp", "state"}


def test_seals_cannot_be_checked(receipt: Receipt, verify: Callable[..., Verdict]) -> None:
    """A receipt that says it is sealed is not believed, nor called wrong as long as there is a seal."""
    sealed = replace(receipt, seals=(Token(receipt.timestamps[0].log if receipt.timestamps else "a", b"", b""),))
    assert found(verify(replace(sealed, state="sealed")), "cannot check") >= {"seal", "state"}
    assert found(verify(replace(receipt, state="sealed"))) == {"state"}
    assert not verify(replace(sealed, state="sealed"), require="sealed").ok


# Bodies


def test_bodies_are_checked_by_their_salts(
    country: ReceiptCountry, receipt: Receipt, verify: Callable[..., Verdict]
) -> None:
    """Right, wrong, or without the salt, which is a failure of what was asked."""
    assert verify(receipt, body=io.BytesIO(BODIES["response"]), request_body=io.BytesIO(b"")).ok
    wrong = verify(receipt, body=io.BytesIO(b"another"))
    assert found(wrong) == {"commitment"}
    assert wrong.unmet
    closed = verify(country.receipt(country.answered()), body=io.BytesIO(BODIES["response"]))
    assert found(closed) == set()
    assert "commitment" in found(closed, "cannot check")
    assert not closed.ok


def test_a_body_of_no_bytes_needs_no_file(receipt: Receipt, verify: Callable[..., Verdict]) -> None:
    """Its salt and `size 0` say it all; other bodies wait for their file."""
    commitments = {c.subject: c.verdict for c in verify(receipt).checks if c.name == "commitment"}
    assert commitments["request body"] == "ok"
    assert commitments["response body"] == "cannot check"


def test_a_disclosed_value_is_the_one_committed_to(receipt: Receipt, verify: Callable[..., Verdict]) -> None:
    """A path, query or header that was not sent."""
    for number, shown in enumerate(receipt.disclosure):
        if shown.value is not None:
            disclosure = list(receipt.disclosure)
            disclosure[number] = replace(shown, value=shown.value + b"x")
            assert "commitment" in found(verify(replace(receipt, disclosure=tuple(disclosure))))


def test_a_disclosure_needs_its_record(country: ReceiptCountry, verify: Callable[..., Verdict]) -> None:
    """Headers of a response that never came."""
    call = country.answer(country.request(), "no-answer", country.a)
    verdict = verify(country.receipt(call, disclose=(("response", HEADERS),)))
    assert verdict.ok
    assert "commitment" in found(verdict, "cannot check")


# What is wrong, and which check says so


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"endpoint": "GET /other"}, {"right"}),
        ({"method": "POST"}, {"right"}),
        ({"expires": 1}, {"time"}),
        ({"client": "KZ/GOV/991340000027/elsewhere"}, {"right"}),
        ({"service": "KZ/GOV/991340000017/main/unknown"}, {"right"}),
        ({"service": "KZ/GOV/991340000037/main/registers"}, {"right", "parties", "checkpoint", "logs"}),
        ({"client": "KZ/GOV/991340000037/main"}, {"right", "parties", "checkpoint", "logs"}),
        ({"snapshot": "2 " + "0" * 64}, {"configuration"}),
        ({"time": 1_800_000_000_000 + 3_600_000, "expires": 1_900_000_000_000}, {"time"}),
        ({"time": 1_800_000_000_000 + 2 * DAY, "expires": 1_900_000_000_000}, {"time", "configuration"}),
        ({"time": 9_999_999_999_999_999_999, "expires": 9_999_999_999_999_999_999}, {"time", "configuration"}),
        ({"time": 1, "expires": 1}, {"parties"}),
    ],
)  # fmt: skip
def test_a_request_that_was_not_right(
    country: ReceiptCountry, verify: Callable[..., Verdict], change: dict[str, Any], names: set[str]
) -> None:
    """Both logs may agree on it: the configuration and the witnesses do not."""
    snapshots = (country.snapshot,) if "snapshot" in change else ()
    verdict = verify(country.receipt(country.answer(country.request(**change)), snapshots=snapshots))
    assert found(verdict) - {"state"} == names


@pytest.mark.parametrize(
    "change",
    [
        {"client": "KZ/GOV/991340000027/other"},
        {"service": "KZ/GOV/991340000017/main/other"},
        {"message": MESSAGE[:-1] + "2"},
        {"from_": "kz.qaztech.example/log/00000000000000000000"},
        {"to": "kz.qaztech.example/log/00000000000000000000"},
        {"request": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 5"},
    ],
)
def test_a_response_to_something_else(
    country: ReceiptCountry, verify: Callable[..., Verdict], change: dict[str, Any]
) -> None:
    """Another client, service, message or log, or another request."""
    assert "exchange" in found(verify(country.receipt(country.answer(country.request(), **change))))


def test_a_response_to_another_place(country: ReceiptCountry, verify: Callable[..., Verdict]) -> None:
    """The same request record at another index of the log."""
    call = country.answered()
    bound = call.records[1][0]["request"]
    call = country.answer(country.request(), request=f"{bound.split()[0]} {int(bound.split()[1]) + 1}")
    assert "exchange" in found(verify(country.receipt(call)))


@pytest.mark.parametrize("number", [0, 1])
def test_what_its_writer_does_not_prove_was_written_by_nobody(
    country: ReceiptCountry, receipt: Receipt, verify: Callable[..., Verdict], number: int
) -> None:
    """An answer that only the asker's log holds, a question that only the asked one's does: anyone can write those."""
    writer = (country.a, country.b)[number].origin
    proofs = {log: proof for log, proof in receipt.messages[number].proofs.items() if log != writer}
    verdict = verify(replace(with_message(receipt, number, proofs=proofs), state="one-sided"))
    assert found(verdict) == {"exchange"}
    assert not verdict.ok


def test_a_receipt_without_proofs_proves_nothing(receipt: Receipt, verify: Callable[..., Verdict]) -> None:
    """Two records of an exchange that never was, in the names of members that never met."""
    made_up = tuple(replace(message, proofs={}) for message in receipt.messages)
    verdict = verify(replace(receipt, messages=made_up, state="one-sided"))
    assert found(verdict) == {"exchange"}
    assert not verdict.ok


def test_records_out_of_place(country: ReceiptCountry, receipt: Receipt, verify: Callable[..., Verdict]) -> None:
    """No request, two responses, a tail without a streamed head, a wrong role, a record that is none."""
    request, response = receipt.messages
    assert found(verify(replace(receipt, messages=(response,)))) >= {"exchange", "state"}
    assert found(verify(replace(receipt, messages=(request, response, response)))) == {"exchange", "state"}
    tail = country.tail(country.answered(), "response")
    assert found(verify(country.receipt(tail))) == {"exchange"}
    assert found(verify(with_message(receipt, 1, role="request"))) == {"record", "state"}
    verdict = verify(with_message(receipt, 1, record=response.record + b"x"))
    assert found(verdict) == {"record", "state"}
    assert "exchange" in found(verdict, "cannot check")


def test_a_refusal_and_a_response_contradict(country: ReceiptCountry, verify: Callable[..., Verdict]) -> None:
    """Only one of them can have been the answer."""
    assert "exchange" in found(verify(country.receipt(country.answer(country.answered(), "refused"))))


def test_a_strange_log_proves_nothing(receipt: Receipt, verify: Callable[..., Verdict]) -> None:
    """A proof in a log that is no party's."""
    proofs = receipt.messages[0].proofs
    strange = proofs | {"kz.qaztech.example/log/00000000000000000000": next(iter(proofs.values()))}
    assert found(verify(with_message(receipt, 0, proofs=strange))) >= {"exchange", "checkpoint"}
    swapped = dict(zip(proofs, reversed(proofs.values()), strict=True))
    assert found(verify(with_message(receipt, 0, proofs=swapped))) >= {"checkpoint"}


@pytest.mark.parametrize("proof", [b"", b"junk", b"c2sp.org/tlog-proof@v1\nindex 1\n\nx"])
def test_a_proof_that_is_none(receipt: Receipt, verify: Callable[..., Verdict], proof: bytes) -> None:
    """Counts for nothing, and says so."""
    proofs = dict.fromkeys(receipt.messages[0].proofs, proof)
    verdict = verify(with_message(receipt, 0, proofs=proofs))
    assert found(verdict) >= {"inclusion", "state"}
    assert verdict.state == "one-sided"


def test_too_few_witnesses(country: ReceiptCountry, verify: Callable[..., Verdict]) -> None:
    """One of three is not a quorum."""
    verdict = verify(country.receipt(country.answered(), witnesses=("third",), state="recorded"))
    assert found(verdict) == {"cosignatures"}
    assert verdict.state == "recorded"


def test_witnessed_too_late(country: ReceiptCountry, verify: Callable[..., Verdict]) -> None:
    """A key that was in force once cannot be used afterwards: witnesses saw it only when the configuration was over."""
    verdict = verify(country.receipt(country.answered(), after=2 * DAY // 1000))
    assert found(verdict) == {"time"}


def test_listed_keys_are_not_believed(receipt: Receipt, verify: Callable[..., Verdict]) -> None:
    """What is written for people must be so."""
    for number, listed in enumerate(receipt.logs):
        for wrong in (
            replace_listed(listed, origin=listed.origin[:-1] + "x"),
            replace_listed(listed, member="KZ/GOV/991340000037"),
            replace_listed(listed, vkeys=("key",)),
            replace_listed(listed, vkeys=()),
            replace_listed(listed, vkeys=listed.vkeys * 2),
        ):
            logs = list(receipt.logs)
            logs[number] = wrong
            assert found(verify(replace(receipt, logs=tuple(logs)))) == {"logs"}


def replace_listed(listed: ListedLog, **changes: Any) -> ListedLog:
    return ListedLog(**({"origin": listed.origin, "member": listed.member, "vkeys": listed.vkeys} | changes))


def test_no_configuration_no_keys(receipt: Receipt, verify: Callable[..., Verdict]) -> None:
    """Without an excerpt that verifies nothing signed can be checked."""
    verdict = verify(replace(receipt, configuration={}))
    assert found(verdict) == {"configuration", "state"}
    assert found(verdict, "cannot check") >= {"checkpoint", "cosignatures", "parties", "right", "time", "logs"}
    assert verdict.state == "one-sided"


def test_strangers_under_the_snapshots_proof(receipt: Receipt, verify: Callable[..., Verdict]) -> None:
    """A signature line by nobody known stands nowhere in a receipt."""
    configuration = copy.deepcopy(receipt.configuration)
    configuration["snapshots"][0]["proof"] += "— nobody AAAAAAA=\n"
    assert "configuration" in found(verify(replace(receipt, configuration=configuration)))


def test_another_anchor_vouches_for_nothing(receipt: Receipt, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same receipt in another country."""
    other = Country(tmp_path_factory.mktemp("other"))
    verdict = Verifier(other.anchor).verify(format_receipt(receipt))
    assert found(verdict) >= {"configuration"}
    other.close()


def test_what_is_no_receipt_is_not_verified(verify: Callable[..., Verdict], country: ReceiptCountry) -> None:
    """A verdict all the same, with the one check that could be made."""
    for data in (b"", b"{}", b"\xff"):
        verdict = Verifier(country.country.anchor).verify(data, require="recorded")
        assert not verdict.ok
        assert [check.name for check in verdict.checks] == ["form"]


def test_a_disclosed_path_is_under_the_right(country: ReceiptCountry, verify: Callable[..., Verdict]) -> None:
    """Where the path is shown, the right must cover it."""
    elsewhere = b"/elsewhere"
    call = country.answer(country.request(path=hash_text(commit(seed("request secret"), PATH, elsewhere))))
    receipt = country.receipt(call, disclose=(("request", PATH),))
    receipt = replace(receipt, disclosure=(replace(receipt.disclosure[0], value=elsewhere),))
    assert found(verify(receipt)) == {"right"}
    assert verify(country.receipt(call)).ok


def test_records_of_a_closed_log(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A log speaks from one moment until another, and not when its records are witnessed after that."""
    registry = Country(tmp_path_factory.mktemp("country"))
    country = ReceiptCountry(registry)
    desk = country.provider
    until = registry.clock.now() + 10_000
    (log,) = desk.statement.logs
    desk.statement = type(desk.statement)(
        **{name: getattr(desk.statement, name) for name in desk.statement.__struct_fields__}
        | {"logs": (type(log)(**{n: getattr(log, n) for n in log.__struct_fields__} | {"until": until}),)}
    )
    registry.send(desk)
    country.client.refresh()
    verifier = Verifier(registry.anchor)
    call = country.answered()
    assert verifier.verify(format_receipt(country.receipt(call, after=5))).ok
    assert found(verifier.verify(format_receipt(country.receipt(call, after=15)))) == {"time"}
    registry.clock.advance(11_000)
    assert found(verifier.verify(format_receipt(country.receipt(country.answered())))) == {"parties", "time"}
    registry.close()


# Speed


def test_two_hundred_a_second(country: ReceiptCountry, verify: Callable[..., Verdict]) -> None:
    """Warm, in one process, receipts of one snapshot: it is several times as many, so this does not wobble."""
    call = country.answered()
    receipts = [format_receipt(country.receipt(call, after=n)) for n in range(20)]
    verifier = Verifier(country.country.anchor)
    verifier.verify(receipts[0])
    started = time.process_time()
    assert all(verifier.verify(data, require="witnessed").ok for data in receipts)
    assert len(receipts) / (time.process_time() - started) > 200
