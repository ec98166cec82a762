"""In-context regression: what a mask does to reading when reading is least squares, exactly.

A prompt of examples (x, y), and a layer of linear self-attention that takes one gradient step (2308.06912). The
package's own rules over segments say which example sees which. No tokenizer, no chat.
"""

from mini_ism.regression.descent import lsa_layer, lsa_scores, lsa_weights, turn_weights, weights_of
from mini_ism.regression.stationary import (
    block_sizes,
    causal_weights,
    kaczmarz_weights,
    least_squares_weights,
    stationary_weights,
)
from mini_ism.regression.tasks import Task, draw_tasks, example_segments, split_evenly

__all__ = [
    "Task",
    "block_sizes",
    "causal_weights",
    "draw_tasks",
    "example_segments",
    "kaczmarz_weights",
    "least_squares_weights",
    "lsa_layer",
    "lsa_scores",
    "lsa_weights",
    "split_evenly",
    "stationary_weights",
    "turn_weights",
    "weights_of",
]
