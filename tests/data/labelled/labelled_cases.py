"""Changes that the plans of both splits need: each sets plain facts of a record, and judges nothing."""

# ruff: noqa: PLR0917 -- rows of a plan read best by position
from __future__ import annotations

from typing import Any

from labelled_split import Split

SUPPORT_YEARS = (2024, 2025, 2026)


def support(s: Split, key: str, tenge: int, years: tuple[int, ...] = SUPPORT_YEARS) -> None:
    """Support paid in these years and no other (0 tenge: no line at all)."""
    s.drop(key, "costs", kind="support")
    for year in years if tenge else ():
        s.cost(key, "support", year, tenge)


def quiet(s: Split, key: str) -> None:
    """All its use would pass through the backbone; the traffic has none of it."""
    s.on_backbone(key)


def fresh(s: Split, key: str, status: str, since: str, *, built: int, tenge: int, support_2026: int = 0) -> None:
    """Commissioned lately: its years before are building, its contract is the warranty of the builder."""
    s.drop(key, "costs", "contracts", "signals")
    s.stage(key, status, since)
    s.set(key, created=f"{built}-02-11", initial_estimate=tenge)
    s.cost(key, "creation", built, tenge)
    if support_2026:
        s.cost(key, "support", 2026, support_2026)


def modified(s: Split, key: str, shares: dict[int, float], kind: str = "modification") -> None:
    """Costs of modification (or another kind) as shares of the initial estimate, by year."""
    record = s.objects[key]
    if record["initial_estimate"] == "":
        built = [row for row in s.tables["costs"] if row["object"] == record["id"] and row["kind"] == "creation"]
        record["initial_estimate"] = built[0]["tenge"]
    for year, share in shares.items():
        s.cost(key, kind, year, round(record["initial_estimate"] * share))


def milestones(s: Split, key: str, name: str, versions: list[tuple[str, int, str]], done: str = "") -> None:
    """Versions (due, budget, recorded) of one milestone."""
    for number, (due, budget, recorded) in enumerate(versions, 1):
        last = done if number == len(versions) else ""
        s.add(
            "milestones",
            object=s.id(key),
            name=name,
            version=number,
            due=due,
            budget=budget,
            done=last,
            recorded=recorded,
        )


def people(s: Split, key: str, roles: list[tuple[str, str, str, str]]) -> None:
    """The roles of an object are these (role, since, until, successor); its contracts are taken away."""
    s.drop(key, "roles", "contracts")
    for role, since, until, successor in roles:
        s.role(key, role, since, until, successor)


def takes(s: Split, key: str, register: str, elements: str, manner: str, level: float) -> str:
    """Takes elements of a register lawfully: declared, through the gateway, with traffic."""
    listed = elements.split(",")
    pointers = [f"{s.id(register)}:{element}" for element in listed]
    held = [part for part in s.objects[key]["register_data"].split(";") if part]
    s.set(key, register_data=";".join(held + pointers))
    if s.objects[key]["use_channel"] != "backbone":
        s.set(key, use_channel="mixed")
    return s.edge(key, register, "lookup", manner, level, ";".join(listed))


def copies(s: Split, key: str, register: str, elements: str, *, held: bool = False) -> None:
    """Holds elements of a register; how it comes by them is for the integrations to say."""
    pointers = [f"{s.id(register)}:{element}" for element in elements.split(",")]
    known = [part for part in s.objects[key]["register_data"].split(";") if part]
    s.set(key, register_data=";".join(known + pointers))
    if held:
        own = [part for part in s.objects[key]["data_elements"].split(";") if part]
        s.set(key, data_elements=";".join(own + elements.split(",")))


def card(s: Split, key: str, risk: str, reviewed: str, labelled: str) -> None:
    """The object is AI and has this card."""
    s.set(key, ai="yes")
    s.add("ai_cards", object=s.id(key), risk=risk, reviewed=reviewed, output_labelled=labelled)


def compute(s: Split, key: str, allocated: int, used: list[float], last: int = 10) -> None:
    """Hours of graphics accelerators a month, used as shares; the last month is `last` of 2026."""
    for offset, share in enumerate(used):
        month = last - len(used) + 1 + offset
        s.add(
            "compute",
            object=s.id(key),
            month=f"2026-{month:02d}",
            gpu_hours_allocated=allocated,
            gpu_hours_used=round(allocated * share),
        )


def migration(s: Split, key: str, days: int, team: int, target: str, **fields: Any) -> None:
    """A plan of moving to the platform: person-days left, people, target."""
    s.set(key, **({"disposition": "migrate", "disposition_due": target, "hosting": "own"} | fields))
    s.add("migration", object=s.id(key), person_days_left=days, team=team, target=target)


def deals(s: Split, body: str, shares: list[tuple[str, int]]) -> None:
    """The body's contracts are these (supplier, tenge), one for each of its systems that has people in charge."""
    owned = [key for key, record in s.objects.items() if record["owner_bin"] == s.bin(body)]
    in_charge = {row["object"] for row in s.tables["roles"] if not row["until"]}
    s.tables["contracts"] = [row for row in s.tables["contracts"] if row["object"] not in {s.id(k) for k in owned}]
    ready = [key for key in owned if s.id(key) in in_charge and s.objects[key]["status"] == "operation"]
    if not ready:
        raise ValueError(body)
    for number, (supplier, tenge) in enumerate(shares):
        s.contract(ready[number % len(ready)], supplier, "2025-12-22", "2026-12-31", tenge)


def busy_self(s: Split, key: str, manner: str, level: float, *, caller: str = "", signs: int = 45) -> None:
    """Calls of its own owner at even times and nothing else; a few sign-ins, no support paid."""
    support(s, key, 0)
    s.edge(caller or key, key, "status", manner, level, suffix="" if caller else "-probe")
    s.set(key, use_channel="mixed")
    s.sign_ins(key, [signs] * 12)
