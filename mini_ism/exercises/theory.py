"""Exercises of notebook 08: linear self-attention as gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mini_ism.exercises.core import Verdict, exercise, right, wrong
from mini_ism.exercises.judging import difference
from mini_ism.masks import get_mask
from mini_ism.regression import Task, draw_tasks, example_segments, stationary_weights
from mini_ism.views.figures import Figure
from mini_ism.views.regression import path_figure

X = torch.tensor([[0.3, 1.1], [1.1, 0.5], [0.6, 1.0], [1.2, 0.6]], dtype=torch.float64)
W = torch.tensor([1.2, 0.9], dtype=torch.float64)
"""Four examples ``[4, 2]`` in the plane, small enough to draw, and the weights ``[2]`` behind them."""


def _prompts(count: int = 4, width: int = 3, sizes: tuple[int, ...] = (2, 3, 1)) -> tuple[Task, Tensor]:
    """Random prompts, and the mask over their examples under ISM."""
    return draw_tasks(count, examples=sum(sizes), width=width), get_mask("ism").dense(example_segments(sizes))


def _path(name: str, steps: list[Tensor]) -> Figure:
    return path_figure({name: torch.stack([step.double() for step in steps])}, X, (X @ W).tolist(), W.tolist())


def _same(found: Any, expected: Tensor) -> bool:
    return difference(found, expected) is None


# -- one layer -------------------------------------------------------------------------------------


def _slow_step(a: Tensor, x: Tensor, y: Tensor, visible: Tensor, eta: float) -> Tensor:
    new = []
    for j in range(len(y)):
        explained = sum(float(a[k] * (x[k] @ x[j])) for k in range(len(y)) if visible[j, k])
        new.append(float(a[j]) + eta * (float(y[j]) - explained))
    return torch.tensor(new, dtype=a.dtype)


def _step_in_order(a: Tensor, x: Tensor, y: Tensor, visible: Tensor, eta: float) -> Tensor:
    """One layer as a loop that overwrites values it has yet to read."""
    a = a.clone()
    for j in range(len(y)):
        a[j] = _slow_step(a, x, y, visible, eta)[j]
    return a


STEP_SLIPS: tuple[tuple[Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor], str], ...] = (
    (
        lambda a, x, y, v, eta: _slow_step(a, x, y, v.T, eta),
        "You read `visible` by columns. Row j says whom example j sees; your example j hears from those who see *it*.",
    ),
    (
        lambda a, x, y, v, eta: _slow_step(a, x, y, torch.ones_like(v), eta),
        "Every example hears every other: the mask is not used. Multiply the inner products by `visible`.",
    ),
    (
        lambda a, x, y, v, eta: 2 * a - _slow_step(a, x, y, v, eta),
        "The step goes the wrong way: add eta times what is still unexplained, y minus the sum.",
    ),
    (
        lambda a, x, y, v, eta: _slow_step(a, x, y, v, 1.0),
        "The step is not scaled by eta.",
    ),
    (
        lambda a, x, y, v, eta: _slow_step(a, x, y, v, eta) - a,
        "This is the step alone. The layer adds it to what the example holds already: a + ...",
    ),
    (
        _step_in_order,
        "Later examples already see what earlier ones became in this very layer. A layer reads the old `a` everywhere.",
    ),
)


@exercise("lsa-step", difficulty=2)
def lsa_step(answer: Any) -> Verdict:
    """One layer of linear self-attention: from a [n], x [n, d], y [n], visible [n, n] and eta to the new a [n]."""
    task, visible = _prompts()
    a = torch.randn(task.y.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for b in range(len(a)):
        given = (a[b], task.x[b], task.y[b], visible, 0.3)
        before = a[b].clone()
        found, expected = answer(*given), _slow_step(before, *given[1:])
        trouble = difference(found, expected, "the new a")
        if trouble:
            slips = (hint for slip, hint in STEP_SLIPS if _same(found, slip(*given)))
            return wrong(f"{trouble} {next(slips, '')}".strip(), yours=_walk("yours", answer), target=_target_walk())
    return right(
        "one layer, one gradient step, and the mask alone says whose gradient it is.",
        yours=_walk("yours", answer),
        target=_target_walk(),
    )


def _walk(name: str, step: Any) -> Figure | None:
    """The weights after 120 layers of a step under ISM, two segments of two; ``None`` if a step gives no valid a."""
    visible = get_mask("ism").dense(example_segments([2, 2]))
    a = torch.zeros(4, dtype=torch.float64)
    ways = [X.T @ a]
    for _ in range(120):
        a = torch.as_tensor(step(a.clone(), X, X @ W, visible, 0.2))
        if a.shape != (4,) or not bool(a.isfinite().all()):
            return None
        ways.append(X.T @ a.double())
    return _path(name, ways)


def _target_walk() -> Figure | None:
    return _walk("target", _slow_step)


# -- where causal layers rest ----------------------------------------------------------------------


def _slow_rest(x: Tensor, y: Tensor) -> Tensor:
    a: list[float] = []
    for j in range(len(y)):
        explained = sum(a[k] * float(x[k] @ x[j]) for k in range(j))
        a.append((float(y[j]) - explained) / float(x[j] @ x[j]))
    return torch.tensor(a, dtype=x.dtype)


@exercise("causal-rest", difficulty=2)
def causal_rest(answer: Any) -> Verdict:
    """Where causal layers come to rest: from x [n, d] and y [n] to the a [n] that a further layer leaves alone."""
    task = draw_tasks(4, examples=5, width=6)
    for x, y in zip(task.x, task.y, strict=True):
        found, expected = answer(x, y), _slow_rest(x, y)
        trouble = difference(found, expected, "a", atol=1e-5)
        if trouble:
            return wrong(
                f"{trouble} {_rest_slip(found, x, y)}".strip(),
                yours=_sums("yours", answer(X, X @ W)),
                target=_sums("target", _slow_rest(X, X @ W)),
            )
    return right(
        "solved from the top, one example after the other: nobody waits for a layer any more.",
        yours=_sums("yours", answer(X, X @ W)),
        target=_sums("target", _slow_rest(X, X @ W)),
    )


def _rest_slip(found: Any, x: Tensor, y: Tensor) -> str:
    gram = x @ x.T
    if _same(found, torch.linalg.solve(gram, y)):
        return (
            "This is where the layers rest if every example sees every other: least squares. "
            "Under the causal mask example j sees k <= j only, so use the lower triangle of x @ x.T."
        )
    if _same(found, torch.linalg.solve(gram.triu(), y)):
        return (
            "This is the upper triangle: example j hears from those after it. Row j of the scores should hold k <= j."
        )
    if _same(found, y / gram.diagonal()):
        return "Each example explains its whole label by itself. What the earlier ones explain already comes off first."
    return "Check it: with this a, y_j minus the sum over k <= j of a_k <x_k, x_j> should be 0 for every j."


def _sums(name: str, a: Any) -> Figure | None:
    """The weights after each example has added its contribution, in the plane."""
    values = torch.as_tensor(a)
    if values.shape != (4,) or not bool(values.isfinite().all()):
        return None
    parts = values.double()[:, None] * X
    return _path(name, [torch.zeros(2), *parts.cumsum(0)])


# -- a block at a time -----------------------------------------------------------------------------


@exercise("block-step", difficulty=2)
def block_step(answer: Any) -> Verdict:
    """Block Kaczmarz: from the weights w [d] so far and a segment's x [m, d] and y [m] to the weights after it."""
    task = draw_tasks(3, examples=9, width=4, noise=0.2)
    for b in range(3):
        w = torch.zeros(4, dtype=torch.float64)
        for x, y in zip(task.x[b].split([2, 6, 1]), task.y[b].split([2, 6, 1]), strict=True):
            inverse = torch.linalg.pinv(x)
            found, expected = answer(w.clone(), x, y), w + inverse @ (y - x @ w)
            trouble = difference(found, expected, f"w after a segment of {len(y)}", atol=1e-5)
            if trouble:
                slips = {
                    "You do not take off what w explains already: the residual is y - x @ w.": w + inverse @ y,
                    "You forget w: this solves the segment afresh and loses what came before it.": inverse @ y,
                    "This is the correction alone; it is added to w.": inverse @ (y - x @ w),
                    "The transpose is a gradient step; the way to the end of it is the pseudo-inverse.": (
                        w + x.T @ (y - x @ w)
                    ),
                }
                hint = next((text for text, slip in slips.items() if _same(found, slip)), "")
                return wrong(f"{trouble} {hint}".strip(), yours=_blocks("yours", answer), target=_target_blocks())
            w = expected
    return right(
        "the smallest step that explains the segment; what it does not speak of stays as it was.",
        yours=_blocks("yours", answer),
        target=_target_blocks(),
    )


def _blocks(name: str, step: Any) -> Figure | None:
    """The weights after blocks of one, one and two examples, in the plane."""
    w, ways = torch.zeros(2, dtype=torch.float64), [torch.zeros(2, dtype=torch.float64)]
    for x, y in zip(X.split([1, 1, 2]), (X @ W).split([1, 1, 2]), strict=True):
        w = torch.as_tensor(step(w, x, y))
        if w.shape != (2,):
            return None
        ways.append(w)
    return _path(name, ways)


def _target_blocks() -> Figure | None:
    return _blocks("target", lambda w, x, y: w + torch.linalg.pinv(x) @ (y - x @ w))


# -- who arrives -----------------------------------------------------------------------------------

CUTS: tuple[tuple[list[int], int], ...] = (
    ([8], 4),
    ([2, 2, 2, 2], 4),
    ([3, 3, 3], 4),
    ([4, 2, 2], 4),
    ([2, 2, 4], 4),
    ([2, 5, 1], 4),
    ([1] * 9, 4),
    ([3], 4),
    ([4], 4),
    ([3, 1, 3], 3),
)


@exercise("who-arrives", difficulty=1)
def who_arrives(answer: Any) -> Verdict:
    """Noiseless labels, ISM layers at rest: from the segments' sizes and d to whether the weights are found exactly."""
    for sizes, width in CUTS:
        task = draw_tasks(8, examples=sum(sizes), width=width)
        error = float(task.risk(stationary_weights(task, example_segments(sizes), "ism")).mean())
        arrives, found = error < 1e-12, answer(list(sizes), width)
        if not isinstance(found, bool):
            return wrong(f"answer True or False: for sizes {sizes} your function returned {found!r}.")
        if found != arrives:
            word = "do" if arrives else "do not"
            return wrong(
                f"with segments of {sizes} in {width} directions the layers {word} find the weights "
                f"(mean squared error at rest {error:.1e}), but you say {found}. {_cut_hint(sizes, width, arrives)}"
            )
    return right("one segment with at least d examples is enough, wherever it stands; many small ones are not.")


def _cut_hint(sizes: list[int], width: int, arrives: bool) -> str:
    if arrives:
        return "One segment pins all directions down, and no other segment disturbs it, since all labels agree."
    if sum(sizes) >= width:
        return (
            "There are enough examples, but no segment has enough of its own: each undoes a little of the one before."
        )
    return "There are fewer examples than directions."
