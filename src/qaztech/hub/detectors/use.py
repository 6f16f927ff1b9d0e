"""Detectors of use: 1 paid_but_unused, 2 commissioned_without_use, not_observable, 21 self_made_traffic.

"Unused" is said only where use could have been seen: all of it crosses the backbone, or an identity provider has signed
for hardly any sign-ins. Otherwise there is `not_observable`, which accuses nobody, names no money and asks for the
signal. Traffic that a system's own owner makes to look busy is no use. Calling others is use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from qaztech.hub.detectors.finding import Case, Detector, Fact, Finding, MoneyOf
from qaztech.hub.detectors.reading import (
    ENDED,
    UPKEEP,
    day_of,
    fact,
    in_service,
    law_fact,
    limit,
    money,
    months_back,
    objects,
    paid,
    service_begun,
    upkeep,
)
from qaztech.hub.observation import Flow, Observability, observability_of
from qaztech.hub.register.rows import Cost, DigitalObject, Integration, IntegrationStatus, Signal

_DAYS_OF_MONTH: Final = 30
# Even times and equal numbers, more often than once a day or the very same number each day: a probe, not a batch.
_EVEN: Final = 0.9
_EQUAL: Final = 0.1
_PER_DAY: Final = 1.5
_SAME: Final = 0.005
_FEWEST_HOURS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What was seen of a system's use, self-made calls left out.

    `calls` to it and by it in the observed `days`, which are 0 where its calls would not have been seen; `signed`
    sign-ins of the months that an identity provider signed for, the oldest first; `facts` all of it.
    """

    calls: int
    days: int
    signed: Sequence[Signal]
    facts: tuple[Fact, ...]

    @property
    def monthly(self) -> int:
        """Calls of a month, or sign-ins of a month, whichever is more."""
        calls = self.calls * _DAYS_OF_MONTH // self.days if self.days else 0
        sign_ins = sum(signal.sign_ins for signal in self.signed) // len(self.signed) if self.signed else 0
        return max(calls, sign_ins)


def seen_use(case: Case, object_: DigitalObject) -> Use:
    """What was seen of one system's use."""
    made = {id(flow) for flow in self_made(case, object_)}
    flows = [*case.traffic.to(object_.subsystems), *case.traffic.of(object_.subsystems)]
    own = set(object_.subsystems)
    real = [flow for flow in flows if id(flow) not in made and not (flow.client in own and flow.provider in own)]
    signed = sorted((s for s in case.register.of(Signal, object_.id) if s.signed_by), key=lambda s: s.month)
    return Use(
        calls=sum(flow.calls for flow in real),
        days=case.traffic.days_for(object_.subsystems),
        signed=signed,
        facts=(*_calls_told(case, object_, real), *_sign_ins_told(signed)),
    )


def _calls_told(case: Case, object_: DigitalObject, flows: Sequence[Flow]) -> tuple[Fact, ...]:
    if not object_.subsystems or case.traffic.until is None:
        return ()
    until = case.traffic.until
    each = tuple(_moving("calls", flow.calls, f"flows/{flow.client}/{flow.service}", until) for flow in flows)
    source = f"flows/{object_.subsystems[0]}"
    days = case.traffic.days_for(object_.subsystems)
    if not days:  # a zero that nobody has counted is none
        return (*each, _moving("nobody_delivers", "", source, until))
    return (*(each or (_moving("calls", 0, source, until),)), _moving("observed_days", days, "flows", until))


def _moving(what: str, value: str | int, source: str, as_of: date | None) -> Fact:
    return Fact(what=what, value=value, source=source, as_of=as_of, moving=True)


def _sign_ins_told(signed: Sequence[Signal]) -> tuple[Fact, ...]:
    return tuple(
        _moving("sign_ins", signal.sign_ins, f"signals/{signal.key}/sign_ins", None) for signal in signed[-12:]
    )


def self_made(case: Case, object_: DigitalObject) -> list[Flow]:
    """The calls to a system where all of them are its own owner's: one caller, at even times, in equal numbers.

    None where the system itself calls others more often: then it works, and this is somebody watching it.
    """
    coming = case.traffic.to(object_.subsystems)
    if len({flow.client for flow in coming}) != 1:
        return []
    own = set(object_.subsystems)
    going = sum(flow.calls for flow in case.traffic.of(object_.subsystems) if flow.provider not in own)
    if going > sum(flow.calls for flow in coming):
        return []
    even = all(flow.regularity >= _EVEN and flow.variation <= _EQUAL for flow in coming)
    hours = max(flow.active_hours for flow in coming)
    often = any(flow.active_hours >= _PER_DAY * flow.active_days or flow.variation <= _SAME for flow in coming)
    if not even or not often or hours < _FEWEST_HOURS or _owner(case, coming[0].client) != object_.owner_bin:
        return []
    return coming


def _owner(case: Case, subsystem: str) -> str | None:
    """Whose subsystem this is: by the registry, else by the member in its id."""
    object_ = case.register.by_subsystem(subsystem)
    if object_ is not None and object_.owner_bin:
        return object_.owner_bin
    parts = subsystem.split("/")
    return parts[2] if len(parts) == 4 else None


def self_made_traffic(case: Case) -> Iterator[Finding]:
    """All calls to a system come from one subsystem of its own owner, equal in number and at even times."""
    for object_ in objects(case):
        flows = self_made(case, object_)
        if not flows:
            continue
        told = []
        for flow in flows:
            source = f"flows/{flow.client}/{flow.service}"
            told += [
                Fact(what="caller", value=flow.client, source=source),
                _moving("calls", flow.calls, source, flow.last),
                _moving("active_hours", flow.active_hours, source, flow.last),
                _moving("regularity_percent", round(100 * flow.regularity), source, flow.last),
                _moving("variation_percent", round(100 * flow.variation), source, flow.last),
            ]
        total, facts = upkeep(case, object_)
        yield Finding(
            detector="self_made_traffic",
            objects=(object_.id,),
            evidence=(fact("owner", object_.owner_bin or "", object_, "owner_bin"), *told, *facts),
            confidence=0.85,
            money=total or None,
            money_of=MoneyOf.UPKEEP,
            observability=observability_of(object_),
        )


def paid_but_unused(case: Case) -> Iterator[Finding]:
    """Upkeep was paid this year or last, and use that could have been seen was next to none; or it has ceased."""
    for object_ in objects(case):
        total, facts = _upkeep_paid(case, object_)
        if not total:
            continue
        if object_.status in ENDED:
            yield from _paid_after_end(object_, total, facts, case)
        elif _begun_before(case, object_, limit(case, "unused_days")) and (why := _unused(case, object_)):
            yield Finding(
                detector="paid_but_unused",
                objects=(object_.id,),
                evidence=(*why.facts, *facts, law_fact(case.law, "unused_calls_per_month", case.today)),
                confidence=why.confidence,
                money=total,
                money_of=MoneyOf.UPKEEP,
                observability=why.observability,
            )


def _upkeep_paid(case: Case, object_: DigitalObject) -> tuple[int, tuple[Fact, ...]]:
    """What upkeep cost in the last full year, else in this one; only what is paid."""
    costs = [c for c in paid(case.register.of(Cost, object_.id)) if c.kind in UPKEEP]
    for year in (case.today.year - 1, case.today.year):
        total, facts = money((c for c in costs if c.year == year), "upkeep")
        if total:
            return total, facts
    return 0, ()


def _paid_after_end(object_: DigitalObject, total: int, facts: tuple[Fact, ...], case: Case) -> Iterator[Finding]:
    """Upkeep paid in a year after the one in which it ceased: the record alone tells it."""
    since = object_.status_since
    years = [c.year for c in paid(case.register.of(Cost, object_.id)) if c.kind in UPKEEP]
    if since is None or object_.status is None or max(years) <= since.year:
        return
    told = fact("status", object_.status.value, object_, "status"), fact("status_since", since, object_, "status_since")
    yield Finding(
        detector="paid_but_unused",
        objects=(object_.id,),
        evidence=(*told, *facts),
        confidence=0.95,
        money=total,
        money_of=MoneyOf.UPKEEP,
    )


def _begun_before(case: Case, object_: DigitalObject, days: int) -> bool:
    """Whether an object is in service, and has been for so many days (a day that is not declared is long ago)."""
    begun = service_begun(case.register, object_)
    return in_service(object_) and (begun is None or (case.today - day_of(begun)).days >= days)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unused:
    confidence: float
    facts: tuple[Fact, ...]
    observability: Observability


def _unused(case: Case, object_: DigitalObject) -> _Unused | None:
    """Why a system counts as unused now, None where it is used or that cannot be seen."""
    use = seen_use(case, object_)
    if not _hardly_called(case, object_, use):
        return None
    recent = _recent(case, use)
    if use.signed:
        quiet = len(recent) >= _least_months(case) and _hardly_any(case, object_, recent)
        if not quiet or _seasonal(case, object_, use):
            return None
        return _Unused(confidence=0.95, facts=use.facts, observability=_seen(object_, use))
    if observability_of(object_) is not Observability.FULL or use.days < limit(case, "unused_days"):
        return None
    return _Unused(confidence=0.8, facts=use.facts, observability=Observability.FULL)


def _seen(object_: DigitalObject, use: Use) -> Observability:
    """How far use could be seen: what people do is seen in part where an identity provider signs for it."""
    seen = observability_of(object_)
    return Observability.PARTIAL if seen is Observability.NONE and use.signed else seen


def _hardly_called(case: Case, object_: DigitalObject, use: Use) -> bool:
    """Whether calls are next to none, and not the few that its integrations are declared to make."""
    most = limit(case, "unused_calls_per_month")
    if not use.days or use.calls * _DAYS_OF_MONTH > most * use.days:
        return not use.calls
    declared = sum(
        row.declared_monthly_calls or 0
        for row in case.register.of(Integration, object_.id)
        if row.status is IntegrationStatus.ACTIVE
    )
    return not use.calls or declared == 0 or declared > 2 * most


def _least_months(case: Case) -> int:
    return limit(case, "unused_days") // _DAYS_OF_MONTH


def _recent(case: Case, use: Use) -> list[Signal]:
    """The signed months among the last ones, of which there must be enough."""
    months = set(months_back(case.today, _least_months(case) + 2))
    return [signal for signal in use.signed if signal.month in months]


def _hardly_any(case: Case, object_: DigitalObject, signals: Sequence[Signal]) -> bool:
    """Whether these months have next to no sign-ins, and fewer than a tenth of the users that are declared."""
    sign_ins = sum(signal.sign_ins for signal in signals)
    few = sign_ins <= limit(case, "unused_sign_ins_per_month") * len(signals)
    return few and (not object_.declared_users or 10 * sign_ins <= object_.declared_users * len(signals))


def _seasonal(case: Case, object_: DigitalObject, use: Use) -> bool:
    """Whether it was quiet before, too, and people came back then: used for a season of the year."""
    most = limit(case, "unused_sign_ins_per_month")
    busy = [n for n, signal in enumerate(use.signed) if signal.sign_ins > most]
    year = use.signed[-12:]
    if not busy or not any(signal.sign_ins > most for signal in year) or _hardly_any(case, object_, year):
        return False
    return any(later - earlier >= 2 for earlier, later in zip([-1, *busy], busy, strict=False))


def commissioned_without_use(case: Case) -> Iterator[Finding]:
    """Commissioned within two years, and nothing of its use was seen since, though it could have been."""
    for object_ in objects(case):
        begun = service_begun(case.register, object_)
        if begun is None or not in_service(object_):
            continue
        age = (case.today - day_of(begun)).days
        if not limit(case, "unused_days") <= age <= limit(case, "commissioned_days"):
            continue
        use = seen_use(case, object_)
        since = day_of(begun).isoformat()[:7]
        after = [signal for signal in use.signed if signal.month >= since]
        if not _hardly_called(case, object_, use) or (after and not _hardly_any(case, object_, after)):
            continue
        full = observability_of(object_) is Observability.FULL and use.days >= limit(case, "unused_days")
        if not full and len(_recent(case, use)) < _least_months(case):
            continue
        total, facts = upkeep(case, object_)
        yield Finding(
            detector="commissioned_without_use",
            objects=(object_.id,),
            evidence=(begun, *use.facts, *facts),
            confidence=0.9 if after or age <= use.days else 0.7,
            money=total or None,
            money_of=MoneyOf.UPKEEP,
            observability=_seen(object_, use),
        )


def not_observable(case: Case) -> Iterator[Finding]:
    """Paid and in service, and nothing tells whether it is used: no accusation, a request for the signal."""
    until = case.today - timedelta(days=_DAYS_OF_MONTH * 4)
    for object_ in objects(case):
        total, facts = _upkeep_paid(case, object_)
        seen = observability_of(object_)
        use = seen_use(case, object_)
        if not total or not in_service(object_) or (seen is Observability.FULL and use.days):
            continue
        if use.calls or any(signal.month >= until.isoformat()[:7] for signal in use.signed):
            continue
        channel = fact("no_use_channel", "", object_, "use_channel")
        if object_.use_channel is not None:
            channel = fact("use_channel", object_.use_channel, object_, "use_channel")
        yield Finding(
            detector="not_observable",
            objects=(object_.id,),
            evidence=(channel, *use.facts, *facts),
            confidence=0.3,
            observability=seen,
            asks="sign_ins" if seen is not Observability.FULL else "traffic",
        )


DETECTORS = (
    Detector(slug="paid_but_unused", detect=paid_but_unused, deterministic=False, references=("center.settings",)),
    Detector(
        slug="commissioned_without_use", detect=commissioned_without_use, deterministic=False, references=("code.87",)
    ),
    Detector(slug="not_observable", detect=not_observable, deterministic=False, references=("center.settings",)),
    Detector(slug="self_made_traffic", detect=self_made_traffic, deterministic=False, references=("center.settings",)),
)
