"""Training: one readable loop, the same for every mask.

Each step takes the same dialogues for every mask, drawn afresh from the endless corpus by (seed, step). Causal, ISM and any rule
whose earlier answers do not look ahead learn all of a dialogue's turns in one pass; a prefix mask needs one sample a turn (triplet
expansion, 2408.00539), which the metrics count in tokens. The loss is on answers only: a query token that reads both ways sees its
own target.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tiktoken
import torch
import torch.nn.functional as F
from safetensors.torch import load, save
from torch import Tensor
from tqdm.auto import tqdm

from mini_ism.checkpoints import read_checkpoint, save_model
from mini_ism.corpus import Dialogue, generate
from mini_ism.devices import get_device
from mini_ism.dialogue import EncodedDialogue, encode_dialogue, expand_turns, pack
from mini_ism.files import sha256, write_atomically
from mini_ism.masks import Mask, get_mask
from mini_ism.model import GPT, GPTConfig
from mini_ism.tokenizer import load_tokenizer
