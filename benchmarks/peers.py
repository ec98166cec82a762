"""Our model beside others of its shape: the models, and the steps in which they decode and train.

All have random weights, since the cost does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest.mock import patch

import tiktoken
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.floor import training_floor
from benchmarks.timing import Step
from mini_ism import GPT, ChatSession, GPTConfig, get_mask, load_split, load_tokenizer
from mini_ism.batching import pack
from mini_ism.dialogue import encode_dialogue
from mini_ism.sampling import Sampler
from mini_ism.speed import autocast

TOKENS = 40  # decoded per round


def words(count: int) -> str:
    """A text of this many tokens."""
    return ("the " * count).strip()


def our_model(preset: str, device: str | torch.device = "cpu", **changes: int) -> GPT:
    """A model with room for the longest context; ``changes`` are fields of its preset."""
    torch.manual_seed(0)
    fields = {"vocab_size": load_tokenizer().n_vocab, "context": 2048, **changes}
    return GPT(GPTConfig.preset(preset, **fields)).to(device).eval()


def llama(config: GPTConfig, device: str | torch.device = "cpu") -> Any:
    """A Llama of the same width, depth, heads and vocabulary, with an MLP of as many weights (8 C^2)."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.width,
        intermediate_size=round(8 * config.width / 3),
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        max_position_embeddings=config.context,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(shape).to(device).eval()


def x_transformer(config: GPTConfig) -> Any:
    """A decoder of x-transformers of the same width, depth, heads and vocabulary."""
    from x_transformers import Decoder, TransformerWrapper

    torch.manual_seed(0)
    layers = Decoder(
        dim=config.width,
        depth=config.layers,
        heads=config.heads,
        attn_dim_head=config.head_dim,
        rotary_pos_emb=True,
        attn_flash=True,
        use_rmsnorm=True,
        ff_no_bias=True,
    )
    return TransformerWrapper(
        num_tokens=config.vocab_size,
        max_seq_len=config.context,
        use_abs_pos_emb=False,
        tie_embedding=True,
        attn_layers=layers,
    ).eval()


# -- decoding --------------------------------------------------------------------------------------


def never_ending() -> Any:
    """While active, every pick is greedy and none is the end of an answer."""
    return patch.object(Sampler, "pick", lambda _, logits: (int(logits.argmax()), 30)[1])


class Chat:
    """A chat that decodes from the place where a prompt of ``context`` tokens ends."""

    def __init__(self, model: GPT, tokenizer: tiktoken.Encoding, mask: str, context: int) -> None:
        self.model, self.tokenizer, self.mask, self.context = model, tokenizer, mask, context
        self.stream: Iterator[str] = iter(())

    def begin(self) -> None:
        """Begin a conversation, with its next token at the same position as the other candidates'."""
        self.close()
        chat = ChatSession(self.model, self.tokenizer, self.mask)
        self.stream = chat.stream(words(self.context - 2), max_new_tokens=10**6)
        next(self.stream)

    def decode(self) -> None:
        """Decode :data:`TOKENS` more tokens."""
        for _ in range(TOKENS):
            next(self.stream)

    def close(self) -> None:
        """End the conversation."""
        if hasattr(self.stream, "close"):
            self.stream.close()


def bare_steps(model: GPT, context: int) -> Step:
    """The model's own step alone, without planning, sampling or trace."""
    token, cache = torch.tensor([[30]], device=model.device), model.new_cache()
    with torch.inference_mode():
        model(torch.full((1, context), 30, device=model.device), None, cache)

    @torch.inference_mode()
    def decode() -> None:
        for _ in range(TOKENS):
            model.compute(token, None, cache, logits_at=slice(-1, None))
        cache.truncate(context)

    return decode


def llama_steps(peer: Any, context: int) -> Step:
    """The Llama's step over its dynamic cache."""
    from transformers import DynamicCache

    token, cache = torch.tensor([[30]], device=peer.device), DynamicCache()
    with torch.inference_mode():
        peer(torch.full((1, context), 30, device=peer.device), past_key_values=cache)

    @torch.inference_mode()
    def decode() -> None:
        for _ in range(TOKENS):
            peer(token, past_key_values=cache, use_cache=True)
        cache.crop(-TOKENS)

    return decode


# -- training --------------------------------------------------------------------------------------


class Training(NamedTuple):
    """How the dialogues of a step are laid out, our model and a Llama, one step of each, and what makes our floor."""

    layout: str
    model: nn.Module
    ours: Step
    peer: nn.Module
    theirs: Step
    floor: Callable[[], Step]


def training_steps(
    preset: str,
    device: str = "cpu",
    precision: str = "float32",
    dialogues: int = 16,
    **changes: int,
) -> Training:
    """A step's dialogues, the same for our model and a Llama of its shape."""
    tokenizer, model = load_tokenizer(), our_model(preset, device, **changes).train()
    peer = llama(model.config, device).train()
    encoded = [encode_dialogue(d.messages, tokenizer) for d in load_split("train")[:dialogues]]
    batch = pack(sorted(encoded, key=len, reverse=True), tokenizer, max(map(len, encoded))).to(device)
    mask = get_mask("ism").dense(batch.segments)
    predicts, targets = batch.loss_mask.roll(-1, dims=1), batch.tokens[batch.loss_mask]
    positions = batch.segments.position
    optimizers = {
        name: torch.optim.AdamW(each.parameters(), 1e-4, fused=True) for name, each in (("ours", model), ("peer", peer))
    }

    def step(name: str, logits: Callable[[], Tensor]) -> None:
        optimizers[name].zero_grad()
        with autocast(precision, torch.device(device)):
            loss = F.cross_entropy(logits().float(), targets)
        loss.backward()
        optimizers[name].step()

    def ours() -> None:
        step("ours", lambda: model(batch.tokens, mask, logits_at=predicts))

    def theirs() -> None:
        def logits() -> Tensor:
            hidden = peer.model(batch.tokens, attention_mask=mask[:, None], position_ids=positions).last_hidden_state
            scores: Tensor = peer.lm_head(hidden[predicts])
            return scores

        step("peer", logits)

    layout = f"{batch.tokens.shape[0]} rows of {batch.tokens.shape[1]}"
    return Training(layout, model, ours, peer, theirs, lambda: training_floor(model, mask, len(targets)))
