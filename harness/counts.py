"""Instructions by function: the total and its parts, and how two of them differ. Pure."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Counts:
    """`total` instructions, and how many of them each function executed itself."""

    total: int
    functions: dict[str, int]

    def difference(self, baseline: Counts) -> dict[str, int]:
        """Instructions that each function gained over `baseline`, largest change first, unchanged ones left out."""
        names = self.functions.keys() | baseline.functions.keys()
        changes = {name: self.functions.get(name, 0) - baseline.functions.get(name, 0) for name in names}
        return dict(sorted(((n, c) for n, c in changes.items() if c), key=lambda item: (-abs(item[1]), item[0])))
