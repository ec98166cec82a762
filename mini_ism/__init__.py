"""mini-ism: a compact GPT whose attention mask is a one-line rule you can swap.

The names below are the public surface; each lives in the small module it is imported from. The two that draw,
``cost_table`` and ``show_dialogue``, are loaded on first use: the core draws nothing.
"""

from typing import TYPE_CHECKING

from mini_ism import early  # noqa: F401  (before PyTorch is loaded)
from mini_ism.attention_stats import read_attention
from mini_ism.cache import KVCache
from mini_ism.chat import ChatSession
from mini_ism.checkpoints import load_model
from mini_ism.config import GPTConfig
from mini_ism.corpus import load_split
from mini_ism.cost import plan
from mini_ism.dialogue import encode_dialogue
from mini_ism.evaluation import evaluate
from mini_ism.mask import Mask
from mini_ism.masks import get_mask, register_mask
from mini_ism.model import GPT
from mini_ism.reuse import reusable
from mini_ism.segments import Segments
from mini_ism.tokenizer import load_tokenizer
from mini_ism.trace import turn_costs

if TYPE_CHECKING:
    from mini_ism.views.dialogue_view import show_dialogue
    from mini_ism.views.tables import cost_table

__version__ = "0.2.0"

__all__ = [
    "GPT",
    "ChatSession",
    "GPTConfig",
    "KVCache",
    "Mask",
    "Segments",
    "__version__",
    "cost_table",
    "encode_dialogue",
    "evaluate",
    "get_mask",
    "load_model",
    "load_split",
    "load_tokenizer",
    "plan",
    "read_attention",
    "register_mask",
    "reusable",
    "show_dialogue",
    "turn_costs",
]


if not TYPE_CHECKING:  # a type checker knows the names from above, and that there are no others

    def __getattr__(name: str) -> object:
        if name == "show_dialogue":
            from mini_ism.views.dialogue_view import show_dialogue

            return show_dialogue
        if name == "cost_table":
            from mini_ism.views.tables import cost_table

            return cost_table
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
