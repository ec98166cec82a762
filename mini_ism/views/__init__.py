"""Pictures from a :class:`TokenizedDialogue` and plain arrays: SVG for the page, matplotlib figures for print, tables.

No widgets here. Modules that need matplotlib are loaded on first use, so that an SVG or a table need not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mini_ism.views.block_lanes import block_lanes
from mini_ism.views.descriptions import describe_attention, describe_row
from mini_ism.views.dialogue_view import TokenizedDialogue, tokenized
from mini_ism.views.mask_map import mask_map, row_strip
from mini_ism.views.picture import Picture, standalone
from mini_ism.views.stale_proof import stale_proof
from mini_ism.views.tables import Table
from mini_ism.views.turn_bars import turn_bars

if TYPE_CHECKING:
    from mini_ism.views.attention_figures import (
        attention_figure,
        difference_figure,
        head_bars_figure,
        heads_figure,
        stages_figure,
    )
    from mini_ism.views.curves import curve_figure, curve_picture, progress_figure
    from mini_ism.views.figures import Figure, mask_figure, png_bytes, turn_cost_figure
    from mini_ism.views.gallery import gallery_figure, gallery_table
    from mini_ism.views.losses import loss_figure
    from mini_ism.views.regression import error_figure, path_figure
    from mini_ism.views.scores import score_figure, score_table
    from mini_ism.views.sweep_figures import interval_figure, seeds_figure

__all__ = [
    "Figure",
    "Picture",
    "Table",
    "TokenizedDialogue",
    "attention_figure",
    "block_lanes",
    "curve_figure",
    "curve_picture",
    "describe_attention",
    "describe_row",
    "difference_figure",
    "error_figure",
    "gallery_figure",
    "gallery_table",
    "head_bars_figure",
    "heads_figure",
    "interval_figure",
    "loss_figure",
    "mask_figure",
    "mask_map",
    "path_figure",
    "png_bytes",
    "progress_figure",
    "row_strip",
    "score_figure",
    "score_table",
    "seeds_figure",
    "stages_figure",
    "stale_proof",
    "standalone",
    "tokenized",
    "turn_bars",
    "turn_cost_figure",
]

_WITH_MATPLOTLIB = {
    "attention_figures": (
        "attention_figure",
        "difference_figure",
        "head_bars_figure",
        "heads_figure",
        "stages_figure",
    ),
    "curves": ("curve_figure", "curve_picture", "progress_figure"),
    "figures": ("Figure", "mask_figure", "png_bytes", "turn_cost_figure"),
    "gallery": ("gallery_figure", "gallery_table"),
    "losses": ("loss_figure",),
    "regression": ("error_figure", "path_figure"),
    "scores": ("score_figure", "score_table"),
    "sweep_figures": ("interval_figure", "seeds_figure"),
}
"""The names of each module that is loaded on demand."""


if not TYPE_CHECKING:  # a type checker knows the names from above, and that there are no others

    def __getattr__(name: str) -> Any:
        for module, names in _WITH_MATPLOTLIB.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
