"""Who takes what from whom in the sample: declared integrations, and the hours of calls that would be seen of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from qaztech.testing.national.drafts import Draft
from qaztech.testing.national.healthy import IN_SERVICE
from qaztech.testing.national.members import CALLS

# Hours of a month in which each pattern has calls: office hours, the light day, every second hour, once a night, like
# a clock; `once` is for links whose calls are given by the month.
HOURS: Final = {"office": 174, "day": 365, "round": 365, "night": 30, "even": 720, "once": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hourly:
    """Calls of one client to one service in each hour of a pattern, about so many."""

    client: str
    service: str
    calls: int
    pattern: str


@dataclass(slots=True, kw_only=True)
class Link:
    """A consumer and a provider; what is declared of it (None: nothing) and what is seen of it (None: nothing)."""

    consumer: Draft
    provider: Draft
    calls: int
    pattern: str
    channel: str = "gateway"
    declared: bool = True
    seen: bool = True
    days: int = 900

    def touches(self, draft: Draft) -> bool:
        """Whether it is one of the two."""
        return draft is self.consumer or draft is self.provider

    @property
    def hourly(self) -> Hourly:
        """What is seen."""
        return Hourly(
            client=self.consumer.system.subsystem, service=self.provider.system.service, calls=self.calls,
            pattern=self.pattern,
        )  # fmt: skip

    def integration(self, number: int) -> dict[str, Any]:
        """What is declared."""
        monthly = self.calls * HOURS[self.pattern]
        begun = max(self.consumer.object["created"], self.provider.object["created"])
        gateway = self.channel == "gateway"
        return {
            "id": f"int-{number:04d}", "consumer_object": self.consumer.id, "provider_object": self.provider.id,
            "service": self.provider.system.service if gateway else "", "channel": self.channel, "status": "active",
            "declared_monthly_calls": round(monthly, -1) or monthly, "elements": list(self.provider.system.data[:3]),
            "since": max(begun, self.consumer.day(self.days)),
        }  # fmt: skip


def make_links(drafts: Sequence[Draft]) -> list[Link]:
    """The honest links: each system takes from its subject's register, most from another one too."""
    exchanging = [draft for draft in drafts if exchanges(draft) and draft.system.task != "real"]
    holders = [draft for draft in exchanging if draft.system.more.get("holds")]
    of_subject = {draft.system.subject: draft for draft in holders}
    links: list[Link] = []
    for draft in exchanging:
        own = of_subject.get(draft.system.subject)
        if own is not None and own is not draft:
            links.append(_link(draft, own))
        others = [holder for holder in holders if holder.system.body is not draft.system.body]
        near = [holder for holder in others if holder.system.area == draft.system.area] or others
        chosen = draft.chance.sample(near, 1 if own is not None else 2) if len(near) > 1 else near
        links += [_link(draft, provider) for provider in chosen]
    for holder in holders:  # no register without somebody who needs it
        if not any(link.provider is holder for link in links):
            links.append(_link(holder.chance.choice([d for d in exchanging if d is not holder]), holder))
    return links


def real_links(drafts: Sequence[Draft]) -> list[Link]:
    """What the embedded organisations' systems declare of each other; the calls are theirs to make."""
    by_word = {draft.system.id: draft for draft in drafts if draft.system.task == "real"}
    found = []
    for call in CALLS:
        consumer, provider = by_word[call.consumer], by_word[call.provider]
        found.append(
            Link(
                consumer=consumer,
                provider=provider,
                calls=call.monthly,
                pattern="once",
                declared=call.declared,
                days=call.days,
                seen=False,
            )
        )
    return found


def exchanges(draft: Draft) -> bool:
    """Whether a system works and calls or is called."""
    return draft.object["status"] in IN_SERVICE and bool(draft.object["subsystems"])


def _link(consumer: Draft, provider: Draft) -> Link:
    pattern = consumer.chance.choices(("office", "day", "round", "night"), (6, 2, 1, 2))[0]
    calls = consumer.chance.choice((2, 4, 7, 12, 25, 60, 140))
    return Link(consumer=consumer, provider=provider, calls=calls, pattern=pattern)
