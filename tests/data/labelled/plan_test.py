"""The cases of the test split, first part. Not to be read by whoever writes or tunes a detector."""

from __future__ import annotations

import labelled_cases as c
from labelled_split import Split

PLANTED, NEAR = "planted", "near_miss"
REGISTERS = ("kpers", "kbiz", "kparcel", "kmed", "kland", "kuni")
LOOKUPS = (
    ("socpay", "kpers", "resident.surname,resident.given,resident.home", "office", 55),
    ("passports", "kpers", "resident.surname,resident.born", "office", 30),
    ("startup", "kpers", "resident.surname", "day", 16),
    ("changeaddr", "kpers", "resident.home", "office", 24),
    ("grants", "kpers", "resident.born", "monthly", 5400),
    ("alimony", "kpers", "resident.home", "weekly", 1500),
    ("doccheck", "kpers", "resident.surname,resident.given", "day", 95),
    ("smeaid", "kbiz", "enterprise.title,enterprise.kind", "office", 6),
    ("exec", "kbiz", "enterprise.title", "office", 19),
    ("bankrupt", "kbiz", "enterprise.title,enterprise.founder", "office", 3),
    ("payhub", "kbiz", "enterprise.title", "day", 45),
    ("ecoperm", "kbiz", "enterprise.seat", "office", 2),
    ("sharebuild", "kparcel", "building.code,building.floors", "office", 5),
    ("agroins", "kbiz", "enterprise.title", "night", 260),
    ("hospbeds", "kmed", "clinic.beds,clinic.profile", "day", 8),
    ("geoauction", "kland", "deposit.outline", "office", 4),
    ("foreignDip", "kuni", "campus.title", "office", 3),
)
EDGES = (
    ("frontoffice", "socpay", "claims", "office", 38),
    ("frontoffice", "passports", "requests", "office", 21),
    ("frontoffice", "startup", "requests", "office", 13),
    ("frontoffice", "payhub", "fees", "office", 48),
    ("passports", "payhub", "fees", "office", 11),
    ("exec", "payhub", "holds", "office", 27),
    ("callcentre", "frontoffice", "states", "day", 18),
    ("startup", "trademark", "names", "day", 9),
    ("hospbeds", "oneid", "entry", "day", 26),
    ("socpay", "oneid", "entry", "office", 34),
    ("curricula", "oneid", "entry", "office", 7),
    ("airq", "oskair", "weather-mode", "halfday", 4),
    ("seafarer", "shipreg", "flags", "office", 2),
    ("gasmeter", "payhub", "bills", "weekly", 7000),
    ("aeronav", "slots", "slots", "day", 31),
    ("doccheck", "foreignDip", "papers", "office", 2),
)


def exchanges(s: Split) -> None:
    """Who takes what from whom through the gateway."""
    for register in REGISTERS:
        s.set(register, source_of_truth="yes")
        s.on_backbone(register)
    s.on_backbone("payhub", "trademark", "slots", "oneid", "shipreg")
    for key, register, elements, manner, level in LOOKUPS:
        c.takes(s, key, register, elements, manner, level)
    for consumer, provider, service, manner, level in EDGES:
        for key in (consumer, provider):
            if s.objects[key]["use_channel"] in {"people", "offline"}:
                s.set(key, use_channel="mixed")
        s.edge(consumer, provider, service, manner, level)
    s.label("register_copy", NEAR, ["alimony", "kpers"], "Once a week and only addresses, but through the gateway.")
    s.label("register_copy", NEAR, ["agroins", "kbiz"], "A nightly batch through the gateway.")
    s.label("paid_but_unused", NEAR, "gasmeter", "It only sends a batch each Monday; that is its use of the backbone.")
    s.label("paid_but_unused", NEAR, "shipreg", "A handful of calls a day, as there are few ships.")


def unused(s: Split) -> None:
    """Paid and not used; formally commissioned and never used."""
    for key, tenge, why in (
        ("monotown", 42_500_000, "Only reachable over the backbone and never called in 120 days; support each year."),
        ("guides", 8_200_000, "Three years of support, no call in the whole window, no other channel."),
        ("recall", 19_900_000, "Its services stand on the gateway, nobody calls, support goes on."),
    ):
        c.quiet(s, key)
        c.support(s, key, tenge)
        s.label("paid_but_unused", PLANTED, key, why)
        s.label("commissioned_without_use", NEAR, key, "Commissioned long ago: earlier use cannot be excluded.")
    c.quiet(s, "pharmstaff")
    c.support(s, "pharmstaff", 11_300_000)
    s.edge("medprice", "pharmstaff", "badges", "rare", 2, declared=0)
    s.set("medprice", use_channel="mixed")
    s.set("pharmstaff", declared_users=12_000)
    s.label("paid_but_unused", PLANTED, "pharmstaff", "12,000 users by its record; about two calls in four months.")
    s.stage("baggage", "archived", "2025-02-10")
    c.quiet(s, "baggage")
    c.support(s, "baggage", 5_600_000, (2025, 2026))
    s.label("paid_but_unused", PLANTED, "baggage", "Archived early in 2025, and hosting support is paid for 2026.")
    for key, counts in (
        ("stadium", [55, 30, 22, 21, 3, 0, 0, 0, 0, 0, 0, 0]),
        ("rocklab", [0] * 12),
        ("goldbuy", [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ):
        c.support(s, key, 13_700_000)
        s.set(key, use_channel="mixed" if key == "stadium" else "people")
        s.sign_ins(key, counts)
        s.label("paid_but_unused", PLANTED, key, "Signed sign-ins have been zero for half a year, support is paid.")
        s.label("commissioned_without_use", NEAR, key, "Commissioned long ago: earlier use cannot be excluded.")
    for key, channel, why in (
        ("oath", "people", "Clerks use it and nothing counts them: not observable."),
        ("core", "offline", "Works in a store without a network: not observable."),
        ("togaibridge", "people", "Used by crews; no signal is sent: not observable."),
    ):
        c.support(s, key, 7_000_000)
        s.drop(key, "signals")
        s.set(key, use_channel=channel)
        s.label("paid_but_unused", NEAR, key, why)
    c.support(s, "olympicprep", 9_000_000)
    s.set("olympicprep", use_channel="people")
    s.sign_ins("olympicprep", [0, 0, 0, 880, 0, 0, 0, 0, 0, 0, 0, 0])
    s.label("paid_but_unused", NEAR, "olympicprep", "All its work is done in one month of the year.")
    c.quiet(s, "notfee")
    c.support(s, "notfee", 0)
    s.label("paid_but_unused", NEAR, "notfee", "Unused, and the state pays nothing for it.")
    c.support(s, "orbitlab", 5_000_000)
    s.set("orbitlab", use_channel="people", declared_users=7)
    s.sign_ins("orbitlab", [7] * 12)
    s.label("paid_but_unused", NEAR, "orbitlab", "Seven people are all its users, and all of them sign in.")
    c.quiet(s, "calendar")
    c.support(s, "calendar", 6_000_000, (2022, 2023))
    s.label("paid_but_unused", NEAR, "calendar", "Unused; the last support was paid in 2023.")
    for key, status, since, signal, why in (
        (
            "hydrantx",
            "operation",
            "2026-02-26",
            "",
            "Commissioned in February; all its use would be calls, there are none.",
        ),
        ("grapes", "operation", "2025-08-18", "", "Commissioned fifteen months ago; no call at all in the window."),
        ("mosaic", "operation", "2025-11-27", "zero", "A year in operation and not a signed sign-in."),
        ("mushrooms", "commissioned", "2026-01-30", "zero", "Act signed in January; nobody has signed in since."),
        ("icebreak", "operation", "2026-04-06", "one", "Act signed in April; a single sign-in since."),
        (
            "hotelsite",
            "development",
            "2025-10-13",
            "zero",
            "Commissioned, already developed further, never signed in to.",
        ),
    ):
        c.fresh(s, key, status, since, built=2024, tenge=165_000_000)
        if signal:
            s.set(key, use_channel="people")
            s.sign_ins(key, [0] * 5 + [1] if signal == "one" else [0] * 9)
        else:
            c.quiet(s, key)
        s.label("commissioned_without_use", PLANTED, key, why)
    s.cost("grapes", "support", 2026, 17_000_000)
    s.label("paid_but_unused", PLANTED, "grapes", "17 million of support this year and no calls.")
    s.cost("mosaic", "support", 2026, 4_400_000)
    s.label("paid_but_unused", PLANTED, "mosaic", "Support this year and signed sign-ins of zero.")
    c.fresh(s, "honeyfair", "operation", "2026-11-09", built=2025, tenge=44_000_000, support_2026=900_000)
    s.set("honeyfair", use_channel="people")
    s.label("commissioned_without_use", NEAR, "honeyfair", "Commissioned two weeks ago.")
    c.fresh(s, "wool", "operation", "2025-10-01", built=2023, tenge=72_000_000)
    s.set("wool", use_channel="offline")
    s.label("commissioned_without_use", NEAR, "wool", "Works offline at the wool sheds: not observable.")
    c.fresh(s, "firebrig", "operation", "2026-01-12", built=2024, tenge=51_000_000)
    s.set("firebrig", use_channel="people")
    s.sign_ins("firebrig", [0, 0, 0, 0, 2, 17, 64, 70, 88])
    s.label("commissioned_without_use", NEAR, "firebrig", "Nobody at first; brigades have joined since June.")
    c.fresh(s, "dams", "operation", "2026-05-04", built=2024, tenge=330_000_000)
    s.set("dams", use_channel="backbone")
    s.edge("glacier", "dams", "spillways", "rising", 7, since="2026-05-11")
    s.set("glacier", use_channel="mixed")
    s.label("commissioned_without_use", NEAR, "dams", "Commissioned in May; calls grow since the summer.")


def life_cycle(s: Split) -> None:
    """Trials, modifications, legal vacuum, stale records."""
    for key, status_since, order, why in (
        ("bozmusic", "2022-09-05", "2022-09-05", "Four years of trial."),
        ("libraryU", "2024-04-15", "2024-04-15", "Two and a half years of trial."),
        ("belugafarm", "2025-01-20", "2025-01-20", "Twenty-two months of trial."),
        ("camels", "", "2023-06-12", "No date of status; the order to begin the trial is three years old."),
        ("snowfence", "2024-10-28", "2024-10-28", "Two years of trial."),
    ):
        s.young(key, "trial", order, f"{int(order[:4]) - 2}-03-03")
        s.set(key, status_since=status_since)
        s.cost(key, "creation", int(order[:4]) - 1, 47_000_000)
        s.label("trial_too_long", PLANTED, key, why)
        s.label("legal_vacuum", NEAR, key, "No act, but it is in trial and not in mass use.")
    s.young("citycards", "trial", "2024-02-01", "2022-08-08", use_channel="people")
    s.cost("citycards", "creation", 2023, 610_000_000)
    s.sign_ins("citycards", [21_000] * 12)
    s.label("trial_too_long", PLANTED, "citycards", "Nearly three years of trial.")
    s.label("legal_vacuum", PLANTED, "citycards", "The whole city uses it under the name of a trial; no tests, no act.")
    s.young("bikes", "trial", "2025-11-24", "2025-02-02")
    s.label("trial_too_long", NEAR, "bikes", "On the 364th day of its trial.")
    s.young("heatmap", "trial", "2026-08-17", "2025-06-30")
    s.label("trial_too_long", NEAR, "heatmap", "Three months of trial.")
    s.label("legal_vacuum", NEAR, "heatmap", "A lawful trial: no act is due.")
    s.young("noise", "security_tests", "2026-03-30", "2023-12-12")
    s.label("trial_too_long", NEAR, "noise", "Long under way, but the trial is closed and tests go on.")
    s.label("legal_vacuum", NEAR, "noise", "Under security tests, not operated.")
    s.young("school1", "trial", "2025-03-24", "2024-01-15")
    s.document("school1", "trial_act", "2026-01-29")
    s.label("trial_too_long", NEAR, "school1", "The act closed its trial after ten months; the status is merely old.")
    for key, shares in (
        ("tariffs", {2025: 0.38}),
        ("citizenship", {2022: 0.09, 2023: 0.08, 2024: 0.09}),
        ("doctorsalary", {2024: 0.14, 2026: 0.13}),
        ("slots", {2023: 0.75}),
        ("standards", {2021: 0.05, 2022: 0.11, 2023: 0.08, 2025: 0.06}),
        ("lawbase", {2025: 0.24}),
    ):
        c.modified(s, key, shares)
        s.label(
            "modification_over_limit",
            PLANTED,
            key,
            f"Modifications come to {sum(shares.values()):.0%} of the estimate.",
        )
    for key in ("tariffs", "slots"):
        s.document(key, "modification_consent", "2023-01-31")
    c.modified(s, "planCity", {2023: 0.1, 2025: 0.1})
    s.label("modification_over_limit", NEAR, "planCity", "Twice a tenth: exactly the fifth that is allowed.")
    c.modified(s, "builders", {2024: 0.16})
    s.document("builders", "modification_consent", "2024-03-03")
    s.label("modification_over_limit", NEAR, "builders", "16 %, with consent.")
    c.modified(s, "accredit", {2023: 0.35, 2024: 0.2}, "development")
    s.label("modification_over_limit", NEAR, "accredit", "Much was spent, all of it development.")
    c.modified(s, "sugarbeet", {2025: 0.5})
    s.set("sugarbeet", initial_estimate="")
    s.label("modification_over_limit", NEAR, "sugarbeet", "No initial estimate is declared to compare with.")
    for key, gone, why in (
        ("copper", ("commissioning_act",), "Works without a commissioning act."),
        ("runway", ("security_test",), "Works without security tests."),
        ("exec", ("commissioning_act", "security_test"), "Commands banks daily; neither act nor tests."),
        ("tuzheat", ("security_test", "commissioning_act"), "In operation with a trial act only."),
        ("seedsort", ("commissioning_act",), "In development after a commissioning nobody recorded."),
    ):
        for document in gone:
            s.drop(key, "documents", type=document)
        s.label("legal_vacuum", PLANTED, key, why)
    s.set("seedsort", status="development")
    s.stage("trademark", "planning", "2025-02-24")
    s.label(
        "legal_vacuum", PLANTED, "trademark", "Planned, by its record; in truth it answers hundreds of calls a day."
    )
    s.drop("windgate", "documents", type="security_test")
    s.document("windgate", "security_test")
    s.label("legal_vacuum", NEAR, "windgate", "The test is there; its date was forgotten.")
    s.stage("saltlake", "written_off", "2019-04-04")
    s.drop("saltlake", "documents", type="commissioning_act")
    s.set("saltlake", stack="Windows XP;Delphi 5", actualised="2019-04-04", use_channel="people")
    s.label("legal_vacuum", NEAR, "saltlake", "Never commissioned, and written off in 2019.")
    s.label("obsolete_stack", NEAR, "saltlake", "Old products, but written off: nothing runs.")
    s.label("stale_record", NEAR, "saltlake", "Written off: its record is closed.")
    for key, day in (
        ("cotton", "2023-03-18"),
        ("measurelab", "2021-12-01"),
        ("tourbus", "2024-01-25"),
        ("birch", "2019-10-10"),
        ("gardens", ""),
        ("beet", "2022-07-07"),
    ):
        s.set(key, actualised=day)
        s.label("stale_record", PLANTED, key, f"Last confirmed: {day or 'never'}.")
    for key, day in (("trees", "2025-12-28"), ("bread", "2026-01-05"), ("terminals", "2026-01-30")):
        s.set(key, actualised=day)
        s.label("stale_record", NEAR, key, "Less than a year since it was confirmed.")
