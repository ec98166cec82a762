"""Experiments as data: what is run, the rows that came of it, and the tables and pictures that say what they show.

A module of this package describes a sweep (all its configs, written out) and registers it; that is all it takes to
be run, resumed and reported by ``python -m mini_ism experiment``.
"""

from mini_ism.experiments.registry import get_sweep, register_sweep, sweeps
from mini_ism.experiments.report import check, results_dir, write_report
from mini_ism.experiments.rows import Config, Row, read_rows
from mini_ism.experiments.statistics import Claim, Interval
from mini_ism.experiments.sweep import RunFailed, Sweep, run_sweep

__all__ = [
    "Claim",
    "Config",
    "Interval",
    "Row",
    "RunFailed",
    "Sweep",
    "check",
    "get_sweep",
    "read_rows",
    "register_sweep",
    "results_dir",
    "run_sweep",
    "sweeps",
    "write_report",
]
