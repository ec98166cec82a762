"""Linear self-attention as gradient descent, layer by layer (2308.06912, after 2212.07677).

Each example j holds one number a_j, 0 at first. A layer adds to it the part of its label that the examples it sees do
not explain yet::

    a_j += eta * (y_j - sum over k that j may see of a_k <x_k, x_j>)

and a query x, which sees all examples, predicts the sum over k of a_k <x_k, x>. So the examples hold a weight vector
between them, w = sum over k of a_k x_k, and the mask decides which part of it each of them knows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mini_ism.checks import real_number, whole_number
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.regression.stationary import stationary_weights
from mini_ism.regression.tasks import Task
from mini_ism.segments import Segments


def lsa_scores(task: Task, visible: Tensor) -> Tensor:
    """Linear attention's scores: ``<x_j, x_k>`` where j may see k, else 0.

    Args:
        task: the examples.
        visible: bool ``[n, n]``, a mask's dense form: row j, who j may see.

    Returns:
        ``[B, n, n]``.
    """
    return (task.x @ task.x.mT).masked_fill(~visible, 0)


def lsa_layer(a: Tensor, y: Tensor, scores: Tensor, eta: float) -> Tensor:
    """One layer: what each example holds, ``[B, n]``, after a step of size ``eta`` towards its label ``[B, n]``."""
    return a + eta * (y - (scores @ a[:, :, None])[..., 0])


def weights_of(a: Tensor, task: Task) -> Tensor:
    """The weights that examples hold between them: ``[B, n]`` -> ``[B, d]``."""
    return (task.x.mT @ a[:, :, None])[..., 0]


def lsa_weights(task: Task, segments: Segments, mask: str | Mask, *, eta: float, layers: int) -> Tensor:
    """The weights that a query reads off after each layer.

    Args:
        task: the examples.
        segments: of the examples, ``[n]``, from :func:`~mini_ism.regression.tasks.example_segments`.
        mask: the rule that says which example sees which.
        eta: step size. The layers converge if it is less than 2 / the largest eigenvalue of the scores inside any block
            of examples that see each other; beyond that they diverge.
        layers: how many.

    Returns:
        ``[layers + 1, B, d]``, the first all 0.

    Raises:
        ValueError: the segments do not match the examples, eta is not above 0, or there are fewer than 0 layers.
    """
    if len(segments) != len(task):
        raise ValueError(f"the segments have {len(segments)} positions, but there are {len(task)} examples")
    eta, layers = real_number("eta", eta, 0, above=True), whole_number("layers", layers, 0)
    scores = lsa_scores(task, get_mask(mask).dense(segments))
    a = torch.zeros_like(task.y)
    weights = [weights_of(a, task)]
    for _ in range(layers):
        a = lsa_layer(a, task.y, scores, eta)
        weights.append(weights_of(a, task))
    return torch.stack(weights)


def turn_weights(
    task: Task, segments: Segments, mask: str | Mask, *, eta: float | None = None, layers: int | None = None
) -> Tensor:
    """The weights that a question at the end of each turn reads off, when examples arrive over turns.

    Each turn is a separate prompt, with all segments so far. Under causal and ISM nothing that was computed earlier
    changes; under prefix all of it does.

    Args:
        task: the examples.
        segments: of the examples; a turn ends where a segment ends.
        mask: the rule.
        eta: as in :func:`lsa_weights`, along with ``layers``. Without both: the stationary point.
        layers: see ``eta``.

    Returns:
        ``[turns, B, d]``.
    """
    if (eta is None) != (layers is None):
        raise ValueError("give eta and layers for so many layers, or neither for the stationary point")
    turns = []
    for end in segments.end.unique().tolist():
        so_far, known = segments[:end], task.first(end)
        if eta is None or layers is None:
            turns.append(stationary_weights(known, so_far, mask))
        else:
            turns.append(lsa_weights(known, so_far, mask, eta=eta, layers=layers)[-1])
    return torch.stack(turns)
