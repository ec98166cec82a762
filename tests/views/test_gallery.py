"""The gallery as a picture and as a table."""

from dataclasses import replace

from mini_ism.gallery import GALLERY
from mini_ism.views import gallery_figure, gallery_table, png_bytes


def test_a_panel_for_each_mask_with_its_name() -> None:
    figure = gallery_figure()
    assert [axes.get_title() for axes in figure.axes] == [each.name for each in GALLERY]
    for exhibit in GALLERY:
        pairs = int(exhibit.mask.dense(exhibit.segments).sum())
        assert f"{exhibit.name}: {pairs} visible pairs" in figure.alt
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_a_row_for_each_mask_whose_cache_is_computed() -> None:
    table = gallery_table([replace(GALLERY[0], rule="causal | inside(5)"), replace(GALLERY[0], rule="bidirectional")])
    assert [row[2] for row in table.rows] == ["21 of 21", "0 of 21"]
    assert [row[1] for row in gallery_table().rows] == [each.rule for each in GALLERY]
