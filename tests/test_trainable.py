"""Rules that training refuses: those that show a target, or mean something else in training than in chat."""

from itertools import islice

import pytest
import torch
from torch import Tensor

from benchmarks.random_cases import reads_a_length, reads_ends
from mini_ism import Mask, Segments, get_mask, load_tokenizer
from mini_ism.batching import turns_independent
from mini_ism.corpus import generate
from mini_ism.masks import MASKS
from mini_ism.trainable import NotTrainableError, check_trainable

TOKENIZER = load_tokenizer()
DIALOGUES = list(islice(generate(2), 6))
assert any(dialogue.messages[0]["role"] == "system" for dialogue in DIALOGUES)


def check(mask: Mask) -> None:
    check_trainable(mask, DIALOGUES, TOKENIZER, expand=not turns_independent(mask, DIALOGUES, TOKENIZER))


def test_presets_that_cannot_be_trained_say_so_and_the_others_can() -> None:
    for mask in (mask for mask in MASKS.values() if mask.rule.__module__ == "mini_ism.masks"):
        if "cannot be trained" in (mask.__doc__ or ""):
            with pytest.raises(ValueError, match=r"cannot be trained|nothing to attend to"):
                check(mask)
        else:
            check(mask)


@pytest.mark.parametrize(
    "name",
    ["ism(sink=True)", "ism(system_as_query=False)", "causal & (sliding_window(8) | sink(4))", "causal | inside(0)"],
)
def test_masks_of_the_course_can_be_trained(name: str) -> None:
    check(get_mask(name))


@pytest.mark.parametrize("name", ["bidirectional", "causal | same_segment", "sliding_window(2)", "kv <= q + 1"])
def test_a_rule_that_shows_a_target_is_refused_by_its_position(name: str) -> None:
    message = (
        r"cannot be trained: position (\d+) \(.*\) has to predict position (\d+) \(.*\) and sees position \d+ .*"
        "Let answers read backwards only"
    )
    with pytest.raises(NotTrainableError, match=message):
        check(get_mask(name))


def whispering(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """The first token reads everything, and everybody reads the first token: a leak through two layers."""
    return (kv <= q) | (q == 0)


def from_the_end(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """A window that is measured from where a segment ends, which moves while it is written."""
    return (kv <= q) & ((s.end[q] - kv < 30) | (kv == q))


def first_two(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """A sink by absolute position: only the first dialogue of a packed row has one."""
    return (kv <= q) & ((kv < 2) | (q - kv < 6))


def first_two_of_each(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    return (kv <= q) & ((s.position[kv] < 2) | (q - kv < 6))


def of_a_table(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Reads the largest segment number, which others in the row may have raised."""
    return (kv <= q) & ((s.id[kv] < s.id.max()) | (kv == q))


def test_a_leak_through_another_position_is_found() -> None:
    with pytest.raises(NotTrainableError, match="and hears through other positions of position"):
        check(Mask(whispering, "whispering"))


@pytest.mark.parametrize("rule", [from_the_end, reads_a_length, of_a_table, reads_ends])
def test_a_rule_that_changes_while_an_answer_is_written_is_refused(rule: object) -> None:
    with pytest.raises(NotTrainableError, match=r"cannot be trained"):
        check(Mask(rule, "moving"))  # type: ignore[arg-type]


def test_a_rule_of_absolute_positions_is_refused_and_its_remedy_works() -> None:
    with pytest.raises(NotTrainableError, match=r"in a row with others, from position \d+ on, .*by s\.position\[q\]"):
        check(Mask(first_two, "first_two"))
    check(Mask(first_two_of_each, "first_two_of_each"))


def test_what_is_compared_is_the_whole_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that reads of each pair by itself is spared the look at every length; the look finds the same."""
    monkeypatch.setattr("mini_ism.trainable.Reads.fields", lambda *_: None)
    for name in ("causal", "ism", "prefix"):
        check(get_mask(name))


def test_nothing_to_try_it_on() -> None:
    with pytest.raises(ValueError, match="nothing to try the rule on"):
        check_trainable(get_mask("ism"), [], TOKENIZER, expand=False)
    assert torch.is_grad_enabled()
