"""Finding personal data in Kazakh, Russian and English text."""

from __future__ import annotations

import time

import pytest

from qaztech.ai.personal.finding import finder


def found(text: str) -> list[tuple[str, str]]:
    """What was found in a text: kind, and the piece of the text."""
    return [(span.kind, text[span.start : span.end]) for span in finder().find(text)]


@pytest.mark.parametrize(
    "number",
    [
        "870514600122",
        "8705 1460 0122",
        "87-05-14-600122",
        "8 7 0 5 1 4 6 0 0 1 2 2",
        "870514\n600122",
        "８７０５１４６００１２２",
        "87O514б00l22",
        "870514 потом ещё 600122",
    ],
)
def test_an_iin_is_found_however_it_is_written(number: str) -> None:
    """Groups, line breaks, wide digits, letters read for digits and words between do not hide an IIN."""
    assert found(f"ЖСН/ИИН {number}, тексеріңіз") == [("iin", number)]


@pytest.mark.parametrize(
    "number", ["870514600121", "202611230417", "12 500 000", "14.05.2026 08:55", "120 450 300 118"]
)
def test_a_number_without_its_check_digit_is_no_iin(number: str) -> None:
    """Orders, sums and times are left."""
    assert found(f"№ {number} туралы") == []


def test_a_body_is_told_from_a_person() -> None:
    """The fifth digit says whether twelve digits are of a body."""
    assert found("БИН 991340000017") == [("bin", "991340000017")]


@pytest.mark.parametrize(
    "number",
    [
        "+7 701 000 12 34",
        "87010001234",
        "701 000 12 34",
        "8 (7172) 00-12-34",
        "7-7-0-1-0-0-0-1-2-3-4",
        "8 7O1 OOO 12 34",
    ],
)
def test_a_phone_is_found_with_and_without_its_code(number: str) -> None:
    """Mobile numbers need no +7, and separators do not matter."""
    assert found(f"тел {number} звоните") == [("phone", number)]


@pytest.mark.parametrize(
    "text", ["87 010 001 234 теңге", "8 701 000 123 тенге", "тариф 701 теңге 000 тиын", "epoch 1764561600"]
)
def test_sums_are_no_phones(text: str) -> None:
    """Thousands before a currency are money."""
    assert found(text) == []


@pytest.mark.parametrize(
    "address",
    [
        "a.b@example.com",
        "a.b [at] example (dot) com",
        "ab собака example точка com",
        "ab нүкте c ит белгісі example нүкте com",
        "a . b @ example . com",
    ],
)
def test_an_address_of_mail_is_found_spelt_out(address: str) -> None:
    """What people write against machines is read."""
    assert found(f"поштам: {address}") == [("email", address)]


@pytest.mark.parametrize(
    ("text", "kind", "piece"),
    [
        ("шот KZ20 999G RANT 0000 0001 ашық", "iban", "KZ20 999G RANT 0000 0001"),
        ("карта 4242-4242-4242-4242 жоқ", "card", "4242-4242-4242-4242"),
        ("номер 097 123 456 записан", "id_card", "097 123 456"),
        ("серия N, номер 98622019", "passport", "98622019"),
        ("төлқұжат n98 622 019", "passport", "n98 622 019"),
        ("тачка 000авс02 мешает", "plate", "000авс02"),
        ("старый номер А 000 ВСК", "plate", "А 000 ВСК"),
        ("родилась 9 мая 85го в Семее", "birth_date", "9 мая 85го"),
        ("18.03.1971 г.р.", "birth_date", "18.03.1971"),
    ],
)
def test_papers_and_dates_are_found(text: str, kind: str, piece: str) -> None:
    """Each kind by its own form, in the ways people write it."""
    assert (kind, piece) in found(text)


@pytest.mark.parametrize(
    "name",
    [
        "Айгерім Сәрсенова",
        "Ғалымжан Сейітұлына",
        "С. А. Мұқанов",
        "Гульнары Оразовны",
        "Чжан Вэю",
        "О'Коннору Патрику",
        "Ahmet Yilmaz",
        "Aigul Serikbaeva",
        "ШЕВЧЕНКО ЛЮДМИЛА",
        "Пак В.Н.",
        "Журaвлёв М",
    ],
)
def test_names_are_found_in_any_case(name: str) -> None:
    """Endings, initials, foreign names and letters of the other alphabet do not hide a name."""
    assert found(f"кеше {name}, бүгін жоқ") == [("name", name)]


@pytest.mark.parametrize(
    "text",
    [
        "арман қуып жүріп уақыт өтіп кетті",
        "вера в результат есть, но слава нужна не всем",
        "may i hope that the rose garden opens in june",
        "На улице Желтоксан перекрыто движение",
        "Роза Бағланова атындағы концерт залы",
        "Теорема Байеса и закон Мура",
        "Школа имени Мухтара Ауэзова",
        "Nazarbayev University",
        "Абай көшесінде жол жөндеу",
    ],
)
def test_words_and_what_is_named_after_people_are_no_names(text: str) -> None:
    """Names that are words, and streets, schools and laws named after people, are left."""
    assert found(text) == []


@pytest.mark.parametrize(
    "address",
    [
        "г. Караганда, ул. Ермекова, д. 22, кв. 9",
        "Қарағанды қаласы, Бұқар жырау даңғылы, 57-үй, 8-пәтер",
        "абай 12 үй 3 пәтерде",
        "Абая 150/230 блок 4 кв 88",
        "мкр Аксай-4, 61, 12",
        "18 Abylai Khan Avenue, apt. 45, Kokshetau",
        "050010, Алматы, Достық 85/2, 41",
    ],
)
def test_addresses_are_found_without_the_words_for_them(address: str) -> None:
    """A house number with a street, a district or a place is enough."""
    assert ("address", address) in found(f"мекенжай: {address}")


def test_places_are_those_of_the_text() -> None:
    """Wide and unseen characters before a span do not move it."""
    text = "\u200b１２　%40 ИИН\u00a0870514600122"
    assert found(text) == [("iin", "870514600122")]


@pytest.mark.parametrize(
    "unit",
    [
        "1 ",
        "8-7",
        "KZ1 ",
        "_1",
        "a at b dot ",
        "Иванов И. ",
        "ул. Абая 5, ",
        "семь ",
        "01.02.1990 ",
        "may 5 ",
        "000 ABC ",
    ],
)
def test_hostile_text_costs_no_more_than_its_length(unit: str) -> None:
    """Four times the text takes about four times as long."""
    find = finder().find
    short, long = unit * (20_000 // len(unit)), unit * (80_000 // len(unit))
    find(short)
    costs = []
    for text in (short, long):
        start = time.process_time()
        find(text)
        costs.append(time.process_time() - start)
    assert costs[1] < 12 * costs[0] + 0.1
