"""What goes wrong in the sample: for each detector some systems whose record, money or use is made to fail.

`plant` changes drafts and links and says which objects it meant for which detector. A planted system may show in other
detectors too, as in life; those that stay untouched are meant to be healthy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from itertools import pairwise
from random import Random
from typing import Final

from qaztech.testing.national.drafts import SEED, Draft, digest, months_back
from qaztech.testing.national.healthy import IN_SERVICE
from qaztech.testing.national.links import Hourly, Link, exchanges
from qaztech.testing.national.texts import ALONE, bodies, suppliers

Planted = dict[str, list[str]]
_OLD: Final = (
    ("Windows Server 2008 R2", "SQL Server 2008", "Silverlight 5"),
    ("PHP 5.6", "MySQL 5.5", "CentOS 6"),
    ("Java 7", "PostgreSQL 9.3", "Windows Server 2008"),
)
# The body whose suppliers are one group.
_CAPTURED: Final = "town"


class Planting:
    """Drafts and links, and the systems that are still untouched."""

    def __init__(self, drafts: Sequence[Draft], links: list[Link], today: date) -> None:
        self.drafts, self.links, self.today = drafts, links, today
        self.planted: Planted = {}
        self.hourly: list[Hourly] = []
        free = [d for d in drafts if d.system.task not in {"real", "special"} and d.object["status"] == "operation"]
        self._free = [d for d in free if not d.system.more.get("holds") and d.system.body.id != _CAPTURED]
        Random(f"{SEED}/planted").shuffle(self._free)  # noqa: S311 - a sample, not a secret

    def word(self, word: str) -> Draft:
        """The draft of a system by our word for it."""
        return next(draft for draft in self.drafts if draft.system.id == word)

    def mark(self, slug: str, *drafts: Draft) -> None:
        """Note what was planted."""
        for draft in drafts:
            draft.planted.add(slug)
            self.planted.setdefault(slug, []).append(draft.id)

    def take(self, count: int, fits: Callable[[Draft], bool] = lambda _: True) -> list[Draft]:
        """So many untouched systems that fit."""
        chosen = [draft for draft in self._free if fits(draft)][:count]
        self._free = [draft for draft in self._free if draft not in chosen]
        return chosen

    def alone(self, draft: Draft) -> None:
        """Nobody is linked with it."""
        self.links[:] = [link for link in self.links if not link.touches(draft)]


def plant(drafts: Sequence[Draft], links: list[Link], today: date) -> Planting:
    """Plant everything."""
    work = Planting(drafts, links, today)
    for each in (_fates, _unused, _life, _records, _integrations, _suppliers, _plans, _intelligent, _alike, _real):
        each(work)
    return work


def _quiet(work: Planting, draft: Draft) -> None:
    """All of its use would be seen, and there is none."""
    work.alone(draft)
    draft.object |= {"use_channel": "backbone", "subsystems": [draft.system.subsystem], "public_services": []}
    draft.drop("signals")


def _unused(work: Planting) -> None:
    for draft in work.take(6, exchanges):
        _quiet(work, draft)
        draft.object["declared_users"] = 25_000
        work.mark("paid_but_unused", draft)
    for draft in work.take(2, lambda d: d.object["use_channel"] == "people"):
        draft.drop("signals")
        for month in months_back(work.today, 12):
            draft.add("signals", month=month, sign_ins=draft.chance.randint(0, 2), signed_by=bodies()["yurt"].bin)
        work.mark("paid_but_unused", draft)
    for draft in work.take(2, exchanges):
        work.alone(draft)
        draft.drop("signals")
        draft.object |= {"status": "ceased", "status_since": draft.day(800)}
        draft.document("cessation_notice", 820)
        work.mark("paid_but_unused", draft)
    for draft in work.take(4, exchanges):
        _quiet(work, draft)
        _commissioned(draft, draft.chance.randint(150, 600))
        work.mark("commissioned_without_use", draft)
    for draft in work.take(6, lambda d: d.object["use_channel"] == "people"):
        draft.drop("signals")
        work.mark("not_observable", draft)
    work.mark("not_observable", *(d for d in work.drafts if d.object["use_channel"] == "offline"))
    for draft in work.take(2, exchanges):
        _quiet(work, draft)
        watch = next(d for d in work.drafts if d.system.body is draft.system.body and d is not draft and exchanges(d))
        work.links.append(Link(consumer=watch, provider=draft, calls=30, pattern="even"))
        work.mark("self_made_traffic", draft)


def _commissioned(draft: Draft, ago: int) -> None:
    """As if it had been commissioned so many days ago."""
    draft.object |= {"status": "operation", "status_since": draft.day(ago), "created": draft.day(ago + 700)}
    draft.drop("documents")
    for kind, before in (
        ("technical_assignment", 690), ("digital_conclusion", 680), ("security_conclusion", 670), ("trial_order", 200),
        ("trial_act", 30), ("security_test", 15), ("commissioning_act", 0),
    ):  # fmt: skip
        draft.document(kind, ago + before)
    creation = draft.object["initial_estimate"]
    draft.drop("costs")
    begun = date.fromisoformat(draft.object["created"])
    draft.cost(begun.year, "creation", creation)
    draft.upkeep(date.fromisoformat(draft.object["status_since"]), creation)
    for contract in draft.tables["contracts"][:1]:
        contract |= {
            "signed": draft.day(ago + 690), "ends": draft.day(ago), "warranty_until": draft.day(ago - 700),
        }  # fmt: skip


def _before_service(work: Planting, draft: Draft, status: str, since: int) -> None:
    """As if it had not been commissioned yet."""
    work.alone(draft)
    draft.object |= {"status": status, "status_since": draft.day(since)}
    draft.drop("signals")
    draft.drop("costs", lambda row: row["kind"] == "creation")
    late = {"trial_act", "security_test", "commissioning_act", *(() if status == "trial" else ("trial_order",))}
    draft.drop("documents", lambda row: row["type"] not in late)
    draft.drop("contracts", lambda row: row["subject"] == "development")


def _life(work: Planting) -> None:
    for draft in work.take(4):
        begun = draft.chance.randint(430, 1100)
        _before_service(work, draft, "trial", begun)
        draft.drop("documents", lambda row: row["type"] != "trial_order")
        draft.document("trial_order", begun)
        work.mark("trial_too_long", draft)
    for draft in work.take(3):
        for back in (1, 2, 3):
            draft.cost(work.today.year - back, "modification", draft.object["initial_estimate"] * 0.09)
        draft.document("modification_consent", 1000)
        work.mark("modification_over_limit", draft)
    for number, draft in enumerate(work.take(5)):
        missing = "commissioning_act" if number % 2 else "security_test"
        _without(draft, missing)
        work.mark("legal_vacuum", draft)
    for draft in work.take(3):
        _before_service(work, draft, "creation", 900)
        draft.object |= {"created": draft.day(draft.chance.randint(900, 1500)), "result": []}
        draft.drop("costs")
        begun = date.fromisoformat(draft.object["created"]).year
        for year in (begun, begun + 1):
            draft.cost(year, "creation", max(draft.object["initial_estimate"], 120_000_000) / 2)
        work.mark("zero_result", draft)
    for draft in work.take(3, lambda d: d.system.body.class_ == "GOV"):
        created = max(draft.day(140), "2026-01-20")
        _before_service(work, draft, "creation", 60)
        draft.object |= {"created": created, "hosting": "own", "exemption": "", "result": []}
        draft.drop("costs")
        draft.cost(work.today.year + 1, "creation", draft.object["initial_estimate"])
        work.mark("after_moratorium", draft)


def _without(draft: Draft, document: str) -> None:
    draft.drop("documents", lambda row: row["type"] != document)


def _records(work: Planting) -> None:
    for draft in work.take(12):
        draft.object["actualised"] = draft.day(draft.chance.randint(400, 1100))
        work.mark("stale_record", draft)
    for number, draft in enumerate(work.take(8)):
        draft.object |= {"stack": list(_OLD[number % len(_OLD)]), "monolith": True}
        work.mark("obsolete_stack", draft)
    for draft in work.take(5):
        for row in draft.tables["roles"]:
            if row["role"] in {"architect", "administrator"}:
                row |= {"until": draft.day(draft.chance.randint(60, 500)), "successor": ""}
        work.mark("orphan", draft)
    for draft in work.take(4):
        for row in draft.tables["roles"]:
            row["until"] = draft.day(draft.chance.randint(30, 200))
        for row in draft.tables["contracts"]:
            row |= {"ends": draft.day(-45), "warranty_until": draft.day(5)}
        work.mark("expiry_without_team", draft)


def _integrations(work: Planting) -> None:
    links = [link for link in work.links if not link.consumer.planted and not link.provider.planted]
    Random(f"{SEED}/links").shuffle(links)  # noqa: S311 - a sample, not a secret
    by_provider = {link.provider.id: link for link in reversed(links)}
    loose = [link for link in links if by_provider[link.provider.id] is not link and _calls_others(work, link)]
    for number, link in enumerate(loose[:6]):
        link.channel, link.seen = ("direct", "file")[number % 2], False
        work.mark("integration_gap", link.consumer)
    for link in loose[6:10]:
        link.seen = False
        link.calls, link.pattern = 40, "office"
        work.mark("integration_gap", link.consumer)
    for link in loose[10:13]:
        link.declared = False
        work.mark("integration_gap", link.consumer)
    for word, code in (("rails", "old-exchange"), ("post", "branch-service")):
        body, service = bodies()[word], work.word("ledgers-register").system.service
        client = f"KZ/{body.class_}/{body.bin}/{code}"
        work.hourly.append(Hourly(client=client, service=service, calls=9, pattern="office"))
        work.planted.setdefault("integration_gap", []).append(f"bin:{body.bin}")


def _calls_others(work: Planting, link: Link) -> bool:
    """Whether its consumer has another link, so that it stays in use without this one."""
    return sum(other.consumer is link.consumer for other in work.links) > 1


def _suppliers(work: Planting) -> None:
    first, second = suppliers()[0][0], suppliers()[1][0]
    captured = [d for d in work.drafts if d.system.body.id == _CAPTURED]
    rows = [row for draft in captured for row in draft.tables["contracts"]]
    for number, row in enumerate(rows):
        row["supplier_bin"] = (first, second)[number % 2]
    work.planted["supplier_concentration"] = [f"bin:{first}", f"bin:{second}"]
    sold = work.take(4, lambda d: bool(d.tables["contracts"]))
    for one, other in (sold[:2], sold[2:]):
        other.drop("components")
        seller = one.tables["contracts"][0]["supplier_bin"]
        other.tables["contracts"][0]["supplier_bin"] = seller
        for draft in (one, other):
            draft.drop("components")
            draft.add(
                "components", component="core", fingerprint=digest(one.system.id, "core"), supplier_bin=seller
            )  # fmt: skip
        work.mark("supplier_concentration", one, other)


def _plans(work: Planting) -> None:
    for draft in work.take(4):
        draft.drop("milestones")
        dues = [draft.day(700), draft.day(500), draft.day(260), draft.day(-120)]
        for version, due in enumerate(dues, 1):
            draft.add(
                "milestones", name="all regions", version=version, due=due, budget=90_000_000 + 16_000_000 * version,
                recorded=draft.day(1000 - 230 * version),
            )  # fmt: skip
        assert all(earlier < later for earlier, later in pairwise(dues))  # noqa: S101 - each version is later
        work.mark("slippage", draft)
    for draft in work.take(4):
        draft.drop("migration")
        draft.object |= {"disposition": "migrate", "disposition_due": draft.day(-45)}
        draft.add("migration", person_days_left=draft.chance.randint(900, 3000), team=2, target=draft.day(-45))
        work.mark("migration_infeasible", draft)


def _intelligent(work: Planting) -> None:
    """AI and accelerators: half of them in order."""
    medical = work.word("medimages-analytics")
    medical.object["ai"] = True
    for draft, risk, reviewed, labelled in (
        (medical, "high", 90, True),
        (work.word("steppe-speech"), "medium", 200, True),
        (work.word("pasture-eye"), "minimal", 30, True),
        (work.word("weather-net"), "medium", 520, True),
        (work.word("homework-tutor"), None, None, False),
    ):
        draft.add(
            "ai_cards", risk=risk, reviewed=None if reviewed is None else draft.day(reviewed), output_labelled=labelled
        )
    work.mark("ai_unclassified", *map(work.word, ("weather-net", "homework-tutor", "letter-robot")))
    for word, allocated, used in (
        ("steppe-speech", 5200, 4100), ("weather-net", 2400, 1700), ("pasture-eye", 900, 620),
        ("letter-robot", 3000, 45), ("cloud-east", 16_000, 300),
    ):  # fmt: skip
        draft = work.word(word)
        for month in months_back(work.today, 9):
            draft.add(
                "compute", month=month, gpu_hours_allocated=allocated,
                gpu_hours_used=round(used * draft.chance.uniform(0.8, 1.1)),
            )  # fmt: skip
    work.mark("idle_compute", work.word("letter-robot"), work.word("cloud-east"))


def _fates(work: Planting) -> None:
    """Systems whose status is part of their story."""
    for draft in work.drafts:
        fate = draft.system.more.get("fate")
        if fate == "written_off":
            _before_service(work, draft, "written_off", 1500)
            draft.object |= {"created": draft.day(2900), "subsystems": [], "use_channel": "backbone"}
            draft.drop("costs")
            draft.drop("contracts")
            draft.drop("roles")
            for kind, ago in (("cessation_notice", 1600), ("archive_act", 1510)):
                draft.document(kind, ago)
            year = work.today.year - 8
            draft.cost(year, "creation", draft.object["initial_estimate"])
        elif fate in {"creation", "trial"}:
            _before_service(work, draft, fate, 120)
            draft.object |= {"created": draft.day(320), "result": [], "hosting": "qaztech"}
            draft.drop("costs")
            draft.cost(work.today.year - 1, "creation", draft.object["initial_estimate"])
            if fate == "trial":
                draft.drop("documents", lambda row: row["type"] != "trial_order")
                draft.document("trial_order", 120)


def _alike(work: Planting) -> None:
    for pair in (
        ("house-dispatch", "tenant-requests"), ("skills-forecast", "trade-compass"),
        ("partner-check", "company-file"), ALONE,
    ):  # fmt: skip
        one, other = map(work.word, pair)
        other.object["legal_basis"] = one.object["legal_basis"]
        work.mark("duplicate", one, other)
    for new in ("craft-card-new", "yard-cash-new"):
        work.mark("resurrected", work.word(new))
    for draft in work.drafts:
        if source := draft.system.more.get("copies"):
            work.alone(draft) if not exchanges(draft) else None
            register = work.word(source)
            work.links[:] = [x for x in work.links if not (x.consumer is draft and x.provider is register)]
            if draft.system.id == "school-doctor":
                link = Link(consumer=draft, provider=register, calls=1, pattern="night", channel="file", seen=False)
                work.links.append(link)
            work.mark("register_copy", draft)


def _real(work: Planting) -> None:
    """The dozen that exchange for real: the portal that hardly anybody calls, the help desk that nobody does."""
    for word in ("languages", "hotline"):
        draft = work.word(word)
        draft.object |= {"use_channel": "backbone", "declared_users": draft.system.more["users"]}
        draft.drop("signals")
    _commissioned(work.word("hotline"), 320)
    work.mark("paid_but_unused", work.word("languages"))
    work.mark("commissioned_without_use", work.word("hotline"))
    work.mark("integration_gap", *map(work.word, ("transit", "licences", "translations")))
    for draft in work.drafts:
        if draft.system.task == "real":
            draft.object["source_of_truth"] = draft.system.id in {"codes", "currencies", "territories", "languages"}
            assert draft.object["status"] in IN_SERVICE  # noqa: S101 - they are called
