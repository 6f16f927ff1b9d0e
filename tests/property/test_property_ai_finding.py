"""Whatever stands in a text, finding personal data in it ends, and says places that are there."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.ai.personal.finding import finder
from qaztech.ai.personal.masking import Vault
from qaztech.ai.personal.spans import KINDS

_PIECES = st.sampled_from(
    [
        "Иванов",
        "Айгерім",
        "айгүл",
        "ұлы",
        "қызы",
        "И.",
        " ",
        "\n",
        "-",
        ",",
        ".",
        "ул.",
        "көшесі",
        "д.",
        "12",
        "7",
        "05",
        "0",
        "+7",
        "(701)",
        "870514600122",
        "KZ",
        "4242",
        "@",
        "example.com",
        "[at]",
        "точка",
        "туған",
        "born",
        "may",
        "мая",
        "1985",
        "семь",
        "бір",
        "N",
        "ABC",
        "ООО",
        "İ",
        "ß",
        "\u200b",
        "８",
        "О",
        "l",
        "%2B",
        "%40",
        "_",
        "'",
        "«",
        "»",
        "г.р.",
        "van",
        "апай",
        "деген",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_PIECES | st.text(max_size=6), max_size=40).map("".join))
def test_spans_are_in_order_within_the_text_and_apart(text: str) -> None:
    """Spans are of known kinds, in order, not empty, do not overlap, and masking by them is undone exactly."""
    spans = finder().find(text)
    end = 0
    for span in spans:
        assert end <= span.start < span.end <= len(text)
        assert span.kind in KINDS
        assert 0 < span.confidence <= 1
        end = span.end
    vault = Vault("K7QX")
    assert vault.restore(vault.mask(text, spans)) == text or "K7QX" in text.upper()
