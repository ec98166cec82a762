"""The gallery of masks, as one picture of small maps and as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mini_ism.gallery import GALLERY, Exhibit
from mini_ism.views.figures import Figure, draw_mask, mask_legend, own_style
from mini_ism.views.tables import Table

COLUMNS = 5


@own_style
def gallery_figure(exhibits: Sequence[Exhibit] = GALLERY) -> Figure:
    """The masks side by side, each on the gallery's dialogue; white lines separate its messages."""
    rows = math.ceil(len(exhibits) / COLUMNS)
    figure = Figure(figsize=(1.75 * COLUMNS, 2.05 * rows + 0.5), layout="constrained")
    facts = []
    for number, exhibit in enumerate(exhibits, start=1):
        allowed = exhibit.mask.dense(exhibit.segments).numpy()  # (T, T)
        axes = figure.add_subplot(rows, COLUMNS, number)
        facts.append(draw_mask(axes, exhibit.name, allowed, fontsize=11))
        for border in (exhibit.segments.id.diff().nonzero()[:, 0] + 0.5).tolist():
            axes.axhline(border, color="white", linewidth=1)
            axes.axvline(border, color="white", linewidth=1)
        axes.set(xticks=[], yticks=[])
    mask_legend(figure)
    figure.alt = f"A gallery of masks on one dialogue: system, user, assistant, user, assistant. {'; '.join(facts)}."
    return figure


def gallery_table(exhibits: Sequence[Exhibit] = GALLERY) -> Table:
    """Each mask's rule, what it lets a cache keep when a question arrives, and where it is defined."""
    rows = [(each.name, each.rule, "{} of {}".format(*each.kept), each.lives) for each in exhibits]
    return Table(("mask", "rule", "the cache keeps", "where it lives"), rows, frozenset({0, 1, 3}))
