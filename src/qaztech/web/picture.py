"""The picture of the country: where each organisation, its node and its systems stand, and the lines between them.

Pure geometry; the template draws it as SVG. It is laid out twice, from left to right for wide screens and from top to
bottom for narrow ones, and the page shows the one that fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from qaztech.web.country import Country, NodePlace
from qaztech.web.texts import Catalogue

LINE = 19  # between two lines of text


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
    name="wide", steps=(0, 196, 648, 924), box=(156, 84), node=(236, 112), across=146, letters=23
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
    providers = [node for node in country.nodes if country.provides(node)]
    callers = [node for node in country.nodes if node not in providers]
    rows = max(len(providers), len(callers), 1)
    top, bottom = (96, 96) if shape.wide else (0, 0)
    span = rows * shape.across
    width, height = (1080.0, top + span + bottom + 10) if shape.wide else (360.0, 640.0 + 110)
    middle = top + span / 2 if shape.wide else width / 2
    boxes: dict[str, Box] = {}
    lines: list[Line] = []
    for side, nodes in ((1, callers), (2, providers)):
        for i, node in enumerate(nodes):
            across = middle + (i - (len(nodes) - 1) / 2) * shape.across
            boxes[node.name] = _node(node, language, shape, side, across)
            _add_system(country, node, words, shape, side, across, boxes, lines)
    lines += [
        _link(boxes[a.name], boxes[b.name], shape, f"{a.name} {b.name}", "link" if b in providers else "aside")
        for a, b in combinations([*callers, *providers], 2)
    ]
    about = _about(country, words, shape, width, height)
    quiet = [_link(box, about[0], shape, f"registry {box.key}", "quiet") for box in boxes.values() if box.kind == "node"]
    quiet += [_link(box, about[1], shape, f"witnesses {box.key}", "quiet") for box in boxes.values() if box.kind == "node"]
    return Picture(
        name=shape.name,
        width=width,
        height=height,
        boxes=(*boxes.values(), *about),
        lines=(*quiet, *lines) if shape.wide else tuple(lines),
    )


def _node(node: NodePlace, language: str, shape: _Shape, side: int, across: float) -> Box:
    x, y = shape.place(side, across, shape.node)
    return Box(
        kind="node",
        key=node.name,
        x=x,
        y=y,
        width=shape.node[0],
        height=shape.node[1],
        title=wrap(node.names.of(language), shape.letters, 3),
        note=node.member,
    )


def _add_system(
    country: Country,
    node: NodePlace,
    words: dict[str, str],
    shape: _Shape,
    side: int,
    across: float,
    boxes: dict[str, Box],
    lines: list[Line],
) -> None:
    """The system that calls through a node, or the one behind it."""
    step = 0 if side == 1 else 3
    x, y = shape.place(step, across, shape.box)
    systems = country.provides(node)
    code = systems[0].name if systems else node.system.rpartition("/")[2]
    title = words["system"] if systems else words["caller"]
    key = f"{'system' if systems else 'caller'} {node.name}"
    box = Box(
        kind="system", key=key, x=x, y=y, width=shape.box[0], height=shape.box[1], title=wrap(title, 14), note=code
    )
    boxes[key] = box
    lines.append(_link(box, boxes[node.name], shape, key, "wire"))


def _about(country: Country, words: dict[str, str], shape: _Shape, width: float, height: float) -> list[Box]:
    """The registry above, the witnesses below."""
    names = ", ".join(witness.name for witness in country.witnesses)
    size = (300.0, 62.0) if shape.wide else (340.0, 62.0)
    x = (width - size[0]) / 2
    return [
        Box(
            kind="about", key="registry", x=x, y=0, width=size[0], height=size[1],
            title=(words["registry"],), note=words["registry-lead"],
        ),
        Box(
            kind="about", key="witnesses", x=x, y=height - size[1], width=size[0], height=size[1],
            title=(words["witnesses"],), note=names,
        ),
    ]  # fmt: skip


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
