"""The detectors of rules: each on a case, on its limit, and on what looks like it; what findings carry."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from qaztech.core.errors import NotFound
from qaztech.hub.detectors.all import DETECTORS, run
from qaztech.hub.detectors.finding import Case, Finding
from qaztech.hub.observation import NOTHING_SEEN, Observability, Traffic
from qaztech.hub.register.law import current_law
from qaztech.hub.register.rows import (
    Acquisition,
    DocumentType,
    Hosting,
    KeyRole,
    RoleHolder,
    Row,
    Signal,
    Status,
    UseChannel,
)
from qaztech.hub.register.snapshot import Register
from register_cases import (
    BODIES,
    CALLER,
    OTHER,
    OWNER,
    PROVIDER,
    SERVICE,
    SUBSYSTEM,
    SUPPLIER,
    TODAY,
    case,
    even,
    flow,
    found,
    papers,
    row,
    support,
    system,
)

MEMBER = "/".join(SUBSYSTEM.split("/")[:3])
MONTHS = [f"{2025 + (10 + n) // 12}-{(10 + n) % 12 + 1:02d}" for n in range(12)]


def signals(*counts: int, signed_by: str | None = PROVIDER) -> list[Row]:
    """Sign-ins of the last months, the last one October 2026."""
    last = MONTHS[len(MONTHS) - len(counts) :]
    return [
        Signal(object="ds-1", month=month, sign_ins=count, signed_by=signed_by)
        for month, count in zip(last, counts, strict=True)
    ]


def one(findings: list[Finding]) -> Finding:
    """The only finding there is."""
    assert len(findings) == 1, findings
    return findings[0]


def test_a_healthy_system_has_no_finding() -> None:
    """A used, documented and confirmed system is left alone by all detectors."""
    assert run(case(system(), CONSUMER, *papers(), *papers("ds-2"), integration(), support(), flows=[flow()])) == []


def test_paid_without_a_call_is_found_with_its_money() -> None:
    """Where all use crosses the backbone and there was none, the year's upkeep is at stake."""
    finding = one(found("paid_but_unused", system(), *papers(), support()))
    assert (finding.money, finding.observability) == (10_000_000, Observability.FULL)
    assert {"upkeep", "calls", "observed_days"} <= {fact.what for fact in finding.evidence}


@pytest.mark.parametrize(
    ("rows", "flows"),
    [
        ([support()], [flow()]),
        ([support()], [flow(SUBSYSTEM, f"{CALLER}/x")]),
        ([support(tenge=0)], []),
        ([support(2019)], []),
        ([support(), *signals(200, 190, 180, 170, 160)], []),
        ([support(), *signals(0, 0, 0, 0, 0, 900, 800, 0, 0, 0, 0, 0)], []),
    ],
    ids=["called", "calls others", "costs nothing", "paid long ago", "people sign in", "used in a season"],
)
def test_what_is_used_or_free_is_not_called_unused(rows: list[Row], flows: list) -> None:
    """Calls, calls to others, sign-ins, a season and the lack of cost each speak against it."""
    assert found("paid_but_unused", system(), *papers(), *rows, flows=flows) == []


def test_a_declared_rare_integration_is_use() -> None:
    """Four calls in four months are what they should be where four are declared."""
    rare = row(
        "integrations",
        id="i",
        consumer_object="ds-2",
        provider_object="ds-1",
        status="active",
        declared_monthly_calls=1,
    )
    few = [flow(calls=4)]
    assert found("paid_but_unused", system(), *papers(), support(), rare, flows=few) == []
    assert len(found("paid_but_unused", system(), *papers(), support(), flows=few)) == 1


def test_people_without_a_signal_are_not_observable() -> None:
    """Nobody is accused: no money, little confidence, and the signal is asked for."""
    people = system(use_channel=UseChannel.PEOPLE)
    assert found("paid_but_unused", people, *papers(), support()) == []
    finding = one(found("not_observable", people, *papers(), support()))
    assert (finding.money, finding.asks, finding.observability) == (None, "sign_ins", Observability.NONE)
    assert finding.confidence <= 0.3


def test_what_nobody_delivers_is_no_zero() -> None:
    """A member of which nothing is delivered is not called unused, nor one whose node has delivered for a month."""
    held = [*BODIES, system(), *papers(), support()]
    since, until = TODAY - timedelta(days=184), TODAY - timedelta(days=1)
    for watched, days in (({}, 0), ({MEMBER: TODAY - timedelta(days=30)}, 30), ({MEMBER: since}, 184)):
        seen = Case(
            register=Register(held),
            traffic=Traffic((), since, until, watched),
            law=current_law(),
            today=TODAY,
        )
        assert len(run(seen, ["paid_but_unused"])) == (days == 184)
        asked = run(seen, ["not_observable"])
        assert [finding.asks for finding in asked] == ["traffic"] * (days == 0)
        whats = {fact.what for finding in asked for fact in finding.evidence}
        assert ("nobody_delivers" in whats, "calls" in whats, "observed_days" in whats) == (not days, False, False)


def test_an_integration_is_silent_only_where_an_end_delivers() -> None:
    """Both ends record a call: with neither delivering, no calls say nothing of it."""
    link = integration(channel="gateway", service=SERVICE, declared_monthly_calls=800)
    held = [*BODIES, system(), CONSUMER, link]
    since, until = TODAY - timedelta(days=184), TODAY - timedelta(days=1)
    for watched, count in (({}, 0), ({MEMBER: since}, 1), ({f"KZ/GOV/{OTHER}": since}, 1)):
        seen = Case(register=Register(held), traffic=Traffic((), since, until, watched), law=current_law(), today=TODAY)
        assert len(run(seen, ["integration_gap"])) == count


def test_a_channel_that_nobody_declared_is_told_as_such() -> None:
    """That its use does not cross the backbone is said only where its owner says so."""
    whats = {
        fact.what for fact in one(found("not_observable", system(use_channel=None), *papers(), support())).evidence
    }
    assert "no_use_channel" in whats
    assert "use_channel" not in whats


def test_signed_sign_ins_of_zero_are_a_second_sign() -> None:
    """An identity provider's signed zeros settle what the backbone cannot see; unsigned ones do not."""
    people = system(use_channel=UseChannel.PEOPLE, declared_users=300)
    finding = one(found("paid_but_unused", people, *papers(), support(), *signals(0, 0, 1, 0, 0)))
    assert finding.observability is Observability.PARTIAL
    assert found("not_observable", people, *papers(), support(), *signals(0, 0, 1, 0, 0)) == []
    assert found("paid_but_unused", people, *papers(), support(), *signals(0, 0, 1, 0, 0, signed_by=None)) == []


def test_few_sign_ins_of_few_users_are_use() -> None:
    """Two sign-ins a month are next to none for hundreds of people, and not for three."""
    few = signals(2, 2, 2, 2, 2)
    assert found("paid_but_unused", system(declared_users=3), *papers(), support(), *few) == []
    assert len(found("paid_but_unused", system(declared_users=300), *papers(), support(), *few)) == 1


def test_without_traffic_nothing_is_called_unused() -> None:
    """Where nothing was observed, that a system was not seen says nothing."""
    blind = Case(
        register=Register([*BODIES, system(), *papers(), support()]),
        traffic=NOTHING_SEEN,
        law=current_law(),
        today=TODAY,
    )
    assert [finding.detector for finding in run(blind)] == ["not_observable"]


def test_upkeep_paid_after_the_end_needs_no_traffic() -> None:
    """Support paid in the years after a system ceased is found from the record alone."""
    ceased = system(status=Status.CEASED, status_since=date(2024, 10, 1), use_channel=UseChannel.OFFLINE)
    assert one(found("paid_but_unused", ceased, support(2025))).money == 10_000_000
    assert found("paid_but_unused", system(status=Status.CEASED, status_since=date(2025, 1, 9)), support(2025)) == []


def test_commissioned_without_use() -> None:
    """No call since the act is found between three months and two years after it."""

    def of(day: date, *flows: object) -> list[Finding]:
        act = row("documents", object="ds-1", type="commissioning_act", number="2", date=day)
        rest = papers(without=[DocumentType.COMMISSIONING_ACT])
        return found("commissioned_without_use", system(status_since=day), act, *rest, flows=flows)  # type: ignore[arg-type]

    assert len(of(date(2026, 1, 16))) == 1
    assert of(date(2026, 1, 16), flow()) == []
    assert of(date(2026, 11, 2)) == []
    assert of(date(2021, 1, 16)) == []


def test_a_probe_of_the_same_owner_is_self_made_traffic_and_no_use() -> None:
    """Equal calls at even times by the owner's only caller are found, and the system still counts as unused."""
    probe = [even(f"KZ/GOV/{OWNER}/probe")]
    assert one(found("self_made_traffic", system(), *papers(), flows=probe)).confidence < 1
    assert len(found("paid_but_unused", system(), *papers(), support(), flows=probe)) == 1


@pytest.mark.parametrize(
    "flows",
    [
        [even(CALLER)],
        [even(f"KZ/GOV/{OWNER}/probe"), flow()],
        [flow(f"KZ/GOV/{OWNER}/desk")],
        [even(f"KZ/GOV/{OWNER}/probe"), flow(SUBSYSTEM, f"{CALLER}/x")],
    ],
    ids=["another owner", "others call too", "people of its own", "it calls others more"],
)
def test_honest_traffic_is_not_self_made(flows: list) -> None:
    """Another owner's batch, other callers, uneven calls and a watched busy system are honest."""
    assert found("self_made_traffic", system(), flows=flows) == []


@pytest.mark.parametrize(("days", "count"), [(365, 0), (366, 1)])
def test_a_trial_of_a_year_is_allowed_and_of_a_day_more_is_not(days: int, count: int) -> None:
    """The limit is the law's, by the order or by the status."""
    since = TODAY - timedelta(days=days)
    by_status = system(status=Status.TRIAL, status_since=since)
    order = row("documents", object="ds-1", type="trial_order", date=since)
    assert len(found("trial_too_long", by_status)) == count
    assert len(found("trial_too_long", system(status=Status.TRIAL, status_since=None), order)) == count


def test_a_trial_that_an_act_has_ended_is_over() -> None:
    """An act ends a trial though the status was not changed; an order after it begins another."""
    trial = system(status=Status.TRIAL, status_since=date(2025, 5, 1))
    act = row("documents", object="ds-1", type="trial_act", date=date(2025, 10, 1))
    again = row("documents", object="ds-1", type="trial_order", number="2", date=date(2025, 11, 1))
    assert found("trial_too_long", trial, act) == []
    assert len(found("trial_too_long", trial, act, again)) == 1


@pytest.mark.parametrize(("tenge", "money"), [(20_000_000, None), (20_000_001, 1)])
def test_modifications_of_a_fifth_are_allowed(tenge: int, money: int | None) -> None:
    """Exactly 20 % of the first estimate is lawful; what is over it is at stake. Development does not count."""
    modified = [
        row("costs", object="ds-1", year=2023, kind="modification", tenge=5_000_000, state="paid"),
        row("costs", object="ds-1", year=2024, kind="modification", tenge=tenge - 5_000_000, state="paid"),
        row("costs", object="ds-1", year=2024, kind="development", tenge=90_000_000, state="paid"),
        row("costs", object="ds-1", year=2027, kind="modification", tenge=90_000_000, state="planned"),
    ]
    findings = found("modification_over_limit", system(), *modified)
    assert [finding.money for finding in findings] == ([] if money is None else [money])
    assert found("modification_over_limit", system(initial_estimate=None), *modified) == []


def test_operation_without_act_or_test_is_a_legal_vacuum() -> None:
    """Each of the two papers is due in service; an act without a date is an act."""
    assert found("legal_vacuum", system(), *papers()) == []
    for kind in (DocumentType.COMMISSIONING_ACT, DocumentType.SECURITY_TEST):
        assert len(found("legal_vacuum", system(), *papers(without=[kind]))) == 1
    undated = row("documents", object="ds-1", type="commissioning_act", number="7")
    assert found("legal_vacuum", system(), undated, *papers(without=[DocumentType.COMMISSIONING_ACT])) == []


def test_without_any_paper_documents_are_asked_for() -> None:
    """Who declared no paper at all is asked, without money and without certainty; one paper makes it a matter."""
    finding = one(found("legal_vacuum", system(), support()))
    assert (finding.asks, finding.money, finding.confidence) == ("documents", None, 0.4)
    some = papers(without=[DocumentType.SECURITY_TEST])
    finding = one(found("legal_vacuum", system(), *some, support()))
    assert (finding.asks, finding.money, finding.confidence) == ("", 10_000_000, 1.0)


def test_a_body_that_sent_no_roles_is_asked_for_them() -> None:
    """No roles of any of its systems is no proof that nobody is there; roles of another system of its are."""
    ends = row("contracts", id="k", object="ds-1", ends=TODAY + timedelta(days=30))
    finding = one(found("expiry_without_team", system(), ends, support()))
    assert (finding.asks, finding.money, finding.confidence) == ("roles", None, 0.4)
    told = RoleHolder(object="ds-3", role=KeyRole.ARCHITECT, holder="h1")
    finding = one(found("expiry_without_team", system(), system(id="ds-3", subsystems=()), told, ends, support()))
    assert (finding.asks, finding.money, finding.confidence) == ("", 10_000_000, 0.8)


def test_use_by_many_before_commissioning_is_a_legal_vacuum() -> None:
    """A system in creation that thousands call is operated; in its first year of trial it is tried."""
    assert len(found("legal_vacuum", system(status=Status.CREATION), flows=[flow()])) == 1
    assert found("legal_vacuum", system(status=Status.CREATION), flows=[flow(calls=20)]) == []
    for since, count in ((date(2026, 2, 1), 0), (date(2024, 2, 1), 1)):
        trial = system(status=Status.TRIAL, status_since=since)
        assert len(found("legal_vacuum", trial, flows=[flow()])) == count


def test_stale_records_are_those_in_life() -> None:
    """Never confirmed or long ago; closed records need no confirming."""
    assert len(found("stale_record", system(actualised=None))) == 1
    assert found("stale_record", system(actualised=TODAY - timedelta(days=365))) == []
    assert len(found("stale_record", system(actualised=TODAY - timedelta(days=366)))) == 1
    assert found("stale_record", system(actualised=None, status=Status.WRITTEN_OFF)) == []


def integration(**values: object) -> Row:
    """An integration of ds-2 with ds-1, active since 2024."""
    plain = {"id": "i", "consumer_object": "ds-2", "provider_object": "ds-1", "status": "active", "since": "2024-01-01"}
    return row("integrations", **(plain | values))


CONSUMER = system(id="ds-2", owner_bin=OTHER, subsystems=(CALLER,))


@pytest.mark.parametrize(
    ("values", "flows", "count"),
    [
        ({"channel": "direct"}, [], 1),
        ({"channel": "file"}, [], 1),
        ({"channel": "direct", "status": "stopped"}, [], 0),
        ({"channel": "external"}, [], 0),
        ({"channel": "gateway", "service": SERVICE, "declared_monthly_calls": 800}, [], 1),
        ({"channel": "gateway", "service": SERVICE, "declared_monthly_calls": 40_000}, [flow(calls=8)], 1),
        ({"channel": "gateway", "service": SERVICE, "declared_monthly_calls": 40_000}, [flow(calls=900)], 0),
        ({"channel": "gateway", "declared_monthly_calls": 800}, [], 0),
        ({"channel": "gateway", "service": SERVICE, "since": "2026-11-12"}, [], 0),
        ({"channel": "gateway", "service": SERVICE, "status": "planned"}, [], 0),
    ],
)
def test_gaps_of_integrations(values: dict[str, object], flows: list, count: int) -> None:
    """Past the gateway, or declared and silent; stopped, external, unnamed, new and planned ones are none."""
    assert len(found("integration_gap", system(), CONSUMER, integration(**values), flows=flows)) == count


def test_traffic_that_nobody_declared_or_registered_is_a_gap() -> None:
    """Calls between two systems without an integration name both; those of an unknown subsystem its member."""
    assert one(found("integration_gap", system(), CONSUMER, flows=[flow()])).objects == ("ds-2", "ds-1")
    assert one(found("integration_gap", system(), flows=[flow()])).objects == (f"bin:{OTHER}",)


def contracts(*tenge: int, supplier: str = SUPPLIER, first: int = 0) -> list[Row]:
    """Contracts of the owner of ds-1 with a supplier."""
    return [
        row("contracts", id=f"c{first + n}", object="ds-1", supplier_bin=supplier, tenge=each)
        for n, each in enumerate(tenge)
    ]


def test_a_body_that_depends_on_one_group_is_found() -> None:
    """Affiliated suppliers count as one; a body with few contracts, or with several suppliers, is left alone."""
    other, third = OTHER, PROVIDER
    most = [
        *contracts(50, 40, 30),
        *contracts(50, 40, supplier=other, first=10),
        *contracts(9, supplier=third, first=20),
    ]
    group = [row("affiliations", supplier_bin=each, group="g") for each in (SUPPLIER, other)]
    assert one(found("supplier_concentration", system(), *most, *group)).objects == tuple(
        sorted((f"bin:{SUPPLIER}", f"bin:{other}"))
    )
    assert found("supplier_concentration", system(), *contracts(50, 40, 30)) == []
    equal = [each for n in range(6) for each in contracts(10, supplier=f"{n:012d}", first=n)]
    assert found("supplier_concentration", system(), *equal) == []


def test_the_same_source_sold_to_two_bodies_is_found() -> None:
    """Each must have a contract with its seller; two systems of one owner share what was sold once."""
    parts = [
        row("components", object=id_, component="core", fingerprint="ab" * 32, supplier_bin=SUPPLIER)
        for id_ in ("ds-1", "ds-2")
    ]
    both = [*contracts(50), row("contracts", id="z", object="ds-2", supplier_bin=SUPPLIER, tenge=70)]
    finding = one(found("supplier_concentration", system(), CONSUMER, *parts, *both))
    assert (finding.objects, finding.money) == ((f"bin:{SUPPLIER}", "ds-1", "ds-2"), 70)
    same = system(id="ds-2")
    assert found("supplier_concentration", system(), same, *parts, *both) == []
    assert found("supplier_concentration", system(), CONSUMER, *parts, *contracts(50)) == []


def role(until: date | None = None, **values: str) -> RoleHolder:
    """An administrator since 2020."""
    plain = {"holder": "p-1"} | values
    return RoleHolder(object="ds-1", role=KeyRole.ADMINISTRATOR, since=date(2020, 1, 1), until=until, **plain)


def test_what_runs_out_with_nobody_there_is_found() -> None:
    """The last of all terms counts, and nobody may hold a role."""
    ends = row("contracts", id="c", object="ds-1", ends=date(2026, 12, 20))
    later = row("contracts", id="d", object="ds-1", ends=date(2029, 12, 31))
    gone = role(date(2026, 9, 1))
    assert len(found("expiry_without_team", system(), ends)) == 1
    assert len(found("expiry_without_team", system(), ends, gone)) == 1
    assert found("expiry_without_team", system(), ends, role()) == []
    assert found("expiry_without_team", system(), ends, later) == []
    assert found("expiry_without_team", system(status=Status.CEASED), ends) == []


def test_an_orphan_has_lost_a_key_person_without_successor() -> None:
    """Somebody else in the role, a successor, or a day still to come speak against it."""
    gone = role(date(2026, 4, 1))
    assert len(found("orphan", system(), gone)) == 1
    assert found("orphan", system(), role(date(2026, 4, 1), successor="p-2")) == []
    assert found("orphan", system(), gone, role(holder="p-2")) == []
    assert found("orphan", system(), role(date(2027, 4, 1))) == []
    assert found("orphan", system(status=Status.CEASED), gone) == []
    assert found("orphan", system()) == []


def test_slips_are_measured_from_the_first_plan() -> None:
    """Later versions do not hide a slip; being overdue counts; a smaller or an earlier plan does not."""

    def plan(*versions: tuple[date, int], done: date | None = None) -> list[Row]:
        last = len(versions)
        return [
            row("milestones", object="ds-1", name="m", version=n, due=due, budget=budget)
            if n < last or done is None
            else row("milestones", object="ds-1", name="m", version=n, due=due, budget=budget, done=done)
            for n, (due, budget) in enumerate(versions, 1)
        ]

    moved = found("slippage", system(), *plan((date(2025, 1, 1), 100), (date(2027, 1, 1), 130)))
    assert one(moved).money == 30
    assert len(found("slippage", system(), *plan((date(2025, 1, 1), 100)))) == 1
    assert found("slippage", system(), *plan((date(2025, 1, 1), 100), done=date(2025, 1, 11))) == []
    assert found("slippage", system(), *plan((date(2027, 3, 1), 100), (date(2027, 2, 1), 60))) == []
    assert len(found("slippage", system(), *plan(*((date(2026, 12, day), 100) for day in (1, 5, 9, 14))))) == 1


def test_money_without_result_is_found_after_a_year() -> None:
    """Nothing paid, nothing paid before this year, a result, or a project just begun are not cases."""
    made = row("costs", object="ds-1", year=2018, kind="creation", tenge=460_000_000, state="paid")
    this_year = row("costs", object="ds-1", year=2026, kind="creation", tenge=460_000_000, state="paid")
    planned = row("costs", object="ds-1", year=2027, kind="creation", tenge=460_000_000, state="planned")
    assert one(found("zero_result", system(result=()), made)).money == 460_000_000
    assert found("zero_result", system(), made) == []
    assert found("zero_result", system(result=()), planned) == []
    assert found("zero_result", system(result=()), this_year) == []
    assert found("zero_result", system(result=(), created=date(2026, 3, 1)), made) == []


def test_new_outside_the_platform_needs_an_exemption() -> None:
    """From the day of the moratorium; an exemption may be a field or a document; a firm is free."""
    new = system(created=date(2026, 1, 1), hosting=Hosting.OWN)
    paper = row("documents", object="ds-1", type="exemption", number="17")
    assert len(found("after_moratorium", new)) == 1
    assert found("after_moratorium", system(created=date(2025, 12, 31), hosting=Hosting.OWN)) == []
    assert found("after_moratorium", new, paper) == []
    assert found("after_moratorium", system(created=date(2026, 2, 1), hosting=Hosting.OWN, exemption="17")) == []
    assert found("after_moratorium", system(created=date(2026, 2, 1), hosting=Hosting.QAZTECH)) == []
    made = system(created=date(2026, 2, 1), hosting=Hosting.OWN, acquisition=Acquisition.PLATFORM_PRODUCT)
    assert found("after_moratorium", made) == []
    firm = row("organisations", bin=PROVIDER, **{"class": "COM"})
    assert (
        found("after_moratorium", system(created=date(2026, 2, 1), hosting=Hosting.OWN, owner_bin=PROVIDER), firm) == []
    )


@pytest.mark.parametrize(
    ("left", "team", "target", "count"),
    [(700, 1, "2026-12-15", 1), (60, 6, "2027-06-30", 0), (0, 1, "2026-09-30", 0), (1, 9, "2026-09-30", 1)],
)
def test_a_move_must_fit_its_people_and_date(left: int, team: int, target: str, count: int) -> None:
    """Work left against working days; after the date anything left is too much."""
    plan = row("migration", object="ds-1", person_days_left=left, team=team, target=target)
    assert len(found("migration_infeasible", system(), plan)) == count
    assert found("migration_infeasible", system(exemption="17"), plan) == []


@pytest.mark.parametrize(
    ("card", "lacks"),
    [
        (None, "no_ai_card"),
        ({"reviewed": "2026-05-01", "output_labelled": True}, "no_risk_class"),
        ({"risk": "high", "output_labelled": True}, "never_reviewed"),
        ({"risk": "high", "reviewed": "2025-11-22", "output_labelled": True}, "reviewed"),
        ({"risk": "high", "reviewed": "2026-05-01", "output_labelled": False}, "output_not_labelled"),
        ({"risk": "high", "reviewed": "2025-11-23", "output_labelled": True}, None),
    ],
)
def test_duties_of_ai(card: dict[str, object] | None, lacks: str | None) -> None:
    """Card, class, yearly review and mark, each by itself."""
    rows = [] if card is None else [row("ai_cards", object="ds-1", **card)]
    findings = found("ai_unclassified", system(ai=True), *rows)
    assert [lacks in {fact.what for fact in each.evidence} for each in findings] == ([True] if lacks else [])
    assert found("ai_unclassified", system(ai=False), *rows) == []


def test_idle_compute_takes_months() -> None:
    """Under a tenth used for months is found; a month, or half used, is not."""

    def used(months: int, hours: int) -> list[Row]:
        return [
            row("compute", object="ds-1", month=month, gpu_hours_allocated=800, gpu_hours_used=hours)
            for month in MONTHS[-months:]
        ]

    assert len(found("idle_compute", system(), *used(6, 10))) == 1
    assert found("idle_compute", system(), *used(6, 80)) == []
    assert found("idle_compute", system(), *used(1, 0)) == []


def test_obsolete_products_are_found_while_a_system_lives() -> None:
    """Support that ended long ago is found; a monolith alone and a ceased system are not."""
    assert len(found("obsolete_stack", system(stack=("php5.3", "MySQL 5.1")))) == 1
    assert found("obsolete_stack", system(stack=("PostgreSQL 17",), monolith=True)) == []
    assert found("obsolete_stack", system(stack=("php5.3",), status=Status.CEASED)) == []


def test_findings_are_the_same_for_the_same_case_and_their_facts_hold_still() -> None:
    """Order and digests do not depend on the run or on the day; more upkeep makes other facts."""
    rows = [system(actualised=None), *papers(without=[DocumentType.SECURITY_TEST]), support()]
    first = run(case(*rows))
    assert first == run(case(*reversed(rows)))
    assert [f.detector for f in first] == ["paid_but_unused", "legal_vacuum", "stale_record"]
    later = run(case(*rows, today=TODAY + timedelta(days=3)))
    assert [f.facts for f in later] == [f.facts for f in first]
    dearer = run(case(*rows[:-1], support(tenge=11_000_000)))
    assert dearer[0].key == first[0].key
    assert dearer[0].facts != first[0].facts


def test_detectors_are_named_chosen_and_told_of() -> None:
    """Slugs are unique, provisions known; a slug that is none is refused; progress is told after each."""
    slugs = [detector.slug for detector in DETECTORS]
    assert len(set(slugs)) == len(slugs)
    assert {name for detector in DETECTORS for name in detector.references} <= set(current_law().references)
    told: list[tuple[str, int, int]] = []
    run(case(), ["orphan", "stale_record"], lambda *each: told.append(each))
    assert told == [("stale_record", 1, 2), ("orphan", 2, 2)]
    with pytest.raises(NotFound):
        run(case(), ["verdict"])
