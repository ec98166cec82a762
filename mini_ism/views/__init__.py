"""Pictures from plain arrays: SVG strings for the page, matplotlib figures for paper. No widget in here."""

from mini_ism.views.attention_figures import (
    attention_figure,
    difference_figure,
    head_bars_figure,
    heads_figure,
    stages_figure,
    swap_figure,
)
from mini_ism.views.attention_map import attention_heads, attention_map
from mini_ism.views.attention_row import attention_row
from mini_ism.views.attention_words import describe_attention, describe_difference
from mini_ism.views.cache_film import cache_film
from mini_ism.views.cache_strip import cache_strip
from mini_ism.views.curves import curve_figure, curve_picture
from mini_ism.views.evidence import interval_figure, latency_figure, seeds_figure
from mini_ism.views.export import standalone
from mini_ism.views.figures import (
    Figure,
    cache_figure,
    mask_figure,
    png_bytes,
    turn_cost_figure,
)
from mini_ism.views.mask_map import mask_map
from mini_ism.views.picture import Picture, bundle
from mini_ism.views.progress import progress_figure
from mini_ism.views.regression import error_figure, path_figure
from mini_ism.views.row_strip import row_strip
from mini_ism.views.scores import score_figure, score_table, tradeoff_figure
from mini_ism.views.stale_proof import describe_stale, stale_proof
from mini_ism.views.tables import Table
from mini_ism.views.timeline import Frame, frames
from mini_ism.views.turn_bars import turn_bars
from mini_ism.views.words import describe_row, ranges, token_labels, token_roles

__all__ = [
    "Figure",
    "Frame",
    "Picture",
    "Table",
    "attention_figure",
    "attention_heads",
    "attention_map",
    "attention_row",
    "bundle",
    "cache_figure",
    "cache_film",
    "cache_strip",
    "curve_figure",
    "curve_picture",
    "describe_attention",
    "describe_difference",
    "describe_row",
    "describe_stale",
    "difference_figure",
    "error_figure",
    "frames",
    "head_bars_figure",
    "heads_figure",
    "interval_figure",
    "latency_figure",
    "mask_figure",
    "mask_map",
    "path_figure",
    "png_bytes",
    "progress_figure",
    "ranges",
    "row_strip",
    "score_figure",
    "score_table",
    "seeds_figure",
    "stages_figure",
    "stale_proof",
    "standalone",
    "swap_figure",
    "token_labels",
    "token_roles",
    "tradeoff_figure",
    "turn_bars",
    "turn_cost_figure",
]
