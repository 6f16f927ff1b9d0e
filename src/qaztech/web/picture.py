"""The picture of the country: where each organisation, its node and its systems stand, and the lines between them.

Pure geometry; the template draws it as SVG. It is laid out twice, from left to right for wide screens and from top to
bottom for narrow ones, and the page shows the one that fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from qaztech.web.country import Country, NodePlace
from qaztech.web.texts import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box: what it stands for, and its words. `key` is how events name it."""

    kind: str
    key: str
    x: float
    y: float
    width: float
    height: float
    title: tuple[str, ...]
    note: str = ""

    @property
    def middle(self) -> tuple[float, float]:
        """The centre."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line between two boxes, as SVG path data, and the point in its middle."""

    kind: str
    key: str
    path: str
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Everything to draw."""

    name: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Sizes of one layout: how a position along the way of a call, and one across it, become x and y."""

    name: str
    steps: tuple[float, float, float, float]  # where caller, consumer node, provider node and system begin
    box: tuple[float, float]
    node: tuple[float, float]
    across: float  # from one row (or column) to the next
    letters: int  # that fit in a line of a box

    @property
    def wide(self) -> bool:
        """Whether calls go from left to right."""
        return self.name == "wide"

    def place(self, step: int, across: float, size: tuple[float, float]) -> tuple[float, float]:
        """The corner of a box at a step of the way, centred `across` it."""
        along = self.steps[step]
        return (along, across - size[1] / 2) if self.wide else (across - size[0] / 2, along)


_WIDE = _Shape(
    name="wide", steps=(0, 200, 644, 912), box=(168, 84), node=(236, 112), across=146, letters=21
)  # fmt: skip
_NARROW = _Shape(
    name="narrow", steps=(92, 206, 396, 546), box=(164, 76), node=(168, 116), across=180, letters=16
)  # fmt: skip


def pictures(country: Country, language: str, texts: Catalogue) -> tuple[Picture, ...]:
    """Both layouts of a country."""
    return tuple(_draw(country, language, texts["portal"], shape) for shape in (_WIDE, _NARROW))


def wrap(text: str, letters: int, lines: int = 2) -> tuple[str, ...]:
    """A text in at most so many lines of about so many letters; what does not fit is cut with an ellipsis."""
    found: list[str] = []
    for word in text.split():
        if found and len(found[-1]) + 1 + len(word) <= letters:
            found[-1] += f" {word}"
        else:
            found.append(word)
    if len(found) > lines:
        found = [*found[: lines - 1], f"{found[lines - 1][: letters - 1]}…"]
    return tuple(line if len(line) <= letters + 2 else f"{line[:letters]}…" for line in found)


def _draw(country: Country, language: str, words: dict[str, str], shape: _Shape) -> Picture:
    drawing = _Drawing(country, language, words, shape)
    drawing.draw()
    return Picture(
        name=shape.name,
        width=drawing.width,
        height=drawing.height,
        boxes=tuple(drawing.boxes),
        lines=tuple(drawing.lines),
    )


class _Drawing:
    """One layout in the making."""

    def __init__(self, country: Country, language: str, words: dict[str, str], shape: _Shape) -> None:
        self._country = country
        self._language = language
        self._words = words
        self._shape = shape
        self._providers = [node for node in country.nodes if country.provides(node)]
        self._callers = [node for node in country.nodes if node not in self._providers]
        rows = max(len(self._providers), len(self._callers), 1)
        self.width = 1080.0 if shape.wide else 360.0
        self.height = 2 * 96 + 10 + rows * shape.across if shape.wide else 750.0
        self._middle = 96 + rows * shape.across / 2 if shape.wide else self.width / 2
        self.boxes: list[Box] = []
        self.lines: list[Line] = []

    def draw(self) -> None:
        """Callers on one side, providers on the other, every pair of nodes linked."""
        nodes: dict[str, Box] = {}
        for side in (self._callers, self._providers):
            for i, node in enumerate(side):
                across = self._middle + (i - (len(side) - 1) / 2) * self._shape.across
                nodes[node.name] = self._node(node, across)
                self._system(node, nodes[node.name], across)
        registry, witnesses = self._about()
        if self._shape.wide:
            for box in nodes.values():
                self.lines += [
                    _link(box, about, self._shape, f"{about.key} {box.key}", "quiet") for about in (registry, witnesses)
                ]
        for a, b in combinations([*self._callers, *self._providers], 2):
            kind = "link" if a in self._callers and b in self._providers else "aside"
            self.lines.append(_link(nodes[a.name], nodes[b.name], self._shape, f"{a.name} {b.name}", kind))
        self.boxes += [*nodes.values(), registry, witnesses]

    def _node(self, node: NodePlace, across: float) -> Box:
        shape = self._shape
        x, y = shape.place(2 if node in self._providers else 1, across, shape.node)
        title = wrap(node.names.of(self._language), shape.letters, 3)
        width, height = shape.node
        return Box(kind="node", key=node.name, x=x, y=y, width=width, height=height, title=title, note=node.member)

    def _system(self, node: NodePlace, beside: Box, across: float) -> None:
        """The system that calls through a node, or the one behind it."""
        shape = self._shape
        systems = self._country.provides(node)
        what, code = ("system", systems[0].name) if systems else ("caller", node.system.rpartition("/")[2])
        x, y = shape.place(3 if systems else 0, across, shape.box)
        width, height = shape.box
        title, key = wrap(self._words[what], 14), f"{what} {node.name}"
        box = Box(kind="system", key=key, x=x, y=y, width=width, height=height, title=title, note=code)
        self.boxes.append(box)
        self.lines.append(_link(box, beside, shape, key, "wire"))

    def _about(self) -> tuple[Box, Box]:
        """The registry above, the witnesses below."""
        words, names = self._words, ", ".join(witness.name for witness in self._country.witnesses)
        width, height = (300.0, 62.0) if self._shape.wide else (340.0, 62.0)

        def box(key: str, y: float, note: str) -> Box:
            x = (self.width - width) / 2
            return Box(kind="about", key=key, x=x, y=y, width=width, height=height, title=(words[key],), note=note)

        return box("registry", 0, words["registry-lead"]), box("witnesses", self.height - height, names)


def _link(a: Box, b: Box, shape: _Shape, key: str, kind: str) -> Line:
    """A smooth line from the side of one box to the facing side of another."""
    (ax, ay), (bx, by) = a.middle, b.middle
    lengthwise = kind not in {"quiet", "aside"} if shape.wide else False
    if lengthwise and abs(bx - ax) > a.width / 2:
        sign = 1 if bx > ax else -1
        ax, bx = ax + sign * a.width / 2, bx - sign * b.width / 2
        half = (ax + bx) / 2
        path = f"M{ax:g},{ay:g} C{half:g},{ay:g} {half:g},{by:g} {bx:g},{by:g}"
    elif not shape.wide and abs(by - ay) < 1:
        sign = 1 if bx > ax else -1
        ax, bx = ax + sign * a.width / 2, bx - sign * b.width / 2
        path = f"M{ax:g},{ay:g} L{bx:g},{by:g}"
    else:
        sign = 1 if by > ay else -1
        ay, by = ay + sign * a.height / 2, by - sign * b.height / 2
        half = (ay + by) / 2
        path = f"M{ax:g},{ay:g} C{ax:g},{half:g} {bx:g},{half:g} {bx:g},{by:g}"
    # Words stand in the middle of a line, or at its beginning where there is no room for two beside each other.
    x, y = ((ax + bx) / 2, (ay + by) / 2) if shape.wide else (a.middle[0], a.y + a.height + 22)
    return Line(kind=kind, key=key, path=path, x=x, y=y)
