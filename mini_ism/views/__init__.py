"""Pictures from plain arrays: SVG strings for the page, matplotlib figures for paper. No widget in here."""

from mini_ism.views.cache_strip import cache_strip
from mini_ism.views.figures import (
    Figure,
    cache_figure,
    mask_figure,
    png_bytes,
    turn_cost_figure,
)
from mini_ism.views.mask_map import mask_map
from mini_ism.views.picture import Picture, bundle
from mini_ism.views.timeline import Frame, frames
from mini_ism.views.words import describe_row, ranges, token_labels, token_roles

__all__ = [
    "Figure",
    "Frame",
    "Picture",
    "bundle",
    "cache_figure",
    "cache_strip",
    "describe_row",
    "frames",
    "mask_figure",
    "mask_map",
    "png_bytes",
    "ranges",
    "token_labels",
    "token_roles",
    "turn_cost_figure",
]
