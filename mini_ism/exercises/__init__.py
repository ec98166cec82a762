"""The course's exercises: a check for each, which says what is wrong with an answer, not just that it is.

In a notebook: ``check("causal-rule", my_rule)``. There is one file per notebook; each judge compares the
answer with a slow, obvious reference.
"""

from mini_ism.exercises.checking import check
from mini_ism.exercises.core import Exercise, Overview, Verdict, exercise, exercises, right, wrong
from mini_ism.exercises.judging import Place, compare_rule, difference

__all__ = [
    "Exercise",
    "Overview",
    "Place",
    "Verdict",
    "check",
    "compare_rule",
    "difference",
    "exercise",
    "exercises",
    "right",
    "wrong",
]
