"""The best rate is chosen by validation, and by nothing else."""

import math

import pytest

from mini_ism.results import Row, at_best_rate, by_seed


def run_at(lr: float, seed: int, validation: float | None, test: float = 0.0) -> Row:
    return Row({"mask": "ism", "lr": lr, "seed": seed}, {"validation": validation, "test": test}, 1.0, {})


def test_the_best_rate_is_chosen_by_validation() -> None:
    rows = [run_at(1e-3, 0, 3.0, 0.1), run_at(1e-3, 1, 3.0, 0.1), run_at(2e-3, 0, 1.0, 9.0), run_at(2e-3, 1, 2.0, 9.0)]

    def rate(rows: list[Row], *, lowest: bool) -> float:
        (chosen,) = at_best_rate(rows, ["mask"], lambda row: row.result["validation"], lowest=lowest).values()
        assert len({row.config["lr"] for row in chosen}) == 1
        return float(chosen[0].config["lr"])

    assert rate(rows, lowest=True) == 2e-3
    assert rate(rows, lowest=False) == 1e-3
    for value in (None, math.inf, math.nan):  # a rate at which one seed diverged
        assert rate([*rows[:2], run_at(2e-3, 0, value), rows[3]], lowest=True) == 1e-3
        assert rate([run_at(2e-3, 0, value), *rows[:2], rows[3]], lowest=False) == 1e-3
    assert rate(rows[:3], lowest=True) == 1e-3  # 2e-3 has not seen two seeds yet
    lucky = [*rows, run_at(1e-3, 2, -9.0)]  # a seed that 2e-3 has not seen, so that it says nothing of the rates
    assert rate(lucky, lowest=True) == 2e-3
    further = [run_at(3e-3, 0, 1.2), run_at(3e-3, 1, 2.2)]
    assert rate([*rows, *further], lowest=True) == 2e-3
    further += [run_at(2e-3, 2, 8.0), run_at(3e-3, 2, 1.0)]  # on the seed that 1e-3 has not seen, the second best wins
    assert rate([*rows, *further], lowest=True) == 3e-3
    assert rate([*rows, *further], lowest=False) == 1e-3  # which has too few seeds, and is the best of all on these
    (chosen,) = at_best_rate(lucky, ["mask"], lambda row: row.result["validation"], lowest=False).values()
    assert [row.config["seed"] for row in chosen] == [0, 1, 2]
    assert by_seed(rows[:2], lambda row: row.result["test"]) == {0: 0.1, 1: 0.1}
    with pytest.raises(ValueError, match="two rows have seed=0"):
        by_seed(rows, lambda row: row.result["test"])
