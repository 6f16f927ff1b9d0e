"""What can be found wrong with an OpenAPI document: one kind each, with what to do about it in three languages.

A finding's `problem` is English and technical, as the document itself is; the advice is for whoever reads the console.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from qaztech.registry.forms import Names

Severity = Literal["error", "warning"]
Pointer = tuple[str | int, ...]
MAX_FINDINGS = 100
MAX_PROBLEM = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a document: where (JSON pointer; line from 1 where known), what, and what to do about it."""

    severity: Severity
    kind: str
    """A key of `ADVICE`."""
    pointer: str
    line: int | None
    problem: str

    @property
    def advice(self) -> Names:
        """What to do about it."""
        return ADVICE[self.kind]


@dataclass(slots=True)
class Findings:
    """Collects findings, each once, up to `MAX_FINDINGS`; errors push warnings out, never the other way round."""

    _errors: dict[tuple[str, Pointer, str], None] = field(default_factory=dict)
    _warnings: dict[tuple[str, Pointer, str], None] = field(default_factory=dict)

    def error(self, kind: str, pointer: Pointer, problem: str) -> None:
        """Something that stands against publishing."""
        if not self.full:
            self._errors[kind, pointer, problem[:MAX_PROBLEM]] = None

    def warning(self, kind: str, pointer: Pointer, problem: str) -> None:
        """Something to look at."""
        if len(self._warnings) < MAX_FINDINGS:
            self._warnings[kind, pointer, problem[:MAX_PROBLEM]] = None

    @property
    def full(self) -> bool:
        """Whether further errors would not be kept."""
        return len(self._errors) >= MAX_FINDINGS

    @property
    def any_error(self) -> bool:
        """Whether there is an error among them."""
        return bool(self._errors)

    def found(self) -> list[tuple[Severity, str, Pointer, str]]:
        """Errors first, then warnings, at most `MAX_FINDINGS` together."""
        errors: list[tuple[Severity, str, Pointer, str]] = [("error", *entry) for entry in self._errors]
        return (errors + [("warning", *entry) for entry in self._warnings])[:MAX_FINDINGS]


def json_pointer(pointer: Pointer) -> str:
    """A path in the document as RFC 6901 writes it; empty for the whole."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in pointer)[:1000]


ADVICE: Mapping[str, Names] = MappingProxyType({
    "personal-field": Names(
        kk="ЖСН – дербес дерек: паспортта дербес деректер бар екенін және олардың санатын көрсетіңіз.",
        ru="ИИН – персональные данные: укажите в паспорте, что они есть, и их категорию.",
        en="An IIN is personal data: say in the passport that there are some, and of which category.",
    ),
    "schema": Names(
        kk="Осы жерді OpenAPI спецификациясына сай етіп түзетіңіз.",
        ru="Исправьте это место по спецификации OpenAPI.",
        en="Mend this place as the OpenAPI specification has it.",
    ),
    "remote-ref": Names(
        kk="Сыртқы сілтемелер ашылмайды: бәрін бір файлға біріктіріп, сілтемені «#/» белгісінен бастаңыз.",
        ru="Внешние ссылки не открываются: соберите всё в один файл, чтобы ссылка начиналась с «#/».",
        en="Nothing is fetched from outside: bundle everything into one file, so that the reference begins with “#/”.",
    ),
    "missing-ref": Names(
        kk="Сілтеме көрсетіп тұрған бөлімді қосыңыз немесе сілтемені түзетіңіз.",
        ru="Добавьте то, на что указывает ссылка, или исправьте ссылку.",
        en="Add what the reference names, or mend the reference.",
    ),
    "ref-loop": Names(
        kk="Бұл сілтемелер тек бір-бірін көрсетеді: олардың біреуін нақты сипаттамамен алмастырыңыз.",
        ru="Эти ссылки указывают только друг на друга: замените одну из них самим описанием.",
        en="These references lead only to each other: put a description in the place of one.",
    ),
    "path-form": Names(
        kk="Жол «/» белгісінен басталып, сұрау бөлігінсіз («?», «#»), «*» және «..» белгілерінсіз жазылуы керек.",
        ru="Путь начинается с «/» и пишется без строки запроса («?», «#»), без «*» и «..».",
        en="A path begins with “/” and has no query (“?”, “#”), no “*” and no “..”.",
    ),
    "path-parameter": Names(
        kk="Жол үлгісіндегі атаулар мен «path» параметрлерінің атауларын бірдей етіңіз.",
        ru="Сделайте одинаковыми имена в шаблоне пути и имена параметров «path».",
        en="Let the names in the path template and those of its “path” parameters be the same.",
    ),
    "operation-id": Names(
        kk="Әр операцияға өз operationId мәнін беріңіз.",
        ru="Дайте каждой операции свой operationId.",
        en="Give every operation an operationId of its own.",
    ),
    "same-endpoint": Names(
        kk="Бұл жолдарға бір құқық беріледі. Бөлек құқық керек болса, жолдарды тұрақты бөліктерімен ажыратыңыз.",
        ru="На эти пути даётся одно и то же право. Если нужны разные, различите пути постоянной частью.",
        en="One right covers these paths. If they need different ones, tell them apart by a fixed part.",
    ),
    "no-operations": Names(
        kk="Кемінде бір жолды және оның әдісін сипаттаңыз.",
        ru="Опишите хотя бы один путь с методом.",
        en="Describe at least one path with a method.",
    ),
    "undescribed": Names(
        kk="Операцияның не істейтінін «summary» өрісінде бір сөйлеммен жазыңыз: каталогтан соны іздейді.",
        ru="Напишите в «summary» одной фразой, что делает операция: по этому ищут в каталоге.",
        en="Say in “summary” what the operation does, in a sentence: that is what people search for.",
    ),
    "contact": Names(
        kk="Байланыс жасайтын адам көрсетілмейді; паспортта бөлімшенің мекенжайын беріңіз.",
        ru="Контактное лицо не показывается; укажите адрес подразделения в паспорте.",
        en="A contact person is not shown; give the address of an office in the passport.",
    ),
})  # fmt: skip
