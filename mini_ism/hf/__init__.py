"""The same rules on Hugging Face chat models: ``pip install "mini-ism[hf]"``.

Nothing here imports transformers until it is needed, and nothing else in the package imports this subpackage.
"""

from mini_ism.hf.attention import HFAttention
from mini_ism.hf.chat import HFChatSession
from mini_ism.hf.doctor import Diagnosis, diagnose
from mini_ism.hf.finetune import ChatCollator, OtherMaskWarning, load_adapter, save_adapter
from mini_ism.hf.hrm_text import heed_every_turn
from mini_ism.hf.loading import load_chat_model
from mini_ism.hf.masks import UnfitAttentionError, attention_mask, block_sequence_ids
from mini_ism.hf.model import HFModel
from mini_ism.hf.template import ChatTemplate, TemplateError, labels

__all__ = [
    "ChatCollator",
    "ChatTemplate",
    "Diagnosis",
    "HFAttention",
    "HFChatSession",
    "HFModel",
    "OtherMaskWarning",
    "TemplateError",
    "UnfitAttentionError",
    "attention_mask",
    "block_sequence_ids",
    "diagnose",
    "heed_every_turn",
    "labels",
    "load_adapter",
    "load_chat_model",
    "save_adapter",
]
