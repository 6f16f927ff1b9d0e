"""Kazakhstan's twelve-digit numbers: the checksum shared by BIN (organisations) and IIN (people).

Fifth digit 4-6 marks a BIN, 0-3 an IIN. Source: the weights of the national register, checked against published
BINs. Demo codes are made by `reserved_bin`, from a month that does not exist (13), so that no organisation has them.
"""

from __future__ import annotations

_FIRST = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
_SECOND = (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)


def check_digit(eleven: str) -> int | None:
    """The twelfth digit for eleven given ones; None where no valid number begins so."""
    digits = [int(c) for c in eleven]
    for weights in (_FIRST, _SECOND):
        remainder = sum(w * d for w, d in zip(weights, digits, strict=True)) % 11
        if remainder != 10:
            return remainder
    return None


def has_valid_checksum(number: str) -> bool:
    """Whether twelve ASCII digits end in their check digit."""
    return len(number) == 12 and number.isascii() and number.isdigit() and check_digit(number[:11]) == int(number[11])


def is_bin(number: str) -> bool:
    """Whether this is a BIN by form and checksum (fifth digit 4, 5 or 6)."""
    return has_valid_checksum(number) and number[4] in "456"


def reserved_bin(serial: int) -> str:
    """A BIN that is valid by checksum and plainly fictitious: registered in month 13. `serial` in 0..99999."""
    for branch in range(4):
        eleven = f"99134{branch}{serial:05d}"
        digit = check_digit(eleven)
        if digit is not None:
            return f"{eleven}{digit}"
    raise ValueError(serial)
