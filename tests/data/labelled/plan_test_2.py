"""The cases of the test split, second part. Not to be read by whoever writes or tunes a detector."""

from __future__ import annotations

import hashlib

import labelled_cases as c
from labelled_split import Split

PLANTED, NEAR, INNOCENT = "planted", "near_miss", "innocent"
M = 1_000_000


def links(s: Split) -> None:
    """Integrations that pass the gateway by, or exist on paper; registers copied."""
    for consumer, provider, channel, why in (
        ("oskair", "airq", "direct", "An akimat reads the ministry's base directly."),
        ("tenderai", "smeaid", "direct", "An agency is joined to a company's base by a direct link."),
        ("journalists", "ads", "file", "A list is carried over as a file each week."),
        ("gasbalance", "ecoperm", "direct", "A holding reads permits directly, past the gateway."),
    ):
        s.integration(consumer, provider, "", channel, "active", 650, "", "2021-11-11")
        s.label("integration_gap", PLANTED, consumer, why, other=s.id(provider))
    for consumer, provider, monthly in (("bankrupt", "wills", 2500), ("minerescue", "groundwater", 30_000)):
        target = f"{s.subsystem(provider)}/search"
        s.integration(consumer, provider, target, "gateway", "active", monthly, "", "2023-09-01")
        s.label(
            "integration_gap",
            PLANTED,
            consumer,
            f"{monthly} calls a month are declared; there were none.",
            other=s.id(provider),
        )
    s.edge("elderhome", "rehabplan", "courses", "rare", 3, declared=25_000)
    s.label(
        "integration_gap",
        PLANTED,
        "elderhome",
        "25,000 a month declared, three in four months.",
        other=s.id("rehabplan"),
    )
    s.integration("lawdraft", "lawbase", f"{s.subsystem('lawbase')}/acts", "gateway", "planned", 4000, "", "")
    s.label("integration_gap", NEAR, "lawdraft", "Only planned.")
    s.integration("crew", "aeronav", f"{s.subsystem('aeronav')}/hours", "gateway", "active", 9000, "", "2026-11-16")
    s.label("integration_gap", NEAR, "crew", "Switched on a week ago.")
    s.integration("stadium", "deckphoto", "", "direct", "stopped", 0, "", "2015-02-02")
    s.label("integration_gap", NEAR, "stadium", "A direct link of old days, stopped.")
    s.integration("terminals", "standards", "", "external", "active", 1200, "", "2024-05-05")
    s.label("integration_gap", NEAR, "terminals", "A private firm through the external gateway.")
    s.integration("carbon", "redbook", "", "national", "active", 15, "", "2024-05-05")
    s.label("integration_gap", NEAR, "carbon", "Through the national gateway: outside what the backbone sees.")
    s.edge("oilspill", "shipreg", "owners", "office", 3, declared=1800)
    s.set("oilspill", use_channel="mixed")
    s.label("integration_gap", NEAR, "oilspill", "A third of what was declared, and steady.")
    s.integration("ppp", "tariffs", "", "gateway", "active", 80, "", "2024-02-02")
    s.label("integration_gap", NEAR, "ppp", "The gateway, but no service is named: it cannot be told.")
    for key in ("minerescue", "elderhome", "rehabplan"):
        s.set(key, use_channel="mixed")
    c.copies(s, "mothers", "kpers", "resident.surname,resident.given,resident.born,resident.home", held=True)
    s.label(
        "register_copy", PLANTED, ["mothers", "kpers"], "Names, births and homes of its own; no link to the directory."
    )
    c.copies(s, "tbc", "kpers", "resident.surname,resident.born", held=True)
    s.integration("tbc", "kpers", "", "direct", "active", 500, "resident.surname;resident.born", "2018-03-03")
    s.label("register_copy", PLANTED, ["tbc", "kpers"], "Loads people over a direct link into its own base.")
    s.label("integration_gap", PLANTED, "tbc", "Joined directly to the directory's base.", other=s.id("kpers"))
    c.copies(s, "expo", "kbiz", "enterprise.title,enterprise.kind,enterprise.founder", held=True)
    s.integration(
        "expo", "kbiz", f"{s.subsystem('kbiz')}/lookup", "gateway", "stopped", 0, "enterprise.title", "2021-01-01"
    )
    s.label("register_copy", PLANTED, ["expo", "kbiz"], "The link was stopped, and the copy lives on.")
    c.copies(s, "lift", "kparcel", "building.code,building.floors,building.year", held=True)
    s.label("register_copy", PLANTED, ["lift", "kparcel"], "Its own table of buildings, typed in by hand.")
    c.copies(s, "organ", "kmed", "clinic.code,clinic.title,clinic.profile", held=True)
    s.integration("organ", "kmed", "", "file", "active", 2, "clinic.code;clinic.title", "2020-06-06")
    s.label("register_copy", PLANTED, ["organ", "kmed"], "Files of the list of hospitals are loaded twice a month.")
    s.label("integration_gap", PLANTED, "organ", "The register's data are carried by file.", other=s.id("kmed"))
    c.copies(s, "alumni", "kuni", "campus.code,campus.title", held=True)
    s.label("register_copy", PLANTED, ["alumni", "kuni"], "Holds a directory of universities beside the register.")
    c.copies(s, "smelter", "kland", "deposit.code,deposit.mineral,deposit.holder", held=True)
    s.label("register_copy", PLANTED, ["smelter", "kland"], "Deposits and their holders, copied; no integration.")
    c.takes(s, "citycards", "kpers", "resident.born", "day", 6)
    s.set("citycards", exemption="Комиссия-2025/40")
    s.label("register_copy", NEAR, ["citycards", "kpers"], "Copied under an exemption, refreshed through the gateway.")
    s.set("prisoners", data_elements="resident.iin;parcel.weight;visit.day")
    s.label("register_copy", NEAR, ["prisoners", "kpers"], "Holds only the personal number, as a key.")
    s.set(
        "famviol",
        data_elements="resident.iin;resident.surname;resident.given;resident.born;resident.home;stay.from",
    )
    s.label(
        "register_copy",
        PLANTED,
        ["famviol", "kpers"],
        "Says nothing of the directory, and holds all its elements; nothing brings them.",
    )
    s.set("socpay", data_elements="resident.surname;resident.home;payment.sum")
    s.set("recall", data_elements="goods.title;goods.maker;hazard.kind")
    s.label("register_copy", NEAR, ["recall", "kbiz"], "Makers of goods are its own data and no register's.")


def _code(s: Split, component: str, owners: dict[str, str]) -> None:
    """One fingerprint in several systems; `owners` gives the supplier (or none) of each."""
    fingerprint = hashlib.sha256(f"{s.name}/{component}".encode()).hexdigest()
    for key, supplier in owners.items():
        number = s.bin(supplier) if supplier else ""
        s.add("components", object=s.id(key), component=component, fingerprint=fingerprint, supplier_bin=number)


def suppliers(s: Split) -> None:
    """Concentration by one supplier or one group; the same code sold twice."""
    for supplier in ("m1", "m2", "m3"):
        s.add("affiliations", supplier_bin=s.bin(supplier), group="Көкжиек")
    for supplier in ("m6", "m7"):
        s.add("affiliations", supplier_bin=s.bin(supplier), group="Шапағат")
    for supplier in ("s05", "s11"):
        s.add("affiliations", supplier_bin=s.bin(supplier), group="Меридиан")
    for key in ("carbon", "ecoperm", "glacier", "socpay", "elderhome", "famviol", "mothers", "airq"):
        s.drop(key, "roles")
        s.team(key)
    c.deals(
        s,
        "mpens",
        [
            ("m1", 140 * M),
            ("m2", 155 * M),
            ("m3", 180 * M),
            ("m1", 60 * M),
            ("m3", 210 * M),
            ("m2", 90 * M),
            ("s04", 18 * M),
            ("m3", 77 * M),
        ],
    )
    c.deals(
        s,
        "menv",
        [
            ("m5", 400 * M),
            ("m5", 95 * M),
            ("s12", 25 * M),
            ("m5", 130 * M),
            ("m5", 310 * M),
            ("m5", 66 * M),
            ("s14", 9 * M),
        ],
    )
    for supplier in ("m1", "m2", "m3"):
        s.label(
            "supplier_concentration",
            PLANTED,
            f"bin:{supplier}",
            "Three firms of one group share a ministry's contracts among them.",
        )
    s.label("supplier_concentration", PLANTED, "bin:m5", "Nearly all contracts and money of a ministry.")
    sold = {
        "wizard-of-forms": {"callcentre": "m4", "slots": "m4"},
        "ledger-screen": {"payhub": "m6", "curricula": "m7"},
    }
    for component, owners in sold.items():
        _code(s, component, owners)
        for number, (key, supplier) in enumerate(owners.items()):
            s.drop(key, "roles", "contracts")
            s.team(key)
            s.contract(
                key,
                supplier,
                f"202{4 + number}-03-15",
                "2028-12-31",
                (36 + number) * M,
                subject="Создание экранных форм",
            )
    s.label("supplier_concentration", PLANTED, "bin:m4", "The same source was delivered and paid twice, by two bodies.")
    s.label("supplier_concentration", PLANTED, "bin:m6", "Its group sold one source to two bodies.")
    s.label("supplier_concentration", PLANTED, "bin:m7", "Its group sold one source to two bodies.")
    _code(s, "openlayers 10 (BSD)", {"redbook": "", "planCity": "", "gardens": ""})
    _code(s, "scan-module", {"passports": "s08", "changeaddr": "s08"})
    s.label("supplier_concentration", NEAR, "bin:s08", "Bought once; its owner uses it in a second system of its own.")
    for key in ("oath", "tourbus", "rocklab", "standards", "ads"):
        s.drop(key, "roles", "contracts")
        s.team(key)
        s.contract(key, "m8", "2026-03-02", "2028-12-31", 650_000)
    s.label("supplier_concentration", NEAR, "bin:m8", "Known to many bodies, worth hardly anything to any.")
    for supplier in ("s05", "s11"):
        s.label(
            "supplier_concentration",
            NEAR,
            f"bin:{supplier}",
            "A group by the register of affiliates, with a small share everywhere.",
        )


def upkeep(s: Split) -> None:
    """Expiry without a team, obsolete stacks, slips, orphans, no results."""
    for key, supplier, signed, ends, warranty, why in (
        (
            "appleorch",
            "s01",
            "2024-11-15",
            "2025-12-01",
            "2026-12-01",
            "The warranty ends in eight days and nobody is in charge.",
        ),
        ("floodwood", "s02", "2025-12-15", "2026-12-15", "", "Support ends in three weeks, no roles."),
        ("bozwind", "s03", "2025-09-01", "2026-09-15", "", "Support lapsed in September, no roles."),
        ("silk", "s06", "2025-11-30", "2026-11-30", "2026-11-30", "Contract and warranty end on one day next week."),
    ):
        s.drop(key, "roles", "contracts")
        s.contract(key, supplier, signed, ends, 14_000_000, warranty)
        s.label("expiry_without_team", PLANTED, key, why)
    s.drop("newsroom", "roles", "contracts")
    s.document("newsroom", "licence", "2025-12-18", "2026-12-18")
    s.label("expiry_without_team", PLANTED, "newsroom", "Its licence ends in December; no one holds a role.")
    c.people(
        s,
        "whistle",
        [("lead_developer", "2021-01-01", "2026-02-27", ""), ("product_owner", "2021-01-01", "2026-03-31", "")],
    )
    s.contract("whistle", "s07", "2025-12-05", "2026-12-05", 16_000_000)
    s.label("expiry_without_team", PLANTED, "whistle", "Both people are gone, the contract ends in days.")
    s.label("orphan", PLANTED, "whistle", "Developer and owner left; no successors.")
    s.drop("minesim", "roles", "contracts")
    s.contract("minesim", "s09", "2024-01-01", "2026-10-31", 9_000_000)
    s.contract("minesim", "s04", "2026-11-01", "2029-10-31", 22_000_000)
    s.label("expiry_without_team", NEAR, "minesim", "Renewed to 2029 the day after the old contract ended.")
    s.drop("redbook", "roles", "contracts")
    s.document("redbook", "licence", "2024-06-06", "2031-06-06")
    s.label("expiry_without_team", NEAR, "redbook", "No roles, and a licence until 2031.")
    s.drop("corrupt", "roles", "contracts")
    s.team("corrupt")
    s.contract("corrupt", "s10", "2025-11-28", "2026-11-28", 19_000_000, "2026-11-28")
    s.label("expiry_without_team", NEAR, "corrupt", "All ends next week; its people are there.")
    s.contract("saltlake", "s13", "2016-01-01", "2018-12-31", 4_000_000)
    s.label("expiry_without_team", NEAR, "saltlake", "Written off: nothing to keep up.")
    for key, stack, monolith in (
        ("tariffs", "Oracle 9i;Java 1.4", "yes"),
        ("famviol", "PHP 4.4;MySQL 4", "no"),
        ("desal", "Windows Server 2003 R2;InTouch 9", "yes"),
        ("builders", "MS SQL 2000;ASP classic", "yes"),
        ("ads", "Ubuntu 12.04;Django 1.4;python2.6", "no"),
        ("seafarer", "IE11 ActiveX;Windows 7", "no"),
        ("appleorch", "CentOS 5;PostgreSQL 8.3", ""),
    ):
        s.set(key, stack=stack, monolith=monolith)
        s.label("obsolete_stack", PLANTED, key, "Its products have had no support for many years.")
    for key, stack, monolith, why in (
        ("socpay", "Oracle Database 19c;Java 21", "yes", "One large program, all of it on supported products."),
        ("airq", "SQL Server 2019;Windows Server 2019", "no", "Not new, but under support."),
        ("curricula", "1С Предприятие 8.3.27;PostgreSQL 17", "", "The current line, in spite of the 8."),
        ("exec", "RHEL 8;postgresql-16", "no", "Under support for years to come."),
    ):
        s.set(key, stack=stack, monolith=monolith)
        s.label("obsolete_stack", NEAR, key, why)
    slips = {
        "sharebuild": [
            ("2022-12-31", 400 * M, "2021-03-01"),
            ("2024-12-31", 400 * M, "2022-12-20"),
            ("2026-12-31", 400 * M, "2024-12-18"),
        ],
        "frontoffice": [
            ("2024-05-01", 210 * M, "2023-05-01"),
            ("2026-05-01", 640 * M, "2024-06-01"),
            ("2027-05-01", 900 * M, "2026-05-05"),
        ],
        "carbon": [
            ("2025-02-01", 120 * M, "2024-01-01"),
            ("2025-08-01", 150 * M, "2025-01-20"),
            ("2026-02-01", 190 * M, "2025-07-22"),
            ("2026-11-01", 260 * M, "2026-01-25"),
            ("2027-08-01", 330 * M, "2026-10-20"),
        ],
        "geoauction": [("2024-10-01", 95 * M, "2023-10-01")],
        "gasbalance": [("2024-01-31", 700 * M, "2022-06-01"), ("2025-10-31", 1900 * M, "2024-02-15")],
        "sanatbus": [("2025-05-15", 60 * M, "2024-05-15"), ("2027-03-15", 60 * M, "2025-05-10")],
    }
    for key, versions in slips.items():
        c.milestones(s, key, "Екінші кезең", versions, "2025-12-30" if key == "gasbalance" else "")
        s.label(
            "slippage",
            PLANTED,
            key,
            "The first promise is exceeded by more than ten months, whatever the last version says.",
        )
    for key, versions, done, why in (
        (
            "ppp",
            [("2026-10-15", 50 * M, "2025-10-01"), ("2026-10-30", 50 * M, "2026-10-01")],
            "2026-10-28",
            "Two weeks later, done.",
        ),
        ("crew", [("2027-09-01", 35 * M, "2026-01-01"), ("2027-04-01", 35 * M, "2026-08-01")], "", "Brought forward."),
        ("lawdraft", [("2025-11-01", 70 * M, "2024-11-01")], "2025-11-06", "Five days late and done."),
        (
            "trees",
            [("2027-02-01", 28 * M, "2026-02-01"), ("2027-02-01", 21 * M, "2026-09-01")],
            "",
            "Only made cheaper.",
        ),
    ):
        c.milestones(s, key, "Module", versions, done)
        s.label("slippage", NEAR, key, why)
    for key, role, left in (
        ("standards", "lead_developer", "2026-01-31"),
        ("citizenship", "administrator", "2025-10-10"),
        ("bread", "architect", "2026-06-06"),
        ("shipreg", "administrator", "2026-08-20"),
        ("expertise", "lead_developer", "2024-12-12"),
        ("core", "product_owner", "2026-05-25"),
    ):
        c.people(s, key, [(role, "2019-05-05", left, ""), ("security_officer", "2023-01-01", "", "")])
        s.label("orphan", PLANTED, key, "Who held the role has left; no successor, no other holder.")
    heir = "p-0b51d7"
    c.people(
        s, "tenderai", [("lead_developer", "2021-01-01", "2026-09-30", heir), ("product_owner", "2021-01-01", "", "")]
    )
    s.role("tenderai", "lead_developer", "2026-09-15", holder=heir)
    s.label("orphan", NEAR, "tenderai", "The developer handed over to a named successor.")
    c.people(
        s,
        "alimony",
        [
            ("administrator", "2018-01-01", "2025-03-03", ""),
            ("administrator", "2024-12-01", "", ""),
            ("product_owner", "2020-02-02", "", ""),
        ],
    )
    s.label("orphan", NEAR, "alimony", "A second administrator had come before the first left.")
    c.people(s, "organ", [("architect", "2020-01-01", "2027-06-30", ""), ("product_owner", "2020-01-01", "", "")])
    s.label("orphan", NEAR, "organ", "The architect leaves next summer.")
    c.people(s, "saltlake", [("administrator", "2012-01-01", "2019-04-04", "")])
    s.contract("saltlake", "s13", "2016-01-01", "2018-12-31", 4_000_000)
    s.label("orphan", NEAR, "saltlake", "Written off; it needs no administrator.")
    for key, status, year, first, second in (
        ("ventures", "creation", 2020, 220, 190),
        ("deckphoto", "creation", 2021, 130, 75),
        ("smallrivers", "planning", 2022, 90, 110),
        ("patients", "security_tests", 2021, 350, 20),
        ("probation", "creation", 2019, 800, 400),
    ):
        s.young(key, status, f"{year}-05-17", f"{year - 1}-04-04", result="", initial_estimate=900 * M)
        s.cost(key, "creation", year, first * M)
        s.cost(key, "creation", year + 1, second * M)
        s.label("zero_result", PLANTED, key, "Large sums paid years ago and nothing to show.")
    s.young("museumai", "creation", "2026-02-15", "2025-11-03", result="", initial_estimate=110 * M)
    s.cost("museumai", "creation", 2026, 52 * M)
    s.label("zero_result", NEAR, "museumai", "Begun this year: nothing can be expected yet.")
    s.young("interp", "planning", "2025-12-01", "2025-12-01", result="")
    s.cost("interp", "creation", 2026, 160 * M, "planned")
    s.label("zero_result", NEAR, "interp", "Nothing has been paid.")
    s.set("nameday", result="")
    s.drop("nameday", "costs", kind="creation")
    s.label("zero_result", NEAR, "nameday", "Made by its owner's staff without investment.")
    s.set("auditplan", result="")
    s.drop("auditplan", "costs", kind="creation")
    s.cost("auditplan", "creation", 2020, 900_000)
    s.label("zero_result", NEAR, "auditplan", "Under a million was spent: no investment to speak of.")


def platform(s: Split) -> None:
    """The moratorium, migration plans, compute, artificial intelligence, self-made traffic, things resurrected."""
    for key, status, since, created, hosting, acquisition in (
        ("fieldhosp", "creation", "2026-01-26", "2026-01-12", "own", "create"),
        ("mobileoffice", "planning", "2026-08-24", "2026-08-24", "commercial", "purchase"),
        ("greenhouse", "creation", "2026-06-15", "2026-05-30", "own", "develop"),
        ("leaks", "trial", "2026-07-07", "2026-01-05", "commercial", "purchase"),
        ("archivevideo", "creation", "2026-03-23", "2026-02-20", "own", "create"),
        ("aklake", "creation", "2026-04-29", "2026-04-29", "own", "create"),
    ):
        s.young(key, status, since, created, hosting=hosting, acquisition=acquisition)
        s.label(
            "after_moratorium", PLANTED, key, "A state owner began it in 2026 outside the platform, with no exemption."
        )
    for key, created, fields, why in (
        ("budgetshow", "2026-05-05", {"hosting": "qaztech"}, "Made on the platform."),
        ("akfarmroad", "2025-12-11", {"hosting": "own"}, "Begun in December 2025."),
        (
            "rentsocial",
            "2026-02-27",
            {"hosting": "commercial", "exemption": "Комиссия-2026/12"},
            "Exempt by the Commission.",
        ),
        ("terminals", "2026-06-01", {"hosting": "own"}, "A private firm may build what it likes."),
        ("tideinfo", "2026-03-13", {"hosting": "own"}, "Its exemption lies among the documents."),
        ("heatmap", "2025-06-30", None, "Begun before the decree, in trial now."),
    ):
        if fields is not None:
            s.young(key, "creation", created, created, **fields)
        s.label("after_moratorium", NEAR, key, why)
    s.document("tideinfo", "exemption", "2026-03-02")
    for key, days, team, target in (
        ("passports", 3100, 5, "2026-09-30"),
        ("lawbase", 650, 1, "2026-12-31"),
        ("callcentre", 1200, 2, "2026-09-30"),
        ("hospbeds", 4800, 7, "2026-12-01"),
        ("grants", 9000, 8, "2027-06-30"),
        ("ecoperm", 540, 1, "2026-12-20"),
        ("gasmeter", 2000, 3, "2026-09-30"),
    ):
        c.migration(s, key, days, team, target)
        s.label("migration_infeasible", PLANTED, key, f"{team} people cannot do {days} person-days until {target}.")
    for key, days, team, target, fields, why in (
        ("startup", 0, 4, "2026-09-30", {"hosting": "qaztech"}, "Moved already."),
        (
            "slots",
            120,
            10,
            "2027-12-31",
            {"exemption": "Комиссия-2026/19"},
            "Exempt until the end of 2027, with ample people.",
        ),
        ("journalists", 0, 1, "2026-07-31", {"hosting": "qaztech"}, "Moved in July."),
        (
            "hsm",
            40,
            4,
            "2027-08-31",
            {"exemption": "Комиссия-2026/2", "disposition": "keep"},
            "Kept by exemption; little to do.",
        ),
    ):
        c.migration(s, key, days, team, target, **fields)
        s.label("migration_infeasible", NEAR, key, why)
    for key, risk, reviewed, marked, kind, why in (
        ("fakenews", "", "2026-06-06", "yes", PLANTED, "A card without risk."),
        ("routeai", "", "", "yes", PLANTED, "The card is empty but for the marking."),
        ("tenderai", "high", "2025-03-30", "yes", PLANTED, "Not reviewed for twenty months."),
        ("speechlab", "medium", "2026-09-15", "no", PLANTED, "Artificial speech goes out unmarked."),
        ("childai", "high", "2024-01-19", "no", PLANTED, "Reviewed nearly three years ago, and unmarked."),
        ("assistai", "minimal", "2025-12-22", "yes", NEAR, "Eleven months since the review."),
        ("essayai", "high", "2026-03-17", "yes", NEAR, "High risk, and in order."),
        ("subtitles", "minimal", "2026-11-02", "yes", NEAR, "In order."),
        ("cropphoto", "minimal", "2026-07-19", "yes", NEAR, "In order."),
        ("surgai", "high", "2026-05-23", "yes", NEAR, "In order."),
        ("forecastEc", "medium", "2026-08-31", "yes", NEAR, "In order."),
        ("museumai", "medium", "2026-10-14", "yes", NEAR, "In order, while it is being created."),
    ):
        c.card(s, key, risk, reviewed, marked)
        s.label("ai_unclassified", kind, key, why)
    for key in ("faces", "leaks"):
        s.set(key, ai="yes")
        s.label("ai_unclassified", PLANTED, key, "AI by its own record, without a card.")
    for key, allocated, used, kind, why in (
        ("essayai", 4200, [0.01, 0, 0, 0.01, 0], PLANTED, "Five months, a hundredth used."),
        ("minesim", 1700, [0] * 9, PLANTED, "Nine months without one hour."),
        ("orbitlab", 600, [0.02] * 6, PLANTED, "A fiftieth of what was given."),
        ("routeai", 5200, [0.04, 0.02, 0.01, 0, 0, 0], PLANTED, "Use has faded to nothing."),
        ("childai", 2500, [0] * 6, PLANTED, "Given for half a year, never used."),
        ("redbook", 1000, [0, 0, 0.01, 0, 0, 0, 0], PLANTED, "Practically never used."),
        ("supercomp", 90_000, [0.91, 0.88, 0.93, 0.9, 0.95, 0.92], INNOCENT, "Full."),
        ("speechlab", 8000, [0.7, 0.75, 0.8, 0.66, 0.72, 0.79], INNOCENT, "Well used."),
        ("subtitles", 3000, [0.45, 0.52, 0.5, 0.49, 0.55, 0.47], NEAR, "Half of it, in all months."),
        ("surgai", 2200, [0.97, 0.05, 0.96, 0.04, 0.9, 0.92], NEAR, "Used in bursts of training."),
        ("fakenews", 1400, [0.0], NEAR, "Given last month."),
        ("cropphoto", 0, [0, 0, 0, 0, 0], NEAR, "Nothing was given."),
    ):
        c.compute(s, key, allocated, used)  # type: ignore[arg-type]
        s.label("idle_compute", kind, key, why)
    for key, manner, level, caller, why in (
        ("unitsref", "constant", 20, "", "Twenty calls in each hour of four months, all of its own probe."),
        ("nameday", "every6", 15, "", "Fifteen calls, four times a day, of its own subsystem."),
        ("kpi", "constant", 5, "", "Five calls each hour, at night as by day, from a probe of the owner."),
        ("starlinks", "halfday", 60, "spectrum", "Sixty calls at two fixed hours from the owner's other system."),
        ("shuschool", "every6", 9, "", "Nine calls every six hours, of its own probe."),
    ):
        c.busy_self(s, key, manner, level, caller=caller)
        s.label("self_made_traffic", PLANTED, key, why)
    c.busy_self(s, "canteens", "every6", 33, caller="watersan", signs=52)
    s.label(
        "self_made_traffic",
        PLANTED,
        "canteens",
        "Thirty-three calls each six hours from one system of the same committee.",
    )
    s.set("spectrum", use_channel="mixed")
    s.set("watersan", use_channel="mixed")
    s.edge("sumnight", "payhub", "day-sums", "night", 700)
    s.edge("sumnight", "slots", "day-sums", "night", 40)
    s.set("sumnight", use_channel="mixed")
    s.edge("pinger", "frontoffice", "alive", "constant", 2)
    s.edge("pinger", "callcentre", "alive", "constant", 1)
    s.edge("changeaddr", "callcentre", "questions", "office", 12)
    s.edge("accredit", "kuni", "lookup", "office", 4, "campus.licence")
    s.set("accredit", use_channel="mixed")
    s.set("pinger", use_channel="mixed")
    s.sign_ins("pinger", [35] * 12)
    for key, why in (
        ("slots", "A nightly batch of another owner beside the day's work."),
        ("callcentre", "A heartbeat of its owner, and a caller of another owner in office hours."),
        ("frontoffice", "A heartbeat beside calls that follow the day."),
        ("shipreg", "Two callers, one of its own ministry, uneven and in office hours."),
        ("oskair", "Twice a day at fixed hours, but for a ministry that is not its owner."),
        ("trademark", "One caller of its own owner, with the rhythm of people through day and night."),
        ("dams", "One caller of its own owner, uneven, growing, in office hours."),
        ("kland", "One caller of its own owner, at work hours and unevenly."),
        ("kuni", "Mostly its own ministry calls, people at work, unevenly."),
    ):
        s.label("self_made_traffic", NEAR, key, why)
    for key, status, since, year, result in (
        ("z01a", "written_off", "2023-02-20", 2019, "yes"),
        ("z02a", "archived", "2022-06-30", 2018, "yes"),
        ("z03a", "ceased", "2021-10-10", 2018, "yes"),
        ("z04a", "written_off", "2022-11-11", 2020, ""),
        ("z05a", "ceased", "2022-03-15", 2017, "yes"),
        ("z06a", "written_off", "2020-07-20", 2017, ""),
        ("y01a", "written_off", "2020-01-01", 2012, "yes"),
        ("y02a", "ceased", "2025-06-30", 2011, "yes"),
        ("y03a", "written_off", "2023-05-05", 2019, "yes"),
        ("y04a", "written_off", "2024-09-09", 2021, "yes"),
    ):
        s.stage(key, status, since)
        closed = status == "written_off"
        s.set(key, created=f"{year}-03-03", use_channel="people", actualised=since if closed else "2026-05-19")
        s.drop(key, "costs")
        s.cost(key, "creation", year, 265 * M)
        if closed:
            s.label("stale_record", NEAR, key, "Written off: its record is closed.")
        if not result:
            s.set(key, result="")
            s.label("zero_result", PLANTED, key, "265 million paid, written off with no result.")
    for key, status, since, created in (
        ("z01b", "creation", "2025-04-14", "2025-01-15"),
        ("z02b", "planning", "2025-10-27", "2025-10-27"),
        ("z03b", "trial", "2026-02-24", "2024-05-05"),
        ("z04b", "creation", "2025-09-22", "2025-07-01"),
        ("z05b", "creation", "2024-11-11", "2024-06-30"),
        ("z06b", "planning", "2025-12-08", "2025-12-08"),
        ("y01b", "creation", "2025-05-26", "2025-02-17"),
    ):
        s.young(key, status, since, created)
        if status != "planning":
            s.cost(key, "creation", 2025, 98 * M)
    s.stage("y02b", "operation", "2024-03-11")
    s.set("y02b", created="2022-02-02")
    s.set("y04b", created="2013-08-08")
    s.set("w03a", disposition="retire", disposition_due="2027-03-31")
    for key in ("z01", "z02", "z03", "z04", "z05", "z06", "y02"):
        s.label("duplicate", NEAR, [f"{key}a", f"{key}b"], "Alike, but the first is no longer in life.")
