"""What the gateways are asked: chats of 500 characters of Kazakh, Russian and English as people write to offices.

Made of the sentences of the labelled development set in which nobody is named; in one file each prompt ends with an
IIN of its own, in the other with words instead. So a finder that remembers words meets them as often as in use.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

from bench.ai_gateway_process import MAX_COMPLETION, MODEL
from qaztech.core.bin import has_valid_checksum

_SET = Path(__file__).parent.parent / "tests" / "data" / "pii" / "dev"
LENGTH = 500
COUNT = 256
SYSTEM = "You answer letters of citizens politely and briefly."
_END = re.compile(r"(?<=[.!?])\s+")


def _sentences() -> list[str]:
    found = []
    for path in sorted(_SET.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            labelled = json.loads(line)
            text, at = labelled["text"], 0
            for end in [match.start() for match in _END.finditer(text)] + [len(text)]:
                if not any(span["start"] < end and span["end"] > at for span in labelled["spans"]):
                    found.append(text[at:end].strip())
                at = end
    return [sentence for sentence in found if 20 < len(sentence) < LENGTH // 2]


def _iin(draw: random.Random) -> str:
    while True:
        number = (
            f"{draw.randrange(60, 99)}{draw.randrange(1, 13):02}{draw.randrange(1, 29):02}3{draw.randrange(10**5):05}"
        )
        if has_valid_checksum(number):
            return number


def chat(text: str, *, stream: bool = False) -> dict[str, object]:
    """The body of one call."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, "max_tokens": MAX_COMPLETION} | ({"stream": True} if stream else {})


def texts(*, with_iin: bool) -> list[str]:
    """The prompts; the same ones every time."""
    draw = random.Random(5)
    sentences = _sentences()
    found = []
    for _ in range(COUNT):
        end = f" Менің ЖСН {_iin(draw)}." if with_iin else " Алдын ала рахмет сізге."
        text = ""
        while len(text) + len(end) < LENGTH:
            text = f"{text} {draw.choice(sentences)}".strip()
        found.append(text[: LENGTH - len(end)] + end)
    return found


def write(path: Path, *, with_iin: bool) -> Path:
    """A file for `wrk.lua`: a body in each line."""
    lines = [json.dumps(chat(text), ensure_ascii=False) for text in texts(with_iin=with_iin)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
