"""The gallery of masks, as one picture of small maps and as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from mini_ism.gallery import GALLERY, Exhibit
from mini_ism.views.figures import Figure, own_style
from mini_ism.views.styles import LIGHT
from mini_ism.views.tables import Table

COLUMNS = 5


@own_style
def gallery_figure(exhibits: Sequence[Exhibit] = GALLERY) -> Figure:
    """The masks side by side, each on the gallery's dialogue; white lines part its messages."""
    rows = math.ceil(len(exhibits) / COLUMNS)
    figure = Figure(figsize=(1.75 * COLUMNS, 2.05 * rows + 0.5), layout="constrained")
    colours = ListedColormap([LIGHT["hidden"], LIGHT["back"], LIGHT["ahead"]])
    facts = []
    for number, exhibit in enumerate(exhibits, start=1):
        allowed = exhibit.mask.dense(exhibit.segments).numpy()  # (T, T)
        axes = figure.add_subplot(rows, COLUMNS, number)
        axes.imshow(np.tril(allowed) + 2 * np.triu(allowed, 1), cmap=colours, vmin=0, vmax=2, interpolation="nearest")
        for border in (exhibit.segments.id.diff().nonzero()[:, 0] + 0.5).tolist():
            axes.axhline(border, color="white", linewidth=1)
            axes.axvline(border, color="white", linewidth=1)
        axes.set(xticks=[], yticks=[])
        axes.set_title(exhibit.name, fontsize=11)
        ahead = int(np.triu(allowed, 1).sum())
        facts.append(f"{exhibit.name}: {int(allowed.sum())} visible pairs, {ahead} of them look ahead")
    swatches = {"reads back": "back", "looks ahead": "ahead", "hidden": "hidden"}
    handles = [Patch(facecolor=LIGHT[c], edgecolor="#777", linewidth=0.5, label=t) for t, c in swatches.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    figure.alt = f"A gallery of masks on one dialogue: system, user, assistant, user, assistant. {'; '.join(facts)}."
    return figure


def gallery_table(exhibits: Sequence[Exhibit] = GALLERY) -> Table:
    """Each mask's rule, what it lets a cache keep when a question comes, and where it lives."""
    rows = [(each.name, each.rule, "{} of {}".format(*each.kept), each.lives) for each in exhibits]
    return Table(("mask", "rule", "the cache keeps", "where it lives"), rows, frozenset({0, 1, 3}))
