"""Writing DER (X.690), as much of it as timestamp tokens need. Reading is left to libraries."""

from __future__ import annotations


def der(tag: int, *parts: bytes) -> bytes:
    """One value: tag, length, and the parts as its content."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE."""
    return der(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    """SET OF, in the order DER asks for."""
    return der(0x31, *sorted(parts))


def integer(value: int) -> bytes:
    """INTEGER, in as few bytes of two's complement as hold it."""
    bits = (value if value >= 0 else ~value).bit_length()
    return der(0x02, value.to_bytes(bits // 8 + 1, "big", signed=True))


def octets(value: bytes) -> bytes:
    """OCTET STRING."""
    return der(0x04, value)


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER, from its dotted form."""
    first, second, *rest = map(int, dotted.split("."))
    return der(0x06, b"".join(map(_base128, [40 * first + second, *rest])))


def _base128(value: int) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(0x80 | value & 0x7F)
    return bytes(reversed(digits))
