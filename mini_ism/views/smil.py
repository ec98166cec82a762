"""Motion inside an SVG (SMIL): what changes, and when. Browsers play it in an ``<img>``, too, over and over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Changes = Sequence[tuple[float, object]]
"""(second, value from then on), in order; the first value holds from the beginning."""


@dataclass(frozen=True)
class Loop:
    """A picture's clock: ``seconds`` long, then it begins anew.

    Each method returns an element to stand inside the element that it moves. Give that element its last value, which
    is what is seen where nothing can be played.
    """

    seconds: float

    def steps(self, attribute: str, changes: Changes) -> str:
        """Let an attribute jump from value to value; nothing where it has only one."""
        if len(changes) < 2:
            return ""
        return f'<animate attributeName="{attribute}" {self._timing(changes)} calcMode="discrete"/>'

    def shifts(self, changes: Changes) -> str:
        """The same for a shift, ``"x y"``."""
        if len(changes) < 2:
            return ""
        return (
            f'<animateTransform attributeName="transform" type="translate" {self._timing(changes)} '
            'calcMode="discrete"/>'
        )

    def between(self, start: float, stop: float) -> str:
        """Show something from one second to another."""
        changes: list[tuple[float, object]] = [(0.0, "hidden"), (start, "visible"), (stop, "hidden")]
        if stop >= self.seconds:
            changes.pop()
        return self.steps("visibility", changes[1:] if start <= 0 else changes)

    def fade_in(self, at: float, faded: float, seconds: float = 0.4) -> str:
        """Bring something out, from a faint look to a full one."""
        changes: Changes = [(0.0, faded), (at, faded), (min(at + seconds, self.seconds), 1), (self.seconds, 1)]
        return f'<animate attributeName="opacity" {self._timing(changes)}/>'

    def _timing(self, changes: Changes) -> str:
        values = ";".join(f"{value:g}" if isinstance(value, float) else str(value) for _, value in changes)
        times = ";".join(f"{round(max(at, 0.0) / self.seconds, 5):g}" for at, _ in changes)
        return f'values="{values}" keyTimes="{times}" dur="{self.seconds:g}s" repeatCount="indefinite"'
