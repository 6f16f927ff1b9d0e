"""The cases of the development split, second part: links, suppliers, people, money, artificial intelligence."""

from __future__ import annotations

import hashlib

import labelled_cases as c
from labelled_split import Split

PLANTED, NEAR = "planted", "near_miss"


def links(s: Split) -> None:
    """Integrations that pass the gateway by, or exist on paper; registers copied."""
    for one, two, why in (
        ("smog", "roadweather", "A direct link between two state systems."),
        ("balancing", "dispatchpwr", "A direct link from a company to the ministry's system."),
        ("citizenwatch", "construct", "A direct link, although of one owner, of two different systems."),
    ):
        s.integration(one, two, "", "direct", "active", 900, "", "2022-04-01")
        s.label("integration_gap", PLANTED, one, why, other=s.id(two))
    s.integration("stateprop", "debt", "", "file", "active", 4, "", "2021-02-01")
    s.label(
        "integration_gap",
        PLANTED,
        "stateprop",
        "Files are carried over by hand instead of the gateway.",
        other=s.id("debt"),
    )
    for one, two, monthly in (
        ("exportp", "techreg", 12_000),
        ("grainstock", "elevator", 5000),
        ("schoolbuild", "diplomas", 800),
    ):
        consumer = "tradebal" if one == "exportp" else one
        target = f"{s.subsystem(two)}/records"
        s.integration(consumer, two, target, "gateway", "active", monthly, "", "2024-03-01")
        s.label(
            "integration_gap",
            PLANTED,
            consumer,
            f"{monthly} calls a month declared, none in 120 days.",
            other=s.id(two),
        )
    s.edge("shelter", "quake", "alarms", "rare", 2, declared=40_000)
    s.label(
        "integration_gap",
        PLANTED,
        "shelter",
        "40,000 calls a month declared, about two in 120 days.",
        other=s.id("quake"),
    )
    target = f"{s.subsystem('forestfire')}/smoke"
    s.integration("firesafety", "forestfire", target, "gateway", "planned", 3000, "", "")
    s.label("integration_gap", NEAR, "firesafety", "Planned only: no traffic is due.")
    s.integration(
        "mudflow", "hydropost", f"{s.subsystem('hydropost')}/alerts", "gateway", "active", 20_000, "", "2026-11-12"
    )
    s.label("integration_gap", NEAR, "mudflow", "Active since eleven days ago.")
    s.integration("carrierlic", "excise", "", "direct", "stopped", 0, "", "2017-05-05")
    s.label("integration_gap", NEAR, "carrierlic", "The direct link was stopped.")
    s.integration("coverage", "construct", "", "external", "active", 300, "", "2024-08-01")
    s.label("integration_gap", NEAR, "coverage", "A firm comes through the external gateway, as the law says.")
    s.integration("migreg", "flightperm", "", "national", "active", 90, "", "2023-08-01")
    s.label("integration_gap", NEAR, "migreg", "Goes through the national gateway, which the backbone does not see.")
    s.edge("epizoo", "vetcert", "herds", "office", 9, declared=5000)
    s.set("epizoo", use_channel="mixed")
    s.set("vetcert", use_channel="mixed")
    s.label("integration_gap", NEAR, "epizoo", "Less than was declared, but used every working day.")
    s.integration("budgetplan", "invest", "", "gateway", "active", 60, "", "2024-01-01")
    s.label("integration_gap", NEAR, "budgetplan", "No service is named: whether it is used cannot be seen.")
    # Copies of registers.
    c.copies(s, "guard", "rperson", "person.full_name,person.birth_date,person.address", held=True)
    s.label(
        "register_copy", PLANTED, ["guard", "rperson"], "Holds names, births and addresses; no integration brings them."
    )
    c.copies(s, "veteran", "rperson", "person.full_name,person.birth_date", held=True)
    s.integration("veteran", "rperson", "", "file", "active", 1, "person.full_name;person.birth_date", "2019-01-10")
    s.label("register_copy", PLANTED, ["veteran", "rperson"], "A monthly file of the register is kept as its own base.")
    s.label(
        "integration_gap",
        PLANTED,
        "veteran",
        "The register's data come by file and not by the gateway.",
        other=s.id("rperson"),
    )
    c.copies(s, "metalmarket", "rfirm", "firm.name,firm.head,firm.address", held=True)
    s.integration(
        "metalmarket", "rfirm", f"{s.subsystem('rfirm')}/lookup", "gateway", "stopped", 0, "firm.name", "2020-01-10"
    )
    s.label(
        "register_copy",
        PLANTED,
        ["metalmarket", "rfirm"],
        "Took the register once, stopped the link and kept the data.",
    )
    c.copies(s, "streetlight", "raddr", "address.code,address.street,address.house", held=True)
    s.label(
        "register_copy",
        PLANTED,
        ["streetlight", "raddr"],
        "A list of streets and houses of its own instead of the register's.",
    )
    c.copies(s, "medwaste", "rdrug", "drug.code,drug.name", held=True)
    s.integration("medwaste", "rdrug", "", "direct", "active", 200, "drug.code;drug.name", "2021-09-01")
    s.label("register_copy", PLANTED, ["medwaste", "rdrug"], "Copies the list of medicines over a direct link.")
    s.label("integration_gap", PLANTED, "medwaste", "A direct link to the register's base.", other=s.id("rdrug"))
    c.copies(s, "olymp", "rschool", "school.code,school.name,school.seats", held=True)
    s.label("register_copy", PLANTED, ["olymp", "rschool"], "Keeps its own directory of schools; no integration.")
    c.takes(s, "parking", "rperson", "person.full_name", "day", 5)
    s.set("parking", exemption="Комиссия-2025/17")
    s.label(
        "register_copy",
        NEAR,
        ["parking", "rperson"],
        "A copy held under an exemption and refreshed through the gateway.",
    )
    s.set(
        "traincentre",
        data_elements="person.iin;person.full_name;person.birth_date;person.sex;person.address;course.code",
    )
    s.label(
        "register_copy",
        PLANTED,
        ["traincentre", "rperson"],
        "Declares no register, and holds every element of the register of persons; no integration.",
    )
    s.set("famaid", data_elements="person.full_name;person.address;aid.sum")
    s.set("vacchild", data_elements="person.iin;vaccine.name;refusal.reason")
    s.label("register_copy", NEAR, ["vacchild", "rperson"], "Holds only the number of a person as a key.")
    s.set("consumer", data_elements="claim.text;seller.phone;claimant.phone")
    s.label("register_copy", NEAR, ["consumer", "rfirm"], "Its own elements; nothing of the register.")


def _code(s: Split, component: str, supplier: str, keys: list[str]) -> None:
    fingerprint = hashlib.sha256(f"{s.name}/{component}".encode()).hexdigest()
    for key in keys:
        s.add(
            "components",
            object=s.id(key),
            component=component,
            fingerprint=fingerprint,
            supplier_bin=s.bin(supplier) if supplier else "",
        )


def suppliers(s: Split) -> None:
    """Concentration by one supplier or one group; the same code sold twice."""
    s.add("affiliations", supplier_bin=s.bin("m1"), group="Тұлпар")
    s.add("affiliations", supplier_bin=s.bin("m2"), group="Тұлпар")
    s.add("affiliations", supplier_bin=s.bin("m6"), group="Шебер-Эталон")
    s.add("affiliations", supplier_bin=s.bin("m7"), group="Шебер-Эталон")
    s.add("affiliations", supplier_bin=s.bin("s03"), group="Рубеж")
    s.add("affiliations", supplier_bin=s.bin("s15"), group="Рубеж")
    for key in ("dispatchpwr", "coal", "enpass", "nuclear", "bridge", "toll", "roadweather", "driverexam"):
        if not s._has(key, "roles"):
            s.team(key)
    m = 1_000_000
    c.deals(
        s,
        "mlight",
        [
            ("m3", 210 * m),
            ("m3", 180 * m),
            ("m3", 340 * m),
            ("m3", 95 * m),
            ("m3", 150 * m),
            ("s04", 12 * m),
            ("m3", 88 * m),
        ],
    )
    c.deals(
        s,
        "mroad",
        [
            ("m1", 160 * m),
            ("m2", 190 * m),
            ("m1", 75 * m),
            ("m2", 240 * m),
            ("m1", 130 * m),
            ("s09", 20 * m),
            ("m2", 66 * m),
        ],
    )
    s.label("supplier_concentration", PLANTED, "bin:m3", "Nearly all contracts and money of one ministry.")
    s.label(
        "supplier_concentration", PLANTED, "bin:m1", "With its affiliate it has nearly all contracts of a ministry."
    )
    s.label(
        "supplier_concentration", PLANTED, "bin:m2", "With its affiliate it has nearly all contracts of a ministry."
    )
    _code(s, "permit-core", "m4", ["epizoo", "construct"])
    s.contract("epizoo", "m4", "2024-02-01", "2028-12-31", 48 * m, subject="Разработка модуля заявок")
    s.contract("construct", "m4", "2025-06-01", "2028-12-31", 51 * m, subject="Разработка модуля разрешений")
    s.label("supplier_concentration", PLANTED, "bin:m4", "The same component was sold to two bodies as new work.")
    _code(s, "queue-engine", "m5", ["ambul", "riverport", "customsq"])
    for key in ("ambul", "customsq"):
        s.contract(key, "m5", "2025-01-15", "2028-12-31", 39 * m, subject="Кезек модулін әзірлеу")
    s.label("supplier_concentration", PLANTED, "bin:m5", "One queue module, the same source, paid for twice.")
    _code(s, "map-viewer", "m6", ["forestfire"])
    _code(s, "map-viewer", "m7", ["citizenwatch"])
    s.contract("forestfire", "m6", "2023-04-01", "2028-12-31", 28 * m, subject="Карта қабаты")
    s.contract("citizenwatch", "m7", "2024-09-01", "2028-12-31", 33 * m, subject="Разработка картографического модуля")
    s.label("supplier_concentration", PLANTED, "bin:m6", "The same source was sold by two firms of one group.")
    s.label("supplier_concentration", PLANTED, "bin:m7", "The same source was sold by two firms of one group.")
    for key in ("epizoo", "construct", "ambul", "customsq", "forestfire", "citizenwatch"):
        s.drop(key, "roles")
        s.team(key)
    _code(s, "leaflet 1.9 (open source)", "", ["bridge", "soilmap", "reservoir", "smog"])
    _code(s, "sign-lib", "s10", ["sigcheck", "docflow"])
    s.label(
        "supplier_concentration",
        NEAR,
        "bin:s10",
        "The owner uses one delivered library in two of its systems; sold once.",
    )
    for key in ("digitise", "nursery", "shops", "migrantquota", "scigrant"):
        s.drop(key, "roles")
        s.team(key)
        s.contract(key, "m8", "2026-02-01", "2028-12-31", 900_000)
    s.label("supplier_concentration", NEAR, "bin:m8", "Many bodies, but hardly any money.")
    for supplier, why in (
        ("s03", "Affiliated with another, but together a small share everywhere."),
        ("s15", "Affiliated with another, but together a small share everywhere."),
        ("s09", "One small contract beside a group that has the rest."),
    ):
        s.label("supplier_concentration", NEAR, f"bin:{supplier}", why)


def upkeep(s: Split) -> None:
    """Expiry without a team, obsolete stacks, slips, orphans, no results."""
    lapse = {
        "railheat": (
            "2024-12-01",
            "2026-11-30",
            "2026-12-05",
            "Contract and warranty end in days; nobody is in charge.",
        ),
        "flightperm": ("2025-12-20", "2026-12-20", "", "The support contract ends in a month; no roles at all."),
        "ricepaddy": ("2025-10-01", "2026-10-31", "", "The contract ended three weeks ago; no roles at all."),
    }
    for key, (signed, ends, warranty, why) in lapse.items():
        if key in s.objects:
            s.drop(key, "roles", "contracts")
            s.contract(key, "s11", signed, ends, 17_000_000, warranty)
            s.label("expiry_without_team", PLANTED, key, why)
    s.drop("bookfund", "roles", "contracts")
    s.document("bookfund", "licence", "2023-12-10", "2026-12-10")
    s.label("expiry_without_team", PLANTED, "bookfund", "The licence ends in December; no roles at all.")
    s.drop("techpass", "roles", "contracts")
    s.contract("techpass", "s14", "2025-09-30", "2026-09-30", 23_000_000)
    s.label("expiry_without_team", PLANTED, "techpass", "Contract over since September, nobody in charge.")
    c.people(
        s,
        "dietcalc",
        [("administrator", "2020-01-01", "2026-05-30", ""), ("product_owner", "2020-01-01", "2026-06-30", "")],
    )
    s.contract("dietcalc", "s13", "2025-12-01", "2026-12-01", 11_000_000)
    s.label("expiry_without_team", PLANTED, "dietcalc", "Contract ends in a week and both people left.")
    s.label("orphan", PLANTED, "dietcalc", "Owner and administrator left, no successor.")
    s.drop("slaught", "roles", "contracts")
    s.contract("slaught", "s02", "2024-01-01", "2025-12-31", 9_000_000)
    s.contract("slaught", "s08", "2026-01-01", "2029-12-31", 21_000_000)
    s.label("expiry_without_team", NEAR, "slaught", "The old contract ended; a new one runs to the end of 2029.")
    s.drop("smartmeter", "roles", "contracts")
    s.contract("smartmeter", "s05", "2025-05-01", "2030-05-01", 55_000_000)
    s.label("expiry_without_team", NEAR, "smartmeter", "No roles declared, but nothing expires before 2030.")
    s.drop("hrstate", "roles", "contracts")
    s.team("hrstate")
    s.contract("hrstate", "s06", "2025-12-10", "2026-12-10", 25_000_000)
    s.label(
        "expiry_without_team", NEAR, "hrstate", "The contract ends soon, and an owner and an administrator are there."
    )
    s.drop("lakes", "roles", "contracts")
    s.contract("lakes", "s07", "2018-01-01", "2020-06-30", 8_000_000)
    s.label("expiry_without_team", NEAR, "lakes", "Ceased: nothing needs a contract.")
    old = {
        "invest": "Oracle Database 10g;Java 6;Windows Server 2003",
        "stateprop": "Delphi 7;Firebird 1.5",
        "shiftwork": "php5.3;MySQL 5.1",
        "readroom": "Win Server 2008 R2;MS SQL Server 2008;Silverlight 5",
        "coal": "CentOS 6;Python 2.7",
        "traffic3": "Visual FoxPro 9;Windows XP",
        "biblio": "Debian 7;PHP 5.4",
    }
    for key, stack in old.items():
        s.set(key, stack=stack, monolith="yes" if key in {"stateprop", "traffic3", "invest"} else "no")
        s.label("obsolete_stack", PLANTED, key, "Products without support for years.")
    modern = {
        "pledge": ("Java 21;PostgreSQL 17", "A monolith, but on supported products."),
        "census": ("Windows Server 2019;MS SQL Server 2019", "Older, and still supported."),
        "textbook": ("1C:Предприятие 8.3;PostgreSQL 16", "The number looks old; it is the current line."),
        "customsq": ("Oracle Database 19c;Java 17", "A long-term release under support."),
    }
    for key, (stack, why) in modern.items():
        s.set(key, stack=stack, monolith="yes" if key == "pledge" else "no")
        s.label("obsolete_stack", NEAR, key, why)
    m = 1_000_000
    slips = {
        "canalcontrol": [
            ("2023-12-01", 300 * m, "2022-05-01"),
            ("2024-12-01", 420 * m, "2023-11-20"),
            ("2026-03-01", 610 * m, "2024-11-25"),
            ("2027-06-01", 780 * m, "2026-02-20"),
        ],
        "biom": [
            ("2024-03-31", 900 * m, "2022-10-01"),
            ("2025-09-30", 1400 * m, "2024-04-10"),
            ("2027-01-31", 2100 * m, "2025-10-02"),
        ],
        "smartmeter": [
            ("2024-06-01", 500 * m, "2023-02-01"),
            ("2025-06-01", 500 * m, "2024-05-20"),
            ("2026-06-01", 500 * m, "2025-05-25"),
            ("2027-06-01", 500 * m, "2026-05-28"),
        ],
        "egate": [("2025-01-15", 260 * m, "2024-01-10"), ("2025-12-15", 540 * m, "2025-01-20")],
        "clinical": [("2025-03-01", 150 * m, "2024-02-01")],
        "balancing": [
            ("2024-09-01", 330 * m, "2023-09-01"),
            ("2026-09-01", 890 * m, "2024-10-01"),
            ("2027-12-01", 990 * m, "2026-09-15"),
        ],
    }
    for key, versions in slips.items():
        done = "2026-01-30" if key == "egate" else ""
        c.milestones(s, key, "Second phase", versions, done)
        s.label(
            "slippage", PLANTED, key, "Its first date is long past: moved on by more than a year or overdue since then."
        )
    c.milestones(
        s, "dispatchpwr", "Жаңа панель", [("2026-12-01", 80 * m, "2026-01-01"), ("2026-12-22", 80 * m, "2026-11-01")]
    )
    s.label("slippage", NEAR, "dispatchpwr", "Moved once, by three weeks, for the same money.")
    c.milestones(s, "seedbank", "Каталог", [("2027-05-01", 20 * m, "2025-12-01"), ("2027-02-01", 20 * m, "2026-06-01")])
    s.label("slippage", NEAR, "seedbank", "A new version, but an earlier date.")
    c.milestones(s, "scigrant", "Reports module", [("2026-05-01", 45 * m, "2025-05-01")], "2026-05-11")
    s.label("slippage", NEAR, "scigrant", "Done ten days late.")
    c.milestones(
        s, "enpass", "Паспорт 2.0", [("2027-03-01", 90 * m, "2025-12-01"), ("2027-03-01", 62 * m, "2026-07-01")]
    )
    s.label("slippage", NEAR, "enpass", "Re-baselined to a smaller budget.")
    for key in ("rates", "normdict", "carrierlic", "vacchild", "consumer"):
        c.people(s, key, [("product_owner", "2022-01-10", "", ""), ("administrator", "2021-03-01", "2026-04-15", "")])
        s.label("orphan", PLANTED, key, "The administrator left in April; nobody followed.")
    c.people(
        s,
        "techreg",
        [("product_owner", "2020-02-01", "2025-12-31", ""), ("lead_developer", "2020-02-01", "2026-02-28", "")],
    )
    s.label("orphan", PLANTED, "techreg", "Owner and lead developer left without a successor.")
    heir = "p-7e1a55"
    c.people(s, "shops", [("product_owner", "2022-01-10", "", ""), ("administrator", "2020-01-01", "2026-07-01", heir)])
    s.label("orphan", NEAR, "shops", "The administrator left and a successor is named.")
    s.role("shops", "administrator", "2026-07-01", holder=heir)
    c.people(
        s,
        "cashreg",
        [
            ("lead_developer", "2019-01-01", "2025-07-01", ""),
            ("lead_developer", "2025-07-02", "", ""),
            ("product_owner", "2021-01-01", "", ""),
        ],
    )
    s.label("orphan", NEAR, "cashreg", "Another lead developer came the next day.")
    c.people(s, "labinsp", [("administrator", "2020-01-01", "2027-02-28", ""), ("product_owner", "2021-01-01", "", "")])
    s.label("orphan", NEAR, "labinsp", "The administrator leaves only next year.")
    c.people(s, "riverport", [("administrator", "2016-01-01", "2024-10-01", "")])
    s.label("orphan", NEAR, "riverport", "The object ceased when the administrator left.")
    nothing = {"borderbazar": 2020, "herbarium": 2021, "biblio": 2019, "melon": 2021, "shiftwork": 2020}
    for key, year in nothing.items():
        if year:
            s.young(key, "creation", f"{year}-02-01", f"{year - 1}-09-01", result="", initial_estimate=480 * m)
            s.cost(key, "creation", year, 310 * m)
            s.cost(key, "creation", year + 1, 150 * m)
            s.label("zero_result", PLANTED, key, "Hundreds of millions paid years ago; no result is declared.")
    s.young("nuclear", "planning", "2025-10-06", "2025-10-06", result="", acquisition="create")
    s.cost("nuclear", "creation", 2027, 220 * m, "planned")
    s.label("zero_result", NEAR, "nuclear", "The money is only planned.")
    s.set("crane", result="")
    s.drop("crane", "costs", kind="creation")
    s.label("zero_result", NEAR, "crane", "No result is written, but nothing was invested: made by its own staff.")
    s.young("transl", "creation", "2026-06-01", "2025-12-01", result="", initial_estimate=90 * m)
    s.cost("transl", "creation", 2026, 40 * m)
    s.label("zero_result", NEAR, "transl", "Begun in June this year: too early for a result.")


def platform(s: Split) -> None:
    """The moratorium, migration plans, compute, artificial intelligence, self-made traffic, things resurrected."""
    new = {
        "seawall": ("creation", "2026-03-11", "own", "create"),
        "berry": ("creation", "2026-05-05", "commercial", "create"),
        "mugalyouth": ("trial", "2026-06-20", "own", "purchase"),
        "nursery": ("creation", "2026-01-20", "own", "develop"),
        "readroom": ("planning", "2026-07-01", "own", "create"),
        "linefly": ("creation", "2026-04-02", "own", "create"),
    }
    for key, (status, day, hosting, acquisition) in new.items():
        if status:
            s.young(
                key, status, day, "2026-02-02" if status == "trial" else day, hosting=hosting, acquisition=acquisition
            )
            s.label(
                "after_moratorium", PLANTED, key, "Begun in 2026 outside the platform by a state owner, no exemption."
            )
    s.cost("seawall", "creation", 2026, 85_000_000)
    s.set("seawall", result="")
    s.label("zero_result", NEAR, "seawall", "Begun in March 2026 and paid this year: too early for a result.")
    lawful = {
        "pest": ({"hosting": "own", "exemption": "Комиссия-2026/4"}, "2026-04-01", "The Commission gave an exemption."),
        "mudflow": ({"hosting": "own"}, "2025-12-18", "Begun two weeks before the decree took force."),
        "court": ({"hosting": "qaztech", "acquisition": "platform_product"}, "2026-05-01", "Made on the platform."),
        "coverage": ({"hosting": "own"}, "2026-03-01", "The owner is a private firm."),
        "snowroads": ({"hosting": "own"}, "2026-02-10", "The exemption stands among the documents, not in the field."),
        "robotlab": ({"hosting": "own"}, "2025-10-10", "Begun before 2026."),
    }
    for key, (fields, day, why) in lawful.items():
        if key != "robotlab":
            s.young(key, "creation", day, day, **fields)
        s.label("after_moratorium", NEAR, key, why)
    s.document("snowroads", "exemption", "2026-02-01")
    for key, days, team, target in (
        ("budgetplan", 1400, 3, "2026-09-30"),
        ("docflow", 900, 2, "2026-09-30"),
        ("hrstate", 2600, 4, "2026-12-31"),
        ("shelter", 700, 1, "2026-12-15"),
        ("locoshed", 5200, 6, "2027-03-31"),
        ("vetcert", 480, 1, "2026-09-30"),
    ):
        c.migration(s, key, days, team, target)
        s.label("migration_infeasible", PLANTED, key, f"{days} person-days for {team} people until {target}.")
    c.migration(s, "notify", 0, 3, "2026-09-30", hosting="qaztech")
    s.label("migration_infeasible", NEAR, "notify", "Moved: nothing is left to do.")
    c.migration(s, "keystore", 60, 6, "2027-06-30", exemption="Комиссия-2026/31")
    s.label("migration_infeasible", NEAR, "keystore", "A later date was granted, and the work fits it many times.")
    c.migration(s, "tradebal", 0, 1, "2026-08-15", hosting="qaztech")
    s.label("migration_infeasible", NEAR, "tradebal", "Moved before the date.")
    c.migration(s, "numport", 25, 5, "2027-09-30", exemption="Комиссия-2026/8", disposition="keep")
    s.label("migration_infeasible", NEAR, "numport", "Kept under an exemption; a small work with a year for it.")
    for key, risk, reviewed, labelled, kind, why in (
        ("tutorai", "", "2026-03-01", "yes", PLANTED, "A card without a risk class."),
        ("riskaudit", "high", "2024-11-04", "yes", PLANTED, "The last review was two years ago."),
        ("askbud", "medium", "2026-05-12", "no", PLANTED, "Its answers are not marked as made by a machine."),
        ("fraudai", "high", "", "yes", PLANTED, "Never reviewed."),
        ("chatai", "medium", "2025-12-15", "yes", NEAR, "Reviewed eleven months ago."),
        ("cropai", "minimal", "2026-08-08", "yes", NEAR, "Classified, reviewed, marked."),
        ("transl", "minimal", "2026-10-01", "yes", NEAR, "Classified, reviewed, marked."),
        ("voicebot", "high", "2026-02-02", "yes", NEAR, "High risk, and all duties are kept."),
        ("meddict", "medium", "2026-09-09", "yes", NEAR, "Classified, reviewed, marked."),
        ("sati", "minimal", "2026-04-21", "yes", NEAR, "Classified, reviewed, marked."),
    ):
        c.card(s, key, risk, reviewed, labelled)
        s.label("ai_unclassified", kind, key, why)
    for key in ("triageai", "citizenwatch"):
        s.set(key, ai="yes")
        s.label("ai_unclassified", PLANTED, key, "It is AI and has no card.")
    c.card(s, "forestfire", "medium", "2026-01-30", "yes")
    hours = {
        "askbud": (6000, [0, 0.01, 0, 0, 0.02, 0], PLANTED, "6,000 hours a month, hardly one used."),
        "langcorp": (2400, [0] * 8, PLANTED, "Eight months without an hour used."),
        "snowsat": (900, [0.02, 0, 0, 0.01, 0, 0, 0], PLANTED, "One or two per cent of what was allocated."),
        "herbarium": (1500, [0] * 7, PLANTED, "Nothing used in seven months."),
        "sati": (3200, [0.03, 0.01, 0.01, 0, 0, 0], PLANTED, "Almost nothing used in half a year."),
        "robotlab": (800, [0, 0, 0, 0, 0, 0], PLANTED, "Nothing used in half a year."),
        "chatai": (9000, [0.82, 0.77, 0.85, 0.9, 0.88, 0.86], "innocent", "Used well."),
        "triageai": (2000, [0.5, 0.47, 0.55, 0.6, 0.52, 0.49], NEAR, "Half used, every month."),
        "cropai": (2800, [0.95, 0.9, 0.2, 0.1, 0.9, 0.85], NEAR, "Training comes in seasons; two thirds are used."),
        "transl": (1200, [0.01], NEAR, "Allocated only last month."),
        "voicebot": (1100, [0.66, 0.7, 0.71, 0.64, 0.6, 0.69], "innocent", "Used well."),
        "meddict": (0, [0, 0, 0, 0], NEAR, "Nothing is allocated."),
        "gpupool": (50000, [0.72, 0.8, 0.79, 0.81, 0.77, 0.83], "innocent", "The pool is used well."),
    }
    for key, (allocated, used, kind, why) in hours.items():
        c.compute(s, key, allocated, used)  # type: ignore[arg-type]
        s.label("idle_compute", kind, key, why)
    for key, manner, level, caller, why in (
        (
            "portalfeed",
            "constant",
            12,
            "",
            "Twelve calls each hour, day and night, by a probe of the same owner alone.",
        ),
        (
            "rates",
            "every6",
            40,
            "stateprop",
            "Forty calls every six hours from one system of the same owner, never another.",
        ),
        ("tidewatch", "halfday", 25, "", "Twenty-five calls twice a day from its own subsystem."),
        ("geonames", "constant", 3, "harvest", "Three calls each hour from one system of the same owner."),
        (
            "dashboards",
            "constant",
            30,
            "nightsum",
            "Thirty calls an hour, the same at three in the night, of one owner.",
        ),
        ("steppewell", "every6", 8, "", "Eight calls every six hours from its own probe."),
    ):
        c.busy_self(s, key, manner, level, caller=caller)
        s.label("self_made_traffic", PLANTED, key, why)
    s.edge("nightsum", "payorder", "day-totals", "night", 300)
    s.edge("nightsum", "cashreg", "day-totals", "night", 900)
    s.edge("dispatchpwr", "reservoir", "release-plan", "office", 5)
    s.set("reservoir", use_channel="backbone")
    s.drop("reservoir", "signals")
    s.edge("textbook", "rschool", "lookup", "office", 3, "school.name")
    s.edge("apistat", "notify", "health", "constant", 1)
    s.edge("apistat", "egate", "health", "constant", 1)
    s.set("apistat", use_channel="mixed")
    s.sign_ins("apistat", [60] * 12)
    for key in ("harvest", "stateprop", "nightsum", "dispatchpwr", "textbook", "tradebal", "grainstock", "schoolbuild"):
        s.set(key, use_channel="mixed")
    for key, why in (
        ("cashreg", "A nightly batch to the register of another owner and a nightly caller of another owner: honest."),
        ("payorder", "Called nightly by another owner's totals and by day by planners."),
        ("reservoir", "One caller, in office hours, of another owner."),
        ("notify", "A heartbeat of the same owner beside thousands of calls of others."),
        ("egate", "A heartbeat of its owner, and it does real work for others as their caller."),
        ("vetcert", "One caller and of the same owner, but at work hours and unevenly."),
        ("telemed", "One caller and of the same owner, but calls grow with real use."),
        ("sigcheck", "Its owner calls it most, and others too, all in office hours."),
        ("rschool", "Called by systems of its own ministry in office hours, unevenly."),
        ("hydropost", "Periodic, but read by another owner."),
    ):
        s.label("self_made_traffic", NEAR, key, why)
    past = {
        "r01a": ("written_off", "2022-06-01", 2019),
        "r02a": ("archived", "2021-04-15", 2018),
        "r03a": ("written_off", "2020-12-10", 2017),
        "r04a": ("ceased", "2023-03-01", 2019),
        "r05a": ("written_off", "2021-09-09", 2018),
        "r06a": ("archived", "2022-02-02", 2018),
        "q01a": ("written_off", "2021-05-05", 2015),
        "q02a": ("ceased", "2024-12-31", 2014),
        "q03a": ("written_off", "2019-03-03", 2013),
        "q04a": ("written_off", "2022-08-08", 2017),
    }
    for key, (status, since, year) in past.items():
        s.stage(key, status, since)
        s.set(
            key,
            created=f"{year}-02-02",
            use_channel="people",
            actualised=since if status == "written_off" else "2026-04-04",
        )
        s.drop(key, "costs")
        s.cost(key, "creation", year, 380 * 1_000_000)
    for key in ("r01a", "r05a", "q01a"):
        s.label("stale_record", NEAR, key, "Written off: the record was closed and needs no confirmation.")
    s.label("stale_record", NEAR, "r03a", "Written off: the record was closed.")
    for key, status, since, created in (
        ("r01b", "creation", "2025-06-01", "2025-04-01"),
        ("r02b", "creation", "2025-03-01", "2024-10-01"),
        ("r03b", "creation", "2025-08-08", "2025-02-02"),
        ("r04b", "trial", "2026-04-10", "2024-09-09"),
        ("r05b", "planning", "2025-11-20", "2025-11-20"),
        ("r06b", "creation", "2024-12-01", "2024-06-06"),
    ):
        s.young(key, status, since, created)
        if status != "planning":
            s.cost(key, "creation", 2025, 140_000_000)
    s.stage("q02b", "operation", "2023-10-01")
    s.set("q02b", created="2021-05-05")
    s.young("q01b", "creation", "2025-09-01", "2025-03-03")
    for key in ("r01", "r02", "r03", "r04", "r05", "r06", "q02"):
        s.label(
            "duplicate", NEAR, [f"{key}a", f"{key}b"], "Alike, but the older one is no longer in life: not two at once."
        )
    for key in ("r01a", "r03a"):
        s.set(key, result="")
        s.label("zero_result", PLANTED, key, "380 million paid, written off, no result declared.")
    s.set("n03a", disposition="retire", disposition_due="2026-12-31")
