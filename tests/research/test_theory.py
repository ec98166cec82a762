"""The theory sweep: its rows hold the figures that were measured apart from this code, and what the code gives."""

from functools import cache

import numpy as np
import pytest

from mini_ism.results import Row, load_rows
from research import theory
from tests.regression.measured import ETA, LAYERS, ONE_SEED, SETTINGS


@cache
def theory_rows() -> list[Row]:
    return load_rows("theory")


def test_the_rows_hold_the_one_seed_figures() -> None:
    curves = {
        row.config["mask"]: row.result
        for row in theory_rows()
        if (row.config["figure"], row.config.get("noise")) == ("layers", 0.0)
    }
    assert (SETTINGS, ETA, LAYERS) == (theory.SETTINGS, theory.ETA, theory.LAYERS)
    for name, figures in ONE_SEED.items():
        for where, figure in zip(("layer 10", "layer 50", "rest"), figures, strict=True):
            assert len(curves[name][where]) == 64
            low, high = theory.band(curves[name][where])
            assert low - 1e-12 <= figure <= high


def test_the_rows_say_that_layers_settle_at_the_closed_form() -> None:
    settled = [row.result["agrees to 1e-6"] for row in theory_rows() if row.config["figure"] == "settled"]
    assert settled == [True] * 6


def test_a_section_waits_for_all_rows() -> None:
    assert theory.claims(theory_rows()[:-1]) == []
    assert theory.tables(theory_rows()[:1]) == "The tables come when all runs are made."


@pytest.mark.slow
@pytest.mark.parametrize("figure", ["layers", "shift", "turns"])
def test_the_rows_are_what_the_code_gives(figure: str) -> None:
    row = next(row for row in theory_rows() if row.config["figure"] == figure and row.config["mask"] != "causal")
    fresh = theory.run(row.config)
    for name, values in row.result.items():
        assert np.allclose(fresh[name], values, rtol=1e-4, atol=1e-12)
