"""The one drawing of call paths: callers above what they called, as wide as their instructions. A run -> SVG. Pure.

The command line puts it into a file, and the published pages show it; there site/flame.js walks and zooms it, and
draws nothing. Places are per cent of the graph's width, so it is as wide as whatever holds it. Colours stand for the
program's parts; in a difference for how much a path gained (warm) or lost (cold).
"""

from __future__ import annotations

import dataclasses
import html

from harness.profile.comparison import Run
from harness.profile.components import Components
from harness.profile.model import CallPath
from harness.profile.symbols import Function
from harness.system import printable

#: The height of a row of boxes; site/flame.js knows it too.
_ROW = 18
#: A file's width, and what it leaves beside and above the graph.
_WIDTH, _MARGIN, _HEADER = 1200, 10, 52
#: In a box of less than so many pixels no letter can be read, and so none is shown.
_LEGIBLE = 26
#: Paths of less than this share of the whole are not drawn.
_LEAST = 0.0005
_NAME = 160

#: What a graph needs beside it, wherever it is shown.
STYLE = """\
.flame { display: block; font: 11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }
.flame text { fill: #14171c; pointer-events: none }
.flame rect { stroke: #fff; stroke-width: 1 }
.flame .narrow text, .flame.by-change .part, .flame:not(.by-change) .change { display: none }
@media (prefers-color-scheme: dark) {
  .flame text { fill: #f2f4f7 }
  .flame rect { stroke: #14171c; fill-opacity: .45 }
}
"""
_PAPER = """\
svg { background: #fff; color: #1b1f24; font: 11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }
text { fill: currentColor }
.head { font-size: 14px; font-weight: bold }
@media (prefers-color-scheme: dark) { svg { background: #14171c; color: #e6e9ee } }
"""


@dataclasses.dataclass(frozen=True)
class Graph:
    """An SVG element, and how many pixels it is high."""

    text: str
    height: int


@dataclasses.dataclass(slots=True)
class _Weighed:
    """A place in a tree of calls with everything that was called from there."""

    inclusive: int
    called: dict[Function, _Weighed]


def graph(
    run: Run,
    components: Components,
    base: Run | None = None,
    *,
    least: float = _LEAST,
    parts: dict[str, int] | None = None,
) -> Graph:
    """The graph of a run. With `base`, the same case before, every box has the colour of its change too, which shows
    where the element is of the class `by-change`. `parts` numbers the parts, and gets those that it lacks: equal
    numbers, equal colours."""
    numbers = {} if parts is None else parts
    whole = _weighed(run.profile.paths)
    before = None if base is None else _weighed(base.profile.paths)
    total = max(1, whole.inclusive)
    boxes: list[str] = []
    deepest = 0

    def box(function: Function, path: _Weighed, was: _Weighed | None, left: float, depth: int) -> None:
        nonlocal deepest
        deepest = max(deepest, depth)
        here, share = path.inclusive / run.calls, path.inclusive / total
        part = components.of(function, run.is_python(function))
        told = f"{function.name}\n{function.place} ({part})\n{here:,.2f} instructions a call, {share:.2%}"
        rects = _rect("part", f"hsl({hue(numbers.setdefault(part, len(numbers)))}, 58%, 76%)")
        if base is not None:
            change = here - (0.0 if was is None else was.inclusive / base.calls)
            told += f"\n{change:+,.2f} since the base"
            rects += _rect("change", _heat(change / max(here, 1e-9)))
        narrow = ' class="narrow"' if share * (_WIDTH - 2 * _MARGIN) < _LEGIBLE else ""
        place = f'x="{100 * left:.3f}%" y="{depth * _ROW}" width="{100 * share:.3f}%" height="{_ROW - 1}"'
        name = f'<text x="3" y="13">{_text(function.name[:_NAME])}</text>'
        boxes.append(f"<g{narrow}><title>{_text(told)}</title><svg {place}>{rects}{name}</svg></g>")
        below(path, was, left, depth + 1)

    def below(path: _Weighed, was: _Weighed | None, left: float, depth: int) -> None:
        for function, called in sorted(path.called.items(), key=lambda item: (-item[1].inclusive, item[0])):
            if called.inclusive < least * total:
                break
            box(function, called, was.called.get(function) if was is not None else None, left, depth)
            left += called.inclusive / total

    below(whole, before, 0.0, 0)
    height = (deepest + 1) * _ROW
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" class="flame" width="100%" height="{height}">'
    return Graph("\n".join([opening, *boxes, "</svg>"]), height)


def picture(drawn: Graph, title: str, subtitle: str, *, by_change: bool) -> str:
    """The text of an SVG file, which needs nothing beside it."""
    kind, height = "flame by-change" if by_change else "flame", _HEADER + drawn.height + _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" role="img">',
            f"<title>{_text(title)}</title>",
            f"<style>{_PAPER}{STYLE}</style>",
            f'<text class="head" x="{_MARGIN}" y="20">{_text(title)}</text>',
            f'<text x="{_MARGIN}" y="38">{_text(subtitle)}</text>',
            f'<svg x="{_MARGIN}" y="{_HEADER}" width="{_WIDTH - 2 * _MARGIN}" height="{drawn.height}">',
            drawn.text.replace('class="flame"', f'class="{kind}"', 1),
            "</svg>",
            "</svg>\n",
        ]
    )


def hue(part: int) -> float:
    """Of a part, by its number: those of the first parts are far from each other."""
    return (47 + part * 137.5) % 360


def _weighed(path: CallPath) -> _Weighed:
    called = {function: _weighed(below) for function, below in path.called.items()}
    return _Weighed(path.own + sum(below.inclusive for below in called.values()), called)


def _rect(kind: str, colour: str) -> str:
    return f'<rect class="{kind}" width="100%" height="{_ROW - 1}" fill="{colour}"/>'


def _text(text: str) -> str:
    """Text as XML's: control characters, which no XML may have, as their escapes."""
    return html.escape(printable.shown(text))


def _heat(share: float) -> str:
    """Warm where `share` of a box is gain, cold where it is loss, deepest from a tenth on."""
    depth = min(1.0, abs(share) * 10)
    if depth < 0.001:
        return "hsl(0, 0%, 86%)"
    return f"hsl({8 if share > 0 else 215}, {40 + 45 * depth:.0f}%, {86 - 26 * depth:.0f}%)"
