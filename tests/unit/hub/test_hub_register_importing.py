"""Importing a register: what titles mean, what is wrong row by row, conflicts, nothing half done, and back again."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from databases import database_at
from qaztech.core.bin import reserved_bin
from qaztech.core.errors import Malformed
from qaztech.hub.register.checks import cycles
from qaztech.hub.register.columns import columns_of
from qaztech.hub.register.export import guarded, tables_of, write_csv_zip, write_xlsx
from qaztech.hub.register.identify import Decision
from qaztech.hub.register.importing import Plan, carry_out, decision_of, fields_told, left_out, make_plan, preview
from qaztech.hub.register.mapping import (
    ColumnRule,
    Mapping,
    TableRule,
    guess,
    known,
    mapping_json,
    parse_mapping,
    propose,
)
from qaztech.hub.register.remembered import MappingStore
from qaztech.hub.register.rows import TABLES, Contract, Cost, CostKind, Integration, Status
from qaztech.hub.register.sheets import Cell, Sheet
from qaztech.hub.register.store import METADATA, Edit, ObjectStore
from qaztech.hub.register.titles import LANGUAGES, match_column, words
from qaztech.hub.register.workbook import RawTable, read_tables, table_of, unguarded
from qaztech.runtime.database import open_database

TODAY = date(2026, 11, 23)
A, B, C = (reserved_bin(710 + i) for i in range(3))
DEV = Path(__file__).parents[2] / "data/labelled/dev"


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """An empty registry."""
    return ObjectStore(open_database(database_at(tmp_path / "objects.db"), METADATA))


def table(*rows: list[Cell], name: str = "Реестр ИС") -> RawTable:
    """A sheet whose first row is the header."""
    found = table_of(Sheet(name=name, rows=list(enumerate(rows, 1))), known)
    assert found is not None
    return found


def planned(store: ObjectStore, *tables: RawTable, **options: object) -> Plan:
    """What their import would do, by the guessed mapping."""
    return make_plan(tables, propose(tables), store.register(), today=TODAY, **options)  # type: ignore[arg-type]


def told(plan: Plan) -> set[tuple[int, str, str]]:
    """Row, column and code of each problem."""
    return {(p.row, p.column, p.code) for p in plan.problems}


def test_every_table_column_and_word_has_titles_that_are_its_alone() -> None:
    """In three languages, and no title means two columns of a table."""
    assert words().tables.keys() == TABLES.keys()
    for name in TABLES:
        assert words().columns[name].keys() == columns_of(name).keys()
        for column in columns_of(name).values():
            titles = words().columns[name][column.name]
            assert len(titles) >= 3
            for title in (column.name, *titles[:3]):
                match = match_column(name, title)
                assert match is not None, (name, title)
                assert (match.name, match.sure) == (column.name, True), (name, title)
            if column.choices:
                choices = words().choices[f"{name}.{column.name}"]
                assert choices.keys() == set(column.choices)
                for place in range(len(LANGUAGES)):
                    assert len({spellings[place] for spellings in choices.values()}) == len(choices)


def test_titles_as_bodies_write_them_are_understood() -> None:
    """Names, a unit of thousands, costs of years beside each other; what is only alike is not sure."""
    raw = table(
        ["№ п/п", "Наименование ИС", "БИН владельца", "Владелец", "Дата ввода", "Статус", "Затраты 2024, тыс. тенге",
         "2025 жылғы сүйемелдеу шығыны (мың теңге)", "Кол-во пользователей", "Цвет"],
        [1, "Учёт", A, "Министерство", "01.02.2020", "в эксплуатации", 5, 6, 7, "синий"],
    )  # fmt: skip
    rule = guess(raw)
    assert rule.table == "objects"
    assert [column.field for column in rule.columns] == [
        "", "name_ru", "owner_bin", "owner.name_ru", "status_since", "status", "cost.support", "cost.support",
        "declared_users", "",
    ]  # fmt: skip
    assert [(c.unit, c.year, c.sure) for c in rule.columns[6:8]] == [(1000, 2024, False), (1000, 2025, True)]


def test_headings_of_a_real_summary_are_guessed_and_nothing_is_invented() -> None:
    """A day is never money, a year that nobody wrote of the money is asked for, and money is where sums are."""
    raw = table(
        ["Свод ИС, тыс. тенге (по состоянию на 1 ноября 2026 года)"],
        [
            "Наименование государственного органа",
            "БИН владельца",
            "Наименование ИС / на гос. языке",
            "Наименование ИС / на рус. языке",
            "Дата ввода в эксплуатацию (начала опытной эксплуатации)",
            "Стоимость создания",
            "Сопровождение 2025",
            "Программная платформа",
            "Подсистема в шлюзе",
            "Дата посл. актуализации",
            "Окончание сопровождения",
        ],
        ["Орган", A, "Есеп", "Учёт", "2021-03-15", 7, 5, "PHP 5", "KZ/GOV/1/a", "12.03.2026", "12 марта 2027 г."],
        ["Орган", A, "Есеп 2", "Учёт 2", "12 марта 2019 г.", 7, 5, "", "", "", "2027-03-12"],
        name="Свод ИС",
    )
    (rule,) = propose([raw]).tables
    assert rule.table == "objects"
    assert [(column.field, column.unit, column.year) for column in rule.columns] == [
        ("owner.name_ru", 1, None),
        ("owner_bin", 1, None),
        ("name_kk", 1, None),
        ("name_ru", 1, None),
        ("status_since", 1, None),
        ("cost.creation", 1000, None),
        ("cost.support", 1000, 2025),
        ("stack", 1, None),
        ("subsystems", 1, None),
        ("actualised", 1, None),
        ("", 1, None),
    ]


def test_a_sheet_of_integrations_as_bodies_write_it_is_known() -> None:
    """By its usual headings, without numbers of integrations."""
    raw = table(
        ["ИС-источник", "ИС-получатель", "Способ взаимодействия", "Состояние", "Запросов в месяц"],
        ["Учёт", "Реестр", "прямое", "действует", 80_000],
        name="Интеграции",
    )
    (rule,) = propose([raw]).tables
    assert rule.table == "integrations"
    assert [column.field for column in rule.columns] == [
        "provider_object",
        "consumer_object",
        "channel",
        "status",
        "declared_monthly_calls",
    ]


def test_a_suppliers_name_beside_its_bin_is_taken(store: ObjectStore) -> None:
    """It becomes an organisation, as an owner does, unless the registry knows it."""
    raw = table(
        ["Номер договора", "ИС", "Поставщик", "БИН поставщика", "Сумма, млн тенге", "Срок действия до"],
        ["1", "Учёт", "ТОО «Софт»", B, 2, "2027-01-01"],
        name="Договоры",
    )
    plan = planned(store, table(["Наименование ИС", "БИН владельца"], ["Учёт", A]), raw)
    assert told(plan) == set()
    carry_out(store, plan, by="person:a", source="a", at=1)
    (contract,) = store.register().all(Contract).values()
    assert (contract.tenge, contract.ends) == (2_000_000, date(2027, 1, 1))
    assert store.register().organisations[B].name_ru == "ТОО «Софт»"


def test_a_sheet_becomes_objects_costs_and_owners(store: ObjectStore) -> None:
    """With dates in several forms, words of three languages, thousands of tenge; ids stay the same the next time."""
    raw = table(
        [
            "Наименование ИС",
            "БИН владельца",
            "Владелец",
            "Дата создания",
            "Статус",
            "Сопровождение 2025 факт, тыс. тенге",
        ],
        ["Учёт воды", int(A), "Комитет воды", "31.03.2020", "В эксплуатации", 1200.5],
        ["Учёт леса", B, "Комитет леса", "31 марта 2020 г.", "опытная эксплуатация", "1 300,250"],
        ["Су есебі", B, "Комитет леса", "2020-03-31", "пайдалануда", ""],
        ["Порт", C, "", 43921, "written off", 0],
    )
    plan = planned(store, raw)
    assert plan.problems == ()
    batch = carry_out(store, plan, by="person:a", source="реестр.xlsx", at=1)
    assert batch is not None
    register = store.register()
    objects = {object_.name_ru: object_ for object_ in register.objects.values()}
    assert {object_.created for object_ in objects.values()} == {date(2020, 3, 31)}
    assert objects["Учёт леса"].status is Status.TRIAL
    (cost,) = register.of(Cost, objects["Учёт леса"].id)
    assert (cost.year, cost.kind, cost.tenge, cost.state) == (2025, CostKind.SUPPORT, 1_300_250, "paid")
    assert register.organisations[A].name_ru == "Комитет воды"
    assert preview(store, planned(store, raw)) == []
    store.undo(batch.id, by="person:a", at=2)
    assert not list(store.register())


def test_each_wrong_cell_is_told_with_its_row_and_column(store: ObjectStore) -> None:
    """BINs, dates, numbers, money below zero, words, formulas; and the row has its number of the spreadsheet."""
    raw = table(
        [
            "ID",
            "Наименование ИС",
            "БИН владельца",
            "Дата ввода",
            "Количество пользователей",
            "Статус",
            "Первоначальная смета",
        ],
        ["ds-1", "Учёт", "123456789012", "вчера", "много", "летает", -5],
        ["ds-2", "Учёт 2", A, "", "1 000", "создание", "(500)"],
        ["ds-3", "\x00#REF!", A, "", "", "", "#ДЕЛ/0!"],
        ["ds 4", "Учёт 4", "", "", "", "", ""],
    )
    plan = planned(store, raw)
    assert told(plan) == {
        (2, "БИН владельца", "cell.bin"), (2, "Дата ввода", "cell.date"), (2, "Статус", "cell.choice"),
        (2, "Количество пользователей", "cell.number"), (2, "Первоначальная смета", "cell.negative"),
        (3, "Первоначальная смета", "cell.negative"), (4, "Наименование ИС", "cell.formula"),
        (4, "Первоначальная смета", "cell.formula"), (5, "ID", "cell.object"),
    }  # fmt: skip
    assert len(plan.wrong) == 4
    with pytest.raises(Malformed, match=r"import\.errors"):
        carry_out(store, plan, by="person:a", source="a", at=1)
    assert not list(store.register())


def test_good_rows_are_taken_only_when_asked_and_the_others_given_back(store: ObjectStore) -> None:
    """With what is wrong in a last column; rows of an object that is not taken are not taken either."""
    objects = table(["ID", "Наименование ИС", "Статус"], ["ds-1", "Учёт", "создание"], ["ds-2", "Учёт 2", "летает"])
    costs = table(
        ["ID объекта", "Год", "Вид затрат", "Сумма"], ["ds-1", 2025, "сопровождение", 5], ["ds-2", 2025, "support", 5],
        name="Затраты",
    )  # fmt: skip
    plan = planned(store, costs, objects)
    assert told(plan) == {(3, "Статус", "cell.choice"), (3, "", "object.left-out")}
    carry_out(store, plan, by="person:a", source="a", at=1, take_good_rows=True)
    assert list(store.register().objects) == ["ds-1"]
    assert len(store.register().all(Cost)) == 1
    back = {sheet.name: list(sheet.rows) for sheet in left_out([costs, objects], plan)}
    assert back["Реестр ИС"][0][:3] == ["ds-2", "Учёт 2", "летает"]
    assert "cell.choice" in str(back["Реестр ИС"][0][3])


@pytest.mark.parametrize("suffix", [".xlsx", ".zip"])
def test_rows_given_back_are_read_as_they_were_with_their_unit(store: ObjectStore, tmp_path: Path, suffix: str) -> None:
    """Thousands stay so though the title alone says it; what a person decided is remembered; reasons are no data."""
    head: list[Cell] = ["Наименование ИС", "БИН владельца", "Первоначальная смета", "Сопровождение 2025", "Своё"]
    rows: list[list[Cell]] = [["Реестр систем на 2026 год, тыс. тенге"], head, ["Учёт", "12", 7, 5, "x"]]
    raw = table(*rows)
    kept = MappingStore(store.engine)
    guessed = propose([raw], kept=kept)
    assert [rule.unit for rule in guessed.tables[0].columns if rule.field.startswith(("initial", "cost"))] == [1000] * 2
    plan = make_plan([raw], guessed, store.register(), today=TODAY)
    path = tmp_path / f"left-out{suffix}"
    (write_xlsx if suffix == ".xlsx" else write_csv_zip)(
        left_out([raw], plan, language="ru", told=lambda problem: f"не так: {problem.code}"), path
    )
    (back,) = read_tables(path, known)
    assert back.headers == (*head, "Что не так")
    assert back.rows[0][-1] == "БИН владельца: не так: cell.bin"
    again = propose([back])
    assert [rule.field for rule in again.tables[0].columns] == [r.field for r in guessed.tables[0].columns] + [""]
    assert [rule.unit for rule in again.tables[0].columns][:-1] == [rule.unit for rule in guessed.tables[0].columns]
    decided = [*guessed.tables[0].columns[:-1], ColumnRule(header="Своё", field="purpose_ru")]
    kept.keep(raw, TableRule(sheet=raw.sheet, table="objects", columns=decided), by="dana", at=1)
    remembered = propose([back], kept=kept).tables[0].columns
    assert [rule.field for rule in remembered][-2:] == ["purpose_ru", ""]
    assert {rule.unit for rule in remembered if rule.field.startswith(("initial", "cost"))} == {1000}
    twice = left_out([back], make_plan([back], again, store.register(), today=TODAY), language="ru")
    assert list(twice[0].headers) == [*head, "Что не так"]


def test_a_remembered_unit_gives_way_to_the_one_that_the_file_names(store: ObjectStore) -> None:
    """The same header in millions this year: what was decided of thousands is asked again, not taken."""
    head: list[Cell] = ["Наименование ИС", "Первоначальная смета"]
    kept = MappingStore(store.engine)
    before = table(["Смета, тыс. тенге"], head, ["Учёт", 7])
    kept.keep(before, propose([before]).tables[0], by="dana", at=1)
    (rule,) = propose([table(["Смета, млн тенге"], head, ["Учёт", 7])], kept=kept).tables
    assert [(column.unit, column.sure) for column in rule.columns] == [(1, True), (1_000_000, False)]


def test_two_records_of_one_system_are_a_conflict_that_a_person_decides(store: ObjectStore) -> None:
    """In a file or against the registry; the same words twice are one; a name alone finds the object of its owner."""
    store.apply(
        [Edit(table="objects", values={"id": "ds-1", "name_ru": "Учёт воды", "owner_bin": A})], by="a", source="a", at=1
    )
    header: list[Cell] = ["ID", "Наименование ИС", "БИН владельца", "Количество пользователей"]
    raw = table(
        header, ["", "«Учёт воды»", A, 5],
        ["ds-7", "учёт  воды", A, 6], ["", "Учёт воды", B, 7], ["", "Учёт воды", B, 8],
        ["", "Учёт воды", B, 7],
    )  # fmt: skip
    plan = planned(store, raw)
    assert told(plan) == {(3, "", "object.exists"), (5, "", "object.twice"), (6, "", "row.repeated")}
    assert [p.other for p in plan.errors if p.row == 3] == ["ds-1"]
    decided = {("Реестр ИС", 3): Decision.NEW, ("Реестр ИС", 5): Decision.SKIP}
    plan = planned(store, raw, decisions=decided)
    assert not plan.errors
    carry_out(store, plan, by="a", source="a", at=2)
    users = {id_: row.declared_users for id_, row in store.register().objects.items()}
    assert users.pop("ds-1") == 5
    assert users.pop("ds-7") == 6
    assert list(users.values()) == [7]


def test_what_to_look_at_is_told_and_does_not_stop_an_import(store: ObjectStore) -> None:
    """Regions that ended in 2018 and 2022 with what took their place, unknown ids, circles of dependencies."""
    objects = table(
        ["ID", "Наименование ИС", "КАТО"],
        ["a", "А", "510000000"], ["b", "Б", "63"], ["c", "В", "Туркестанская область"],
        ["d", "Г", "990000000"],
    )  # fmt: skip
    links = table(
        ["Номер интеграции", "Объект-потребитель", "Объект-поставщик"], [1, "a", "b"], [2, "b", "c"], [3, "В", "А"],
        [4, "a", "zz-9"], name="Интеграции",
    )  # fmt: skip
    bodies = table(
        ["БИН", "Наименование организации", "БИН вышестоящей организации"], [A, "А", B], [B, "Б", A], name="Организации"
    )
    plan = planned(store, objects, links, bodies)
    assert not plan.errors
    found = {(p.sheet, p.row, p.code) for p in plan.warnings}
    assert {(s, c) for s, _, c in found} >= {("Интеграции", "object.unknown"), ("Организации", "organisation.cycle")}
    assert {p.cell for p in plan.warnings if p.code == "integration.cycle"} == {"a - b - c"}
    assert [(p.row, p.code) for p in plan.warnings if p.sheet == "Реестр ИС" and p.code.startswith("kato")][-1] == (
        5,
        "kato.unknown",
    )
    ended = {p.row: p.expected for p in plan.warnings if p.code == "kato.ended"}
    assert set(ended) >= {2}
    assert "Turkistan" in ended[2]


def test_circles_are_found_in_chains_of_any_length() -> None:
    """Without recursion; a node that depends on itself is no circle."""
    chain = [(str(i), str(i + 1)) for i in range(5000)]
    assert cycles([*chain, ("x", "x")]) == []
    assert cycles([*chain, ("5000", "4998"), ("p", "q"), ("q", "p")]) == [["4998", "4999", "5000"], ["p", "q"]]


def test_empty_cells_leave_fields_alone_unless_a_person_says_otherwise(store: ObjectStore) -> None:
    """And what is emptied is shown as removed."""
    store.apply(
        [Edit(table="objects", values={"id": "a", "name_ru": "А", "declared_users": 5})], by="a", source="a", at=1
    )
    raw = table(["ID", "Наименование ИС", "Количество пользователей"], ["a", "А", ""])
    assert preview(store, planned(store, raw)) == []
    changes = preview(store, planned(store, raw, empties=True))
    assert fields_told(changes) == {"added": 0, "changed": 0, "removed": 1}


def test_a_sum_beside_another_of_its_year_is_told(store: ObjectStore) -> None:
    """It would count twice."""
    row = {"object": "a", "year": 2025, "kind": "support", "tenge": 5, "programme": "104"}
    store.apply([Edit(table="objects", values={"id": "a"}), Edit(table="costs", values=row)], by="a", source="a", at=1)
    raw = table(["ID", "Наименование ИС", "Сопровождение 2025, тенге"], ["a", "А", 5])
    assert {p.code for p in planned(store, raw).warnings} == {"cost.beside"}


def test_a_mapping_is_remembered_by_its_header_and_given_as_a_file(tmp_path: Path) -> None:
    """Signs and case of a header do not matter; what no table has is refused."""
    engine = open_database(database_at(tmp_path / "objects.db"), METADATA)
    kept = MappingStore(engine)
    raw = table(["Наименование ИС", "Чьё это"], ["Учёт", A])
    rules = [ColumnRule(header="Наименование ИС", field="name_kk"), ColumnRule(header="Чьё это", field="owner_bin")]
    kept.keep(raw, TableRule(sheet="x", table="objects", columns=rules), by="person:a", at=1)
    again = table(["НАИМЕНОВАНИЕ ИС", "Чьё это?"], ["Учёт", A], name="Другой лист")
    mapping = propose([again], kept=kept)
    assert [column.field for column in mapping.tables[0].columns] == ["name_kk", "owner_bin"]
    assert parse_mapping(mapping_json(mapping)) == mapping
    for wrong in (
        TableRule(sheet="x", table="stars"),
        TableRule(sheet="x", table="objects", columns=[ColumnRule(header="a", field="stars")]),
        TableRule(sheet="x", table="objects", columns=[ColumnRule(header="a", field="cost.support")]),
        TableRule(sheet="x", table="objects", columns=[ColumnRule(header=h, field="area") for h in "ab"]),
    ):
        with pytest.raises(Malformed, match="mapping"):
            parse_mapping(mapping_json(Mapping(tables=[wrong])))
    with pytest.raises(Malformed):
        parse_mapping(b"[" * 100_000)
    assert decision_of("Лист 1:14=skip") == (("Лист 1", 14), Decision.SKIP)


@pytest.mark.parametrize("text", ["=1+1", "+7", "-2", "@sum", "'=1", "''+", "'quoted", "<script>", "ignore all rules"])
def test_hostile_text_is_text_when_it_comes_back(store: ObjectStore, text: str) -> None:
    """Never a formula for a spreadsheet, and the same text here."""
    assert unguarded(str(guarded(text))) == text
    assert not str(guarded(text)).startswith(("=", "+", "-", "@"))
    raw = table(["ID", "Наименование ИС"], ["a", text])
    carry_out(store, planned(store, raw), by="a", source="a", at=1)
    assert store.register().objects["a"].name_ru == text


def test_the_labelled_register_is_imported_without_an_error(store: ObjectStore) -> None:
    """Thousands of rows that others wrote."""
    tables = read_tables(DEV, known)
    plan = planned(store, *tables)
    assert plan.errors == []
    assert len(plan.good) > 5000
    assert [rule.table for rule in propose(tables).tables] == [raw.sheet for raw in tables]


def test_an_export_has_the_titles_of_its_language(store: ObjectStore) -> None:
    """And its words for what a cell may hold."""
    store.apply([Edit(table="objects", values={"id": "a", "status": "trial", "ai": False})], by="a", source="a", at=1)
    tables = {name: (list(headers), list(rows)) for name, headers, rows, _ in tables_of(store.register(), "kk")}
    headers, rows = tables["Цифрлық объектілер"]
    cells = dict(zip(headers, rows[0], strict=True))
    assert cells["Мәртебесі"] == "тәжірибелік пайдалану"
    assert cells["ЖИ бар"] == "жоқ"


def test_the_page_of_the_tables_names_every_column() -> None:
    """And every word that a cell may hold."""
    page = (Path(__file__).parents[3] / "docs/formats/digital-objects.md").read_text(encoding="utf-8")
    for name in TABLES:
        section = page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        for column in columns_of(name).values():
            assert f"`{column.name}`" in section, (name, column.name)
            assert all(f"`{choice}`" in section for choice in column.choices), (name, column.name)


def test_sheets_complete_each_other_and_contradictions_are_told(store: ObjectStore) -> None:
    """A budget by names alone belongs to the systems of another sheet; a number that nobody gave is made."""
    budget = table(["ИС", "2024", "2025"], ["Учёт воды", 5, 6], ["учёт воды", 7, 8], name="Бюджет, тыс. тенге")
    systems = table(["Наименование ИС", "БИН владельца"], ["Учёт воды", A], ["Учёт леса", B])
    again = table(["Наименование ИС", "БИН владельца", "Статус"], ["Учёт воды", A, "создание"], name="Статусы")
    links = table(["Потребитель", "Источник", "Канал"], ["Учёт воды", "Учёт леса", "ШЭП"], name="Интеграции")
    mapping = propose([budget, systems, again, links])
    plan = make_plan([budget, systems, again, links], mapping, store.register(), today=TODAY)
    assert {(p.sheet, p.row, p.code) for p in plan.problems} == {
        ("Бюджет, тыс. тенге", 2, "object.by-name"), ("Бюджет, тыс. тенге", 3, "object.by-name"),
        ("Бюджет, тыс. тенге", 3, "row.twice"), ("Статусы", 2, "row.joined"),
    }  # fmt: skip
    carry_out(store, plan, by="a", source="a", at=1, take_good_rows=True)
    register = store.register()
    (water,) = (each for each in register.objects.values() if each.name_ru == "Учёт воды")
    assert (water.owner_bin, water.status) == (A, Status.CREATION)
    assert {cost.year: cost.tenge for cost in register.of(Cost, water.id)} == {2024: 5_000, 2025: 6_000}
    assert len(register.all(Integration)) == 1


def test_another_system_of_the_same_name_gets_an_id_of_its_own(store: ObjectStore) -> None:
    """When a person says so; and the same one keeps its own."""
    raw = table(["Наименование ИС", "БИН владельца"], ["Учёт", A])
    carry_out(store, planned(store, raw), by="a", source="a", at=1)
    for decision, count in ((Decision.SAME, 1), (Decision.NEW, 2)):
        plan = planned(store, raw, decisions={("Реестр ИС", 2): decision})
        carry_out(store, plan, by="a", source="a", at=2)
        assert len(store.register().objects) == count
