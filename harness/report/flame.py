"""Call paths as a picture: a Path -> SVG, callers above what they called, as wide as their instructions. Pure.

Colours stand for the program's parts; in a difference for how much a path gained (warm) or lost (cold).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from xml.sax import saxutils

from harness.profile.model import CallPath
from harness.profile.symbols import Function
from harness.system import printable

_WIDTH, _ROW, _MARGIN, _HEADER, _LETTER = 1200.0, 18, 10, 52, 6.7
#: Narrower boxes, in parts of a pixel, are not drawn.
_NARROWEST = 0.6

_STYLE = """
svg { background: #fff; color: #1b1f24; font: 11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }
text { fill: currentColor; pointer-events: none }
.head { font-size: 14px; font-weight: bold }
rect { stroke: #fff; stroke-width: .5 }
@media (prefers-color-scheme: dark) {
  svg { background: #14171c; color: #e6e9ee }
  rect { stroke: #14171c; filter: brightness(.55) }
}
"""


@dataclasses.dataclass(frozen=True)
class Picture:
    """What a flame graph says around its boxes. `per_call` makes instructions of a run into those of a call."""

    title: str
    subtitle: str
    per_call: Callable[[int], float]


def draw(paths: CallPath, picture: Picture, part_of: Callable[[Function], str], base: CallPath | None = None) -> str:
    """The text of an SVG file. With `base`, the same case's paths before, coloured by the difference from it."""
    total = max(1, paths.inclusive)
    boxes: list[str] = []
    deepest = 0

    def box(function: Function, path: CallPath, before: CallPath | None, left: float, depth: int) -> None:
        nonlocal deepest
        inclusive = path.inclusive
        width = inclusive / total * (_WIDTH - 2 * _MARGIN)
        if width < _NARROWEST:
            return
        deepest = max(deepest, depth)
        here = picture.per_call(inclusive)
        part = part_of(function)
        told = f"{function.name}\n{function.place} ({part})\n{here:,.2f} instructions a call, {inclusive / total:.2%}"
        colour = _colour(part)
        if base is not None:
            change = here - (picture.per_call(before.inclusive) if before is not None else 0.0)
            told += f"\n{change:+,.2f} since the base"
            colour = _heat(change / max(here, 1e-9))
        boxes.append(_box(left, _HEADER + depth * _ROW, width, function.name, told, colour))
        children(path, before, left, depth + 1)

    def children(path: CallPath, before: CallPath | None, left: float, depth: int) -> None:
        for name, below in sorted(path.called.items(), key=lambda item: (-item[1].inclusive, item[0])):
            box(name, below, before.called.get(name) if before is not None else None, left, depth)
            left += below.inclusive / total * (_WIDTH - 2 * _MARGIN)

    children(paths, base, float(_MARGIN), 0)
    height = _HEADER + (deepest + 1) * _ROW + _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH:.0f}" height="{height}" role="img">',
            f"<title>{_text(picture.title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<text class="head" x="{_MARGIN}" y="20">{_text(picture.title)}</text>',
            f'<text x="{_MARGIN}" y="38">{_text(picture.subtitle)}</text>',
            *boxes,
            "</svg>\n",
        ]
    )


def _box(left: float, top: int, width: float, name: str, told: str, colour: str) -> str:
    room = int((width - 6) / _LETTER)
    shown = "" if room < 3 else name if len(name) <= room else f"{name[: room - 1]}…"
    text = f'<text x="{left + 3:.1f}" y="{top + 13}">{_text(shown)}</text>' if shown else ""
    rect = f'<rect x="{left:.2f}" y="{top}" width="{width:.2f}" height="{_ROW - 1}" fill="{colour}"/>'
    return f"<g><title>{_text(told)}</title>{rect}{text}</g>"


def _text(text: str) -> str:
    """Text as XML's: control characters, which no XML may have, as their escapes."""
    return saxutils.escape(printable.shown(text))


def _colour(part: str) -> str:
    """Always the same for the same part."""
    hue = int(hashlib.sha256(part.encode()).hexdigest()[:4], 16) % 360
    return f"hsl({hue}, 62%, 74%)"


def _heat(share: float) -> str:
    """Warm where `share` of a box is gain, cold where it is loss, deepest from a tenth on."""
    depth = min(1.0, abs(share) * 10)
    if depth < 0.001:
        return "hsl(0, 0%, 86%)"
    return f"hsl({8 if share > 0 else 215}, {40 + 45 * depth:.0f}%, {86 - 26 * depth:.0f}%)"
