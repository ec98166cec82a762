"""How much of a decode step goes into asking the mask's rule: ``python -m benchmarks.planning``.

Before each token the chat engine asks the rule about all pairs of positions, so that the cache is right under any rule.
A rule of more operations takes longer to ask: that, not reading, is where masks with the same cache differ in seconds.
"""

from __future__ import annotations

import statistics
import time
from functools import partial

import torch

from mini_ism.chat import ChatSession
from mini_ism.dialogue import END
from mini_ism.experiments.costs import MASKS, query
from mini_ism.masks import Mask, unchanged_prefix
from mini_ism.model import GPT, GPTConfig
from mini_ism.segments import Segments
from mini_ism.tokenizer import load_tokenizer

TURNS, QUERY, ANSWER = 8, 48, 64  # as in the sweep `costs`
REPEATS = 200


def main() -> None:
    """Chat under each mask in turn, and print the last turn's decode steps and what their planning takes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer = load_tokenizer()
    model = GPT(GPTConfig.preset("small", vocab_size=tokenizer.n_vocab, context=TURNS * (QUERY + ANSWER))).eval()
    model.embed.weight.data[tokenizer.encode_single_token(END)] = 0.0  # never ends an answer by itself
    talks = [ChatSession(model, tokenizer, mask) for mask in MASKS]
    for _ in range(TURNS):
        for talk in talks:
            talk.send(query(QUERY, tokenizer), max_new_tokens=ANSWER - 1)
    print(f"{'mask':>8}  positions  decode step, ms  of it planning, ms")
    for talk in talks:
        steps = [event.seconds for event in talk.trace if event.phase == "decode" and event.turn == TURNS]
        whole, asked = statistics.median(steps), median_seconds(partial(plan, talk.mask, talk.segments))
        print(f"{talk.mask.name:>8}  {len(talk.tokens):9}  {1e3 * whole:15.2f}  {1e3 * asked:18.2f}")


def plan(mask: Mask, segments: Segments) -> None:
    """What the engine asks before it computes one position more."""
    dense = mask.dense(segments)
    unchanged_prefix(dense[:-1, :-1], dense)


def median_seconds(call: partial[None]) -> float:
    """Of some repeats."""
    seconds = []
    for _ in range(REPEATS):
        clock = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - clock)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
