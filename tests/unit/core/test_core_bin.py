"""Kazakhstan's twelve-digit numbers."""

from __future__ import annotations

import pytest

from qaztech.core.bin import check_digit, has_valid_checksum, is_bin, reserved_bin

PUBLISHED = ["940140000385", "971240001315", "941240000193", "000740000728"]


@pytest.mark.parametrize("number", PUBLISHED)
def test_published_numbers_of_organisations_pass(number: str) -> None:
    """The checksum is the one the national register uses."""
    assert is_bin(number)


@pytest.mark.parametrize("number", PUBLISHED)
def test_any_wrong_digit_is_noticed_at_the_end(number: str) -> None:
    """Only one last digit is right."""
    assert [is_bin(number[:11] + digit) for digit in "0123456789"].count(True) == 1


@pytest.mark.parametrize("number", ["", "94014000038", "9401400003855", "94014000038x", "٩٤٠١٤٠٠٠٠٣٨٥", " 40140000385"])
def test_what_is_not_twelve_ascii_digits_is_no_number(number: str) -> None:
    """Form comes before checksum."""
    assert not has_valid_checksum(number)


def test_some_numbers_have_no_check_digit() -> None:
    """Where both rounds of weights leave ten, no valid number begins so."""
    without = [n for n in range(100_000, 101_000) if check_digit(f"99134{n:06d}") is None]
    assert without
    assert not any(has_valid_checksum(f"99134{without[0]:06d}{digit}") for digit in range(10))


def test_the_number_of_a_person_is_no_bin() -> None:
    """The fifth digit tells organisations (4 to 6) from people (0 to 3)."""
    eleven = "90010130000"
    number = f"{eleven}{check_digit(eleven)}"
    assert has_valid_checksum(number)
    assert not is_bin(number)


def test_reserved_numbers_are_valid_distinct_and_plainly_fictitious() -> None:
    """They pass every check of form, and no organisation was registered in month 13."""
    numbers = [reserved_bin(serial) for serial in range(0, 100_000, 41)]
    assert all(is_bin(number) and number.startswith("9913") for number in numbers)
    assert len(set(numbers)) == len(numbers)
