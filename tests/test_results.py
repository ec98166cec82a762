"""Committed rows are read as they are; statistics over seeds match published values and SciPy."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from mini_ism.results import (
    Row,
    at_best_rate,
    by_seed,
    costs,
    load_rows,
    mean_interval,
    mismatch,
    paired_difference,
    read_rows,
    regression,
    results_dir,
    skills,
    words,
)
from mini_ism.results.intervals import STUDENT_T, student_t

# -- rows --------------------------------------------------------------------------------------------


def test_rows_are_found_by_name() -> None:
    assert load_rows("words") == read_rows(results_dir() / "words.jsonl")
    with pytest.raises(ValueError, match=r"there are no rows of 'word'; choose one of costs, mismatch, .*, words"):
        load_rows("word")
    assert read_rows(Path("no-such-folder") / "words.jsonl") == []


def test_readers_read_every_committed_sweep() -> None:
    """Each reader gives a group for each mask that was run, and a number for each cell of a picture."""
    for name in ("skills", "skills-long", "skills-late"):
        rows = load_rows(name)
        assert {mask for _, mask in skills.best(rows)} == {row.config["mask"] for row in rows}
        assert all(0 <= cell[0] <= 1 for cells in skills.by_setting(rows).values() for cell in cells.values())
    for path in results_dir().glob("regression-*.jsonl"):
        rows = load_rows(path.stem)
        assert {mask for _, mask in regression.best(rows)} == {row.config["mask"] for row in rows}
        assert all(cell[0] >= 1 for cells in regression.by_setting(rows).values() for cell in cells.values())
    rows = load_rows("words")
    assert {task for task, *_ in words.best(rows)} == set(words.TASKS)
    assert words.by_setting(rows, "chains").keys().isdisjoint(words.by_setting(rows, "codebook"))
    assert words.learning_curves(rows).keys() == {"causal", "ism", "prefix"}
    for name in ("mismatch", "mismatch-chains"):
        for stage in ("zero-shot", "tuned"):
            assert list(mismatch.by_training(load_rows(name), stage)) == [
                f"trained with {mask}" for mask in ("causal", "ism", "prefix")
            ]
    waits = costs.first_tokens(load_rows("costs"))
    assert all(len(turns) == 8 for turns in waits.values())


# -- statistics --------------------------------------------------------------------------------------


def test_quantiles_are_those_of_scipy() -> None:
    assert len(STUDENT_T) == 30
    for freedom, quantile in enumerate(STUDENT_T, start=1):
        assert quantile == pytest.approx(float(t.ppf(0.975, freedom)), rel=1e-12)


def test_student_against_published_values() -> None:
    published = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 9: 2.2622, 10: 2.2281, 30: 2.0423}
    for freedom, quantile in published.items():
        assert student_t(freedom) == pytest.approx(quantile, abs=5e-5)
    with pytest.raises(ValueError, match="1 to 30 degrees of freedom, got 0"):
        student_t(0)


def test_many_values_need_a_quantile() -> None:
    with pytest.raises(ValueError, match=r"got 31; for more than 31 values, pass mean_interval\(values, t=scipy"):
        mean_interval(range(32))
    quantile = float(t.ppf(0.975, 31))
    assert mean_interval(range(32), t=quantile).high == pytest.approx(
        15.5 + quantile * np.std(range(32), ddof=1) / 32**0.5
    )


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    inside = sum(i.low <= 3 <= i.high for i in (mean_interval(generator.normal(3, 2, 5)) for _ in range(4000)))
    assert inside / 4000 == pytest.approx(0.95, abs=0.01)


def test_intervals_in_words() -> None:
    assert mean_interval([1.0, 2.0, 3.0]).text() == "2.00 (-0.48 to 4.48)"
    assert mean_interval([2.0]).text(1) == "2.0"
    assert mean_interval([0.5, 0.5]).percent(0) == mean_interval([0.5, 0.5]).share(0) == "50% (50% to 50%)"
    assert mean_interval([0.5, 1.0]).share(0) == "75% (0% to 100%)"  # no share is -243% or 393%
    assert mean_interval([0.5]).share(0) == "50%"
    assert [mean_interval(v).verdict for v in ([1.0, 1.1], [-1.0, -1.1], [-1.0, 1.0], [5.0])] == [
        "more",
        "less",
        "tie",
        "tie",
    ]
    assert mean_interval([1.0, 1.01]).apart(mean_interval([3.0, 3.01]))
    assert not mean_interval([1.0, 1.01]).apart(mean_interval([3.0]))
    for diverged in ([math.inf, 1.0], [math.inf, -math.inf, 1.0], [math.nan]):
        assert mean_interval(diverged).text() == mean_interval(diverged).verdict == "diverged"
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])


def test_pairs_share_their_seed() -> None:
    noise = [0.0, 5.0, -3.0, 2.0]
    a = {seed: 1.1 + n + seed / 100 for seed, n in enumerate(noise)}
    b = {seed: 1.0 + n for seed, n in enumerate([*noise, 7.0])}
    assert paired_difference(a, b).verdict == "more"
    assert paired_difference(a, b).count == 4
    assert not mean_interval(a.values()).apart(mean_interval(b.values()))


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
