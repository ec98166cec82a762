"""mini-ism: a compact GPT whose attention mask is a one-line rule you can swap.

The names below are the public surface; each lives in the small module it is imported from.
"""

from mini_ism.cache import KVCache
from mini_ism.chat import ChatSession
from mini_ism.checkpoints import load_model
from mini_ism.config import GPTConfig
from mini_ism.dialogue import encode_dialogue, show_dialogue
from mini_ism.mask import Mask
from mini_ism.masks import get_mask, register_mask
from mini_ism.model import GPT
from mini_ism.reuse import reusable
from mini_ism.segments import Segments
from mini_ism.tokenizer import load_tokenizer

__all__ = [
    "GPT",
    "ChatSession",
    "GPTConfig",
    "KVCache",
    "Mask",
    "Segments",
    "encode_dialogue",
    "get_mask",
    "load_model",
    "load_tokenizer",
    "register_mask",
    "reusable",
    "show_dialogue",
]
