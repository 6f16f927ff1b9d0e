"""The cases of the development split: who exchanges, what is wrong, what only looks wrong."""

from __future__ import annotations

import labelled_cases as c
from labelled_split import Split

PLANTED, NEAR = "planted", "near_miss"
LOOKUPS = (
    ("famaid", "rperson", "person.full_name,person.address", "office", 42),
    ("sickleave", "rperson", "person.full_name,person.birth_date", "day", 60),
    ("driverexam", "rperson", "person.full_name,person.birth_date", "office", 25),
    ("declar", "rperson", "person.full_name", "day", 18),
    ("diplomas", "rperson", "person.full_name", "office", 7),
    ("civilacts", "rperson", "person.full_name,person.sex", "office", 31),
    ("licence", "rfirm", "firm.name,firm.head", "office", 22),
    ("payorder", "rfirm", "firm.name", "office", 90),
    ("cashreg", "rfirm", "firm.name,firm.address", "night", 4000),
    ("labinsp", "rfirm", "firm.name", "office", 3),
    ("ambul", "raddr", "address.street,address.house", "day", 37),
    ("smartmeter", "raddr", "address.code", "weekly", 9000),
    ("housingq", "rhouse", "estate.owner", "office", 6),
    ("narco", "rdrug", "drug.name,drug.form", "office", 11),
    ("drugprice", "rdrug", "drug.name,drug.maker", "office", 5),
    ("teacherslot", "rschool", "school.name", "office", 4),
)
EDGES = (
    ("egate", "famaid", "aid-application", "day", 14),
    ("egate", "licence", "licence-request", "office", 17),
    ("egate", "driverexam", "exam-booking", "day", 9),
    ("egate", "civilacts", "birth-notice", "day", 12),
    ("egate", "notify", "send", "day", 80),
    ("sickleave", "notify", "send", "office", 33),
    ("housingq", "notify", "send", "office", 4),
    ("docflow", "sigcheck", "verify", "office", 70),
    ("payorder", "sigcheck", "verify", "office", 44),
    ("licence", "sigcheck", "verify", "office", 15),
    ("customsq", "excise", "stamps", "day", 8),
    ("lms", "idhub", "token", "day", 22),
    ("hrstate", "idhub", "token", "office", 28),
    ("budgetplan", "payorder", "balance", "office", 6),
    ("famaid", "civilacts", "births", "monthly", 2600),
    ("roadweather", "hydropost", "levels", "every6", 3),
)


def exchanges(s: Split) -> None:
    """Who takes what from whom through the gateway."""
    for register in ("rperson", "rfirm", "raddr", "rhouse", "rdrug", "rschool"):
        s.set(register, source_of_truth="yes")
        s.on_backbone(register)
    s.on_backbone("egate", "notify", "sigcheck", "idhub")
    for key, register, elements, manner, level in LOOKUPS:
        c.takes(s, key, register, elements, manner, level)
    for consumer, provider, service, manner, level in EDGES:
        if s.objects[consumer]["use_channel"] == "people":
            s.set(consumer, use_channel="mixed")
        s.edge(consumer, provider, service, manner, level)
    s.label("register_copy", NEAR, ["famaid", "rperson"], "Takes names and addresses through the gateway, as it must.")
    s.label("register_copy", NEAR, ["cashreg", "rfirm"], "A nightly batch, but through the gateway.")
    s.label("paid_but_unused", NEAR, "docflow", "Nobody calls it, but it calls others all day.")
    s.label("paid_but_unused", NEAR, "smartmeter", "One batch a week is its whole traffic, and it is its work.")


def unused(s: Split) -> None:
    """Paid and not used; formally commissioned and never used."""
    for key, tenge in (
        ("melior", 31_000_000),
        ("shops", 64_000_000),
        ("elevator", 18_400_000),
        ("riverport", 9_700_000),
    ):
        c.quiet(s, key)
        c.support(s, key, tenge)
    s.label(
        "paid_but_unused", PLANTED, "melior", "All its use would cross the backbone; no call in 120 days, paid yearly."
    )
    s.set("shops", declared_users=40_000)
    s.edge("crane", "shops", "locations", "rare", 3, declared=0)
    s.set("crane", use_channel="mixed")
    s.label(
        "paid_but_unused",
        PLANTED,
        "shops",
        "40,000 declared users and about three calls in 120 days; 64 million a year.",
    )
    s.label("paid_but_unused", PLANTED, "elevator", "Support is paid each year; its only service was not called once.")
    s.stage("riverport", "ceased", "2024-10-01")
    c.support(s, "riverport", 9_700_000)
    s.label(
        "paid_but_unused",
        PLANTED,
        "riverport",
        "Ceased two years ago and support still paid in 2025 and 2026; no calls.",
    )
    c.support(s, "coopreg", 22_000_000)
    s.set("coopreg", use_channel="mixed")
    s.subsystem("coopreg")
    s.sign_ins("coopreg", [310, 280, 150, 90, 40, 25, 0, 0, 0, 0, 0, 0])
    s.label("paid_but_unused", PLANTED, "coopreg", "Sign-ins fell to nothing in May and no calls; support goes on.")
    for key, counts in (("theatre", [0] * 12), ("prizes", [0, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1])):
        c.support(s, key, 12_500_000)
        s.set(key, use_channel="people")
        s.sign_ins(key, counts)
        s.label(
            "paid_but_unused",
            PLANTED,
            key,
            "The identity provider signed for hardly a sign-in in a year; support is paid.",
        )
    for key in ("melior", "shops", "elevator", "coopreg", "theatre", "prizes"):
        s.label("commissioned_without_use", NEAR, key, "Commissioned many years ago; earlier use cannot be excluded.")
    near = {
        "soilmap": "Used by people without any signal: not observable, so not a case of unused.",
        "gasball": "Works offline: nothing of its use could be seen.",
    }
    for key, why in near.items():
        c.support(s, key, 15_000_000)
        s.drop(key, "signals")
        s.set(key, use_channel="people" if key == "soilmap" else "offline")
        s.label("paid_but_unused", NEAR, key, why)
    c.support(s, "saiga", 8_000_000)
    s.set("saiga", use_channel="mixed")
    s.sign_ins("saiga", [0, 0, 0, 0, 0, 940, 760, 0, 0, 0, 0, 0])
    s.label("paid_but_unused", NEAR, "saiga", "Seasonal: the count is made each April and May.")
    c.quiet(s, "archeo")
    c.support(s, "archeo", 0)
    s.label("paid_but_unused", NEAR, "archeo", "Not used, but nothing is paid for it.")
    c.support(s, "pilgrim", 6_000_000)
    s.set("pilgrim", use_channel="people", declared_users=18)
    s.sign_ins("pilgrim", [16] * 12)
    s.label("paid_but_unused", NEAR, "pilgrim", "Few sign-ins, because it has eighteen users.")
    never = {
        "hotline": ("operation", "2026-01-16", "Commissioned in January, backbone only, not one call."),
        "quarry": ("operation", "2025-12-02", "Commissioned in December 2025, backbone only, not one call."),
        "sanat": ("commissioned", "2025-10-20", "Commissioned a year ago; signed sign-ins are all zero."),
        "courier": ("operation", "2026-03-12", "Commissioned in March; two sign-ins since."),
        "kurort": ("operation", "2025-11-05", "Commissioned a year ago; neither calls nor sign-ins."),
        "orphanhome": ("operation", "2026-02-03", "Commissioned in February; all sign-ins since are zero."),
    }
    for key, (status, since, why) in never.items():
        c.fresh(s, key, status, since, built=2024, tenge=120_000_000)
        if key in {"hotline", "quarry"}:
            c.quiet(s, key)
        else:
            s.set(key, use_channel="mixed" if key == "kurort" else "people")
            s.sign_ins(key, [0] * 6 + [1, 1] if key == "courier" else [0] * 8)
        s.label("commissioned_without_use", PLANTED, key, why)
    s.cost("orphanhome", "support", 2026, 14_000_000)
    s.label("paid_but_unused", PLANTED, "orphanhome", "Support of 14 million in 2026 and signed sign-ins of zero.")
    c.fresh(s, "blast", "operation", "2026-11-02", built=2025, tenge=70_000_000, support_2026=2_000_000)
    c.quiet(s, "blast")
    s.label("commissioned_without_use", NEAR, "blast", "Commissioned three weeks ago.")
    s.label("paid_but_unused", NEAR, "blast", "Commissioned three weeks ago; support began with it.")
    c.fresh(s, "inventor", "operation", "2025-09-08", built=2024, tenge=95_000_000)
    s.set("inventor", use_channel="people")
    s.label("commissioned_without_use", NEAR, "inventor", "Used by people and no signal is sent: not observable.")
    c.fresh(s, "copyright", "operation", "2026-02-17", built=2024, tenge=88_000_000)
    s.set("copyright", use_channel="people")
    s.sign_ins("copyright", [0, 0, 0, 4, 30, 80, 190, 260])
    s.label("commissioned_without_use", NEAR, "copyright", "A slow start, then sign-ins grow.")
    c.fresh(s, "telemed", "operation", "2026-03-25", built=2024, tenge=210_000_000)
    s.set("telemed", use_channel="backbone")
    s.edge("ski", "telemed", "consult", "rising", 12, since="2026-04-01")
    s.label("commissioned_without_use", NEAR, "telemed", "Few calls in July, more each week.")


def life_cycle(s: Split) -> None:
    """Trials, modifications, legal vacuum, stale records."""
    trials = {
        "nonprofit": "2023-03-14",
        "robotlab": "2024-08-01",
        "mulberry": "2024-01-22",
        "aralsand": "2024-02-19",
        "oilland": "2025-02-10",
    }
    for key, since in trials.items():
        s.young(key, "trial", since, f"{int(since[:4]) - 1}-01-18")
        s.cost(key, "creation", int(since[:4]) - 1, 60_000_000)
        s.label("trial_too_long", PLANTED, key, f"In trial since {since}; the law gives a year.")
        s.label("legal_vacuum", NEAR, key, "No commissioning act, but it is in trial with few users, not operated.")
    s.set("aralsand", status_since="")
    s.young("parking", "trial", "2023-11-06", "2022-05-05", use_channel="mixed")
    s.cost("parking", "creation", 2023, 340_000_000)
    s.sign_ins("parking", [5200] * 12)
    s.label("trial_too_long", PLANTED, "parking", "In trial for three years.")
    s.label("legal_vacuum", PLANTED, "parking", "Three years of mass use under the name of a trial, no tests, no act.")
    s.young("foothill", "trial", "2025-11-24", "2025-01-20")
    s.label("trial_too_long", NEAR, "foothill", "364 days of trial.")
    s.young("plants", "trial", "2026-05-12", "2025-03-01")
    s.label("trial_too_long", NEAR, "plants", "Half a year of trial.")
    s.label("legal_vacuum", NEAR, "plants", "In lawful trial: no act is due yet.")
    s.young("stepnews", "trial", "2025-05-11", "2024-03-01")
    s.document("stepnews", "trial_act", "2026-03-20")
    s.label(
        "trial_too_long",
        NEAR,
        "stepnews",
        "The trial ended with an act after ten months; only the status was not changed.",
    )
    s.young("normdict", "security_tests", "2026-02-09", "2023-10-01")
    s.label("trial_too_long", NEAR, "normdict", "The trial is over; it is in security tests.")
    s.label("legal_vacuum", NEAR, "normdict", "In security tests: not operated yet.")
    over = {
        "bridge": {2023: 0.12, 2025: 0.11},
        "toll": {2024: 0.45},
        "licence": {2022: 0.1, 2024: 0.1, 2026: 0.1},
        "xray": {2025: 0.31},
        "excise": {2024: 0.26},
        "leasing": {2023: 0.4, 2024: 0.2},
    }
    for key, shares in over.items():
        c.modified(s, key, shares)
        s.label("modification_over_limit", PLANTED, key, f"{sum(shares.values()):.0%} of the initial estimate in all.")
    s.document("excise", "modification_consent", "2024-02-02")
    c.modified(s, "debt", {2024: 0.2})
    s.label("modification_over_limit", NEAR, "debt", "Exactly 20 %: the law allows it.")
    c.modified(s, "textbook", {2023: 0.07, 2024: 0.06, 2025: 0.05})
    s.label("modification_over_limit", NEAR, "textbook", "Three modifications, 18 % together.")
    c.modified(s, "diplomas", {2024: 0.4}, "development")
    c.modified(s, "diplomas", {2025: 0.05})
    s.label("modification_over_limit", NEAR, "diplomas", "40 % is development, only 5 % modification.")
    c.modified(s, "locoshed", {2024: 0.3})
    s.set("locoshed", initial_estimate="")
    s.label("modification_over_limit", NEAR, "locoshed", "The initial estimate is not declared: nothing to measure by.")
    missing = {
        "measure": ("commissioning_act", "In operation without a commissioning act."),
        "ski": ("security_test", "In operation without a security test."),
        "hydropost": ("commissioning_act", "Only the trial act exists, and others rely on its data."),
        "minesafe": ("security_test", "Neither act nor test, although it guards lives."),
        "wastetruck": ("commissioning_act", "Said to be commissioned; no act."),
    }
    for key, (document, why) in missing.items():
        s.drop(key, "documents", type=document)
        s.label("legal_vacuum", PLANTED, key, why)
    s.drop("minesafe", "documents", type="commissioning_act")
    s.drop("hydropost", "documents", type="security_test")
    s.set("wastetruck", status="commissioned")
    s.stage("customsq", "creation", "2024-06-03")
    s.label(
        "legal_vacuum", PLANTED, "customsq", "Still in creation by its record, and it makes a thousand calls a week."
    )
    s.drop("firesafety", "documents", type="commissioning_act")
    s.document("firesafety", "commissioning_act")
    s.label("legal_vacuum", NEAR, "firesafety", "The act has a number; only its date was not entered.")
    s.stage("lakes", "ceased", "2020-06-30")
    s.drop("lakes", "documents", type="commissioning_act")
    s.set("lakes", stack="Windows 2000;MS Access 97", hosting="own")
    s.label("legal_vacuum", NEAR, "lakes", "Never commissioned, but ceased in 2020: it is not operated.")
    s.label("obsolete_stack", NEAR, "lakes", "Obsolete, but ceased: nothing runs.")
    stale = {
        "reserve": "2022-05-30",
        "maral": "2020-01-15",
        "melon": "2023-11-02",
        "hybrid": "2024-03-04",
        "stamp": "2021-08-19",
        "steppewell": "",
    }
    for key, day in stale.items():
        s.set(key, actualised=day)
        s.label("stale_record", PLANTED, key, f"Last confirmed {day or 'never'}.")
    for key, day in (("greens", "2026-01-08"), ("streetlight", "2025-12-20"), ("herbarium", "2026-01-15")):
        s.set(key, actualised=day)
        s.label("stale_record", NEAR, key, "Confirmed within the last twelve months.")
