"""The committed results: rows of finished runs, statistics over their seeds, and a reader for each kind of sweep.

``load_rows("words")`` gives the rows of a sweep. The modules :mod:`words`, :mod:`skills`, :mod:`regression`,
:mod:`mismatch`, :mod:`costs` and :mod:`smollm2` know what is in them: ``words.best(rows)`` groups them,
``words.claims(rows)`` compares masks, ``words.by_setting(rows, "chains")`` is what a picture shows. The sweeps that
made the rows are not part of the package: they are in ``research/`` of the repository.
"""

from mini_ism.results import costs, mismatch, regression, skills, smollm2, words
from mini_ism.results.grouping import at_best_rate, by_seed, grouped
from mini_ism.results.intervals import Claim, Interval, mean_interval, paired_difference
from mini_ism.results.rows import SWEPT, Row, load_rows, read_rows, results_dir

__all__ = [
    "SWEPT",
    "Claim",
    "Interval",
    "Row",
    "at_best_rate",
    "by_seed",
    "costs",
    "grouped",
    "load_rows",
    "mean_interval",
    "mismatch",
    "paired_difference",
    "read_rows",
    "regression",
    "results_dir",
    "skills",
    "smollm2",
    "words",
]
