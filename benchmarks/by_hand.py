"""How fast a decoded token can be in eager PyTorch: ``python -m benchmarks.by_hand [--rounds N]``.

The model's own step compared with the same arithmetic written out by hand: no modules, no checks, norms folded into the
matrices after them, each product one call, everything in place that can be. It shows how much of the gap to a peer a
readable forward pass could still close.
"""

from __future__ import annotations

import argparse
import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.peers import TOKENS, bare_steps, llama, llama_steps, our_model
from benchmarks.timing import Step, medians, ratio, spread
from mini_ism import GPT
from mini_ism.model import Block
from mini_ism.views import Table

SHAPES = (("tiny", 64), ("tiny", 1500), ("small", 64), ("small", 1500))
CLOSE = 1e-4


class ByHand:
    """A model's step for one token, over a cache that holds a prompt.

    Args:
        model: whose weights are copied.
        context: tokens of the prompt.

    Raises:
        AssertionError: the step does not compute the same as the model.
    """

    @torch.inference_mode()
    def __init__(self, model: GPT, context: int) -> None:
        c = model.config
        self.model, self.context, self.cache = model, context, model.new_cache()
        self.token = torch.tensor([[30]])
        model(torch.full((1, context), 30), None, self.cache)
        blocks = cast(list[Block], model.blocks)
        self.layers = [
            (
                block.attention.qkv * block.norm1,
                block.attention.out.t().contiguous(),
                block.mlp.up * block.norm2,
                block.mlp.down.t().contiguous(),
                keys,
                values,
            )
            for block, keys, values in zip(blocks, self.cache.keys, self.cache.values, strict=True)
        ]
        self.embedding = model.embed.weight.clone()  # (V, C)
        self.unembedding = self.embedding * model.norm * c.width**-0.5
        shift = model.shift.weight.view(c.width, c.token_shift, c.width).flip(1)  # (C, n, C), the farthest first
        self.shift = shift.reshape(c.width, c.token_shift * c.width).t().contiguous()  # (nC, C)
        own = model.compute(self.token, None, self.cache, logits_at=slice(-1, None))
        self.cache.truncate(context)
        assert float((self.step() - own).abs().max()) < CLOSE, "the step by hand computes something else"
        self.cache.truncate(context)

    @torch.inference_mode()
    def step(self) -> Tensor:
        """The scores ``[1, V]`` of what follows the token."""
        c, S = self.model.config, self.cache.length
        n, H, D, half, root = c.token_shift, c.heads, c.head_dim, c.rotary_dim // 2, math.sqrt(c.width)
        tokens = torch.cat([self.cache.tokens.narrow(1, S - n, n), self.token], 1)  # (1, n + 1)
        e = F.embedding(tokens, self.embedding)[0]  # (n + 1, C)
        x = torch.addmm(e.narrow(0, n, 1), e.narrow(0, 0, n).view(1, n * c.width), self.shift)  # (1, C)
        cos, sin = (table[S].narrow(0, 0, 2 * half) for table in (self.model.cos, self.model.sin))
        for qkv, out, up, down, keys, values in self.layers:
            h = F.linear(x * (root / torch.linalg.vector_norm(x)), qkv).view(3, H, D)
            turned = h.narrow(0, 0, 2).narrow(2, 0, 2 * half)  # of queries and keys, (2, H, 2 half)
            swapped = torch.cat((turned.narrow(2, half, half), turned.narrow(2, 0, half)), 2)
            turned.mul_(cos).addcmul_(swapped, sin)
            keys.select(2, S).copy_(h[1])
            values.select(2, S).copy_(h[2])
            past = keys.narrow(2, 0, S + 1), values.narrow(2, 0, S + 1)  # (1, H, S + 1, D)
            y = F.scaled_dot_product_attention(h[0].view(1, H, 1, D), *past)
            x = torch.addmm(x, y.view(1, c.width), out)
            h = F.linear(x * (root / torch.linalg.vector_norm(x)), up).relu_()
            x = torch.addmm(x, h.mul_(h), down)
        self.cache.tokens.select(1, S).copy_(self.token[0])
        self.cache.length = S + 1
        return F.linear(x * (root / torch.linalg.vector_norm(x)), self.unembedding)

    def decode(self) -> None:
        """Decode :data:`~benchmarks.peers.TOKENS` tokens, then truncate the cache to the prompt again."""
        for _ in range(TOKENS):
            self.step()
        self.cache.truncate(self.context)


def measure(preset: str, context: int, rounds: int) -> list[str]:
    """Tokens per second of the model's step, of the one by hand, and how many times a Llama's that is."""
    model = our_model(preset)
    steps: dict[str, Step] = {
        "llama": llama_steps(llama(model.config), context),
        "bare": bare_steps(model, context),
        "hand": ByHand(model, context).decode,
    }
    seconds = medians(steps, rounds)
    rates = [spread([TOKENS / s for s in seconds[name]], "{:,.0f}".format) for name in ("llama", "bare", "hand")]
    return [preset, f"{context:,}", *rates, *(ratio(seconds["llama"], seconds[name]) for name in ("bare", "hand"))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    header = ["preset", "context", "Hugging Face", "model's step", "by hand", "model's / theirs", "by hand / theirs"]
    print(Table(header, [measure(*shape, rounds) for shape in SHAPES]).markdown())


if __name__ == "__main__":
    main()
