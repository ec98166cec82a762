"""How much of a decode step goes into asking the mask's rule: ``python -m benchmarks.planning``.

Before each token the chat engine asks the rule about all pairs of positions, so that the cache is right under any rule.
A rule of more operations takes longer to ask: that, not reading, is where masks with the same cache differ in seconds.
"""

from __future__ import annotations

import statistics
import timeit

import torch

from mini_ism.chat import ChatSession
from mini_ism.results import SWEPT
from mini_ism.reuse import unchanged_prefix
from mini_ism.tokenizer import load_tokenizer
from research.costs import ANSWER, QUERY, TURNS, endless_model, query

REPEATS = 200


def main() -> None:
    """Chat under each mask in turn, and print the last turn's decode steps and what their planning takes."""
    torch.set_num_threads(1)
    tokenizer = load_tokenizer()
    model = endless_model("small", TURNS * (QUERY + ANSWER), tokenizer)
    talks = [ChatSession(model, tokenizer, mask) for mask in SWEPT]
    for _ in range(TURNS):
        for talk in talks:
            talk.send(query(QUERY, tokenizer), max_new_tokens=ANSWER - 1)
    print(f"{'mask':>8}  positions  decode step, ms  of it planning, ms")
    for talk in talks:
        steps = [event.seconds for event in talk.trace if event.phase == "decode" and event.turn == TURNS]
        whole, asked = statistics.median(steps), statistics.median(asking(talk))
        print(f"{talk.mask.name:>8}  {len(talk.tokens):9}  {1e3 * whole:15.2f}  {1e3 * asked:18.2f}")


def asking(talk: ChatSession) -> list[float]:
    """The seconds of what the engine asks before it computes one position more, some times over."""
    segments = talk.segments

    def plan() -> None:
        dense = talk.mask.dense(segments)
        unchanged_prefix(dense[:-1, :-1], dense)

    return timeit.repeat(plan, number=1, repeat=REPEATS)


if __name__ == "__main__":
    main()
