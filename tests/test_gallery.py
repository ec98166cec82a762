"""The gallery: every rule is one that a reader can type, and what a cache keeps follows from it."""

import pytest
import torch

from mini_ism import Mask, Segments, get_mask
from mini_ism.gallery import GALLERY, Exhibit, gallery_segments

NAMED = {each.name: each for each in GALLERY}


@pytest.mark.parametrize("exhibit", GALLERY, ids=lambda each: each.name)
def test_every_rule_can_be_read_and_leaves_nobody_alone(exhibit: Exhibit) -> None:
    assert isinstance(exhibit.mask, Mask)
    assert exhibit.mask.dense(exhibit.segments).any(-1).all()
    assert exhibit.lives


@pytest.mark.parametrize(("messages", "error"), [(0, ValueError), (7, ValueError), (1.5, TypeError)])
def test_the_gallery_has_a_few_messages(messages: int, error: type[Exception]) -> None:
    with pytest.raises(error, match="messages must be"):
        gallery_segments(messages)


def test_names_and_masks_differ() -> None:
    assert len(NAMED) == len(GALLERY)
    rules = [exhibit.rule for exhibit in GALLERY]
    assert len(set(rules)) == len(rules)


@pytest.mark.parametrize(
    ("name", "preset"), [("causal", "causal"), ("prefix", "prefix"), ("ISM", "ism"), ("MAS", "ism")]
)
def test_the_rules_of_the_course_are_its_presets(name: str, preset: str) -> None:
    for messages in range(1, 7):
        s = gallery_segments(messages)
        assert torch.equal(NAMED[name].mask.dense(s), get_mask(preset).dense(s))


def test_the_first_query_is_read_both_ways_and_no_later_one() -> None:
    s = gallery_segments(5)
    ahead = NAMED["first query only"].mask.dense(s).triu(1).any(-1)
    assert set(s.id[ahead].tolist()) == {0, 1}


def test_a_block_of_diffusion_sees_itself_and_the_past() -> None:
    dense = NAMED["block diffusion"].mask.dense(gallery_segments(5))
    by_hand = [[j // 4 <= i // 4 for j in range(len(dense))] for i in range(len(dense))]
    assert dense.tolist() == by_hand


def test_what_the_cache_keeps() -> None:
    kept = {name: exhibit.kept for name, exhibit in NAMED.items()}
    assert kept.pop("bidirectional") == kept.pop("prefix") == (0, 21)
    assert kept.pop("block diffusion") == (20, 21)  # the last block is open: its tokens see what comes
    assert set(kept.values()) == {(21, 21)}


def test_packed_dialogues_do_not_see_each_other() -> None:
    packed = NAMED["document"].segments
    assert isinstance(packed, Segments)
    assert packed.document is not None
    dense = NAMED["document"].mask.dense(packed)
    first = packed.document == 0
    assert not dense[~first][:, first].any()
