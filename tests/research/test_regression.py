"""The sweeps on trained regression: rows become tables, and say what the lessons say of them."""

from itertools import product

import pytest

from mini_ism.results import SWEPT, Row, load_rows
from mini_ism.results.regression import best, claims, differences, mean_error
from mini_ism.results.rows import Config
from research.regression import LINEAR, SOFTMAX, figures, tables


def committed(name: str) -> list[Row]:
    return load_rows(f"regression-{name}")


def made_up(mask: str, seed: int, lr: float, error: float | None, layers: int = 2) -> Row:
    config: Config = {"layers": layers, "mask": mask, "seed": seed, "lr": lr, "steps": 1, "turns": 2}
    turns = [None, None] if error is None else [error + 0.5, error - 0.5]
    return Row(config, {"validation": error, "error": error, "half": error, "turns": turns, "whole": error}, 1.0, {})


def test_tables_and_claims() -> None:
    level = {"causal": 2.4, "ism": 2.1, "prefix": 2.1}
    rows = [made_up(mask, seed, 0.02, at + seed / 100) for mask, at in level.items() for seed in range(5)]
    rows += [made_up("ism", seed, 0.01, 9.0) for seed in range(5)] + [made_up("causal", 0, 0.04, None)]
    found = {claim.text: claim.difference.verdict for claim in claims(rows)}
    assert found == {
        "error, causal - ism, 2 layers, all turns": "more",
        "error, causal - ism, 2 layers, turn 1": "more",
        "error, causal - ism, 2 layers, turn 2": "more",
        "error, ism - prefix, 2 layers, all turns": "tie",
        "error, causal - prefix, 2 layers, all turns": "more",
    }
    text = tables(rows, task="A task.")
    widths = {line.count(" | ") for line in text.split("\n\n")[2].splitlines()}
    assert widths == {8}  # as many cells as headings
    assert "| 2 | ism | 0.02, the largest tried | 5 | 2.12 (2.10 to 2.14) |" in text
    assert "| 2 | causal | 0.02 | 5 |" in text
    assert "| 2 | causal - ism | all | 0.300 (0.300 to 0.300) | more | yes |" in text
    assert "| 2 | causal |  | 2.42 (5)\\* | diverged (1) |" in text
    assert claims(rows[:3]) == []  # a sweep that has only just begun
    none = [
        made_up(mask, seed, 0.02, 2.0 if seed == turn else None) for turn, mask in enumerate(SWEPT) for seed in (0, 1)
    ]
    assert {claim.difference.verdict for claim in claims(none)} == {"diverged"}
    assert "| 2 | causal - ism | all | diverged | diverged | no |" in tables(none, task="A task.")


def test_the_picture_shows_each_turn_at_each_masks_best_rate() -> None:
    rows = [made_up("ism", seed, 0.02, 2.0, layers) for layers in (3, 1, 2) for seed in range(2)]
    rows += [made_up("ism", seed, 0.01, 9.0) for seed in range(2)] + [made_up("causal", 0, 0.02, 2.5)]
    alt = "causal 2.5, ism 2 (2 to 2); 2 layers, turn 1: causal 3, ism 2.5 (2.5 to 2.5); 2 layers, turn 2: causal 2, "
    assert f"2 layers, all turns: {alt}ism 1.5 (1.5 to 1.5); 3 layers, all turns: ism 2" in figures(rows)["errors"].alt
    assert "1 layer" not in figures(rows)["errors"].alt
    assert figures([row for row in rows if row.config["layers"] == 1]) == {}
    assert "causal inf" in figures([made_up("causal", 0, 0.02, None)])["errors"].alt  # it diverged


def test_the_sweeps_are_what_is_asked_for() -> None:
    for sweep in (LINEAR, SOFTMAX):
        for name, least in (("mask", 3), ("seed", 5), ("lr", 4), ("layers", 2)):
            assert len({config[name] for config in sweep.configs}) >= least
    assert len(LINEAR.calls(LINEAR.configs)) == 4 * 3


@pytest.mark.parametrize(
    ("name", "depths"), [("linear", (2, 3, 4)), ("linear-long", (2, 3, 4)), ("linear-longest", (4,))]
)
def test_with_linear_attention_the_order_is_that_of_theory(name: str, depths: tuple[int, ...]) -> None:
    found = {(depth, pair, turn): (d, apart) for depth, pair, turn, d, apart in differences(committed(name))}
    for depth, pair in product(depths, ("causal - ism", "ism - prefix")):
        difference, apart = found[depth, pair, "all"]
        assert difference.count >= 5
        assert difference.verdict == "more"
        assert apart


def test_one_layer_ties_and_two_gain_in_the_first_turn() -> None:
    """One layer is the control: there no mask can matter. With two, and by turn, it does."""
    found = {(depth, pair, turn): d for depth, pair, turn, d, _ in differences(committed("linear"))}
    assert all(d.verdict == "tie" for (depth, _, _), d in found.items() if depth == 1)
    assert [found[2, "causal - ism", turn].verdict for turn in "123"] == ["more", "less", "less"]


@pytest.mark.parametrize(
    ("early", "late", "depth"), [("linear", "linear-long", 2), ("linear-long", "linear-longest", 4)]
)
def test_linear_attention_has_converged(early: str, late: str, depth: int) -> None:
    for mask in SWEPT:
        runs = (best(committed(name))[depth, mask] for name in (early, late))
        before, after = (mean_error(same).mean for same in runs)
        assert after == pytest.approx(before, rel=0.01)


@pytest.mark.parametrize("name", ["softmax", "softmax-long", "softmax-longest"])
def test_two_blocks_gain_in_the_first_turn_however_long_they_train(name: str) -> None:
    found = {(pair, turn): d for depth, pair, turn, d, _ in differences(committed(name)) if depth == 2}
    assert found["causal - ism", "all"].verdict == found["causal - ism", "1"].verdict == "more"
    assert found["causal - prefix", "all"].verdict == "more"


def test_two_blocks_that_train_longest_err_as_little_under_ism_as_under_prefix() -> None:
    """README says so: causal's interval is apart from ISM's, and ISM and prefix tie."""
    found = {(pair, turn): (d, apart) for _, pair, turn, d, apart in differences(committed("softmax-longest"))}
    assert found["causal - ism", "all"][1]
    assert found["ism - prefix", "all"][0].verdict == found["causal - ism", "2"][0].verdict == "tie"
