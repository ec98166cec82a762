"""Our engine against its peers, in one run: ``python -m benchmarks.engine [--rounds N] [--out FILE]``.

Every row is a ratio of medians over interleaved rounds: in each round all candidates take their turn, so that a machine
that slows down slows all of them. One thread, float32, the same shapes, random weights (the cost does not depend on
them). The peers, of the extra ``bench``, are a Llama of Hugging Face's transformers with its dynamic cache, and for
decoding a decoder of x-transformers with rotary positions, RMSNorm and its own cache.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections import deque
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.floor import reading_floor
from benchmarks.kept import kept_for_backward
from benchmarks.peers import (
    TOKENS,
    Chat,
    bare_steps,
    llama,
    llama_steps,
    never_ending,
    our_model,
    training_steps,
    words,
    x_transformer,
)
from benchmarks.timing import Step, medians, ratio, spread
from mini_ism import ChatSession, load_tokenizer, turn_costs
from mini_ism.cost import plan
from mini_ism.masks import COURSE_MASKS
from mini_ism.views import Table

CONTEXTS = (64, 512, 1500)
TURNS = 16
DIALOGUES = 16  # trained on per step
COMPOSED = "causal & (sliding_window(600) | sink(4))"


# -- decoding --------------------------------------------------------------------------------------


def decoding(preset: str, context: int, rounds: int) -> list[list[str]]:
    """Tokens per second of a chat, of our bare step, of the peers' steps, and of the matrix products alone."""
    model, tokenizer = our_model(preset), load_tokenizer()
    chats = {mask: Chat(model, tokenizer, mask, context) for mask in ("causal", "ism", COMPOSED)}
    token, prompt = torch.tensor([[30]]), torch.full((1, context), 30)
    x_peer = x_transformer(model.config)
    with torch.inference_mode():
        _, x_prompt = x_peer(prompt, return_intermediates=True)

    @torch.inference_mode()
    def x_transformers() -> None:
        held = x_prompt
        for _ in range(TOKENS):
            _, held = x_peer(token, return_intermediates=True, cache=held, input_not_include_cache=True)

    weights = [p for p in model.parameters() if p.ndim == 2]
    vectors = [torch.randn(p.shape[1]) for p in weights]

    @torch.inference_mode()
    def floor() -> None:
        for _ in range(TOKENS):
            for weight, vector in zip(weights, vectors, strict=True):
                torch.mv(weight, vector)

    candidates: dict[str, Step] = {
        "Hugging Face": llama_steps(llama(model.config), context),
        "x-transformers": x_transformers,
        "bare": bare_steps(model, context),
        "floor": floor,
        **{mask: chat.decode for mask, chat in chats.items()},
    }
    with never_ending():
        seconds = medians(candidates, rounds, {mask: chat.begin for mask, chat in chats.items()})
        for chat in chats.values():
            chat.close()
    rate = {name: [TOKENS / s for s in each] for name, each in seconds.items()}
    return [
        [
            preset,
            str(context),
            name,
            spread(rate[name], "{:,.0f}".format),
            ratio(seconds["Hugging Face"], seconds[name]),
            ratio(seconds["floor"], seconds[name]),
        ]
        for name in ("causal", "ism", COMPOSED, "bare", "Hugging Face", "x-transformers")
    ]


def planning(preset: str, rounds: int) -> list[list[str]]:
    """The share of a decoded token's time that goes into planning."""
    from mini_ism.planner import Planner

    rows = []
    model, tokenizer = our_model(preset), load_tokenizer()
    for mask in ("causal", "ism", COMPOSED):
        for context in CONTEXTS:
            shares = []
            for _ in range(rounds):
                spent = [0.0]

                def timed(method: Callable[..., Any], spent: list[float] = spent) -> Callable[..., Any]:
                    def call(*given: Any) -> Any:
                        clock = time.perf_counter()
                        try:
                            return method(*given)
                        finally:
                            spent[0] += time.perf_counter() - clock

                    return call

                stream = ChatSession(model, tokenizer, mask).stream(words(context - 2), max_new_tokens=10**6)
                with never_ending():
                    next(stream)
                    with (
                        patch.object(Planner, "foreseen", timed(Planner.foreseen)),
                        patch.object(Planner, "plan", timed(Planner.plan)),
                    ):
                        clock = time.perf_counter()
                        for _ in range(2 * TOKENS):
                            next(stream)
                        shares.append(spent[0] / (time.perf_counter() - clock))
                    stream.close()  # type: ignore[attr-defined]
            rows.append([preset, str(context), mask, spread(shares, "{:.1%}".format)])
    return rows


# -- turns -----------------------------------------------------------------------------------------


def turns(preset: str, rounds: int) -> tuple[list[list[str]], list[list[str]]]:
    """Time to first token of turns 1 to 16 by mask, and of a loop that re-reads everything; and of whole turns."""
    model, tokenizer = our_model(preset), load_tokenizer()
    text = words(46)  # a query of 48 tokens, with its two markers
    first: dict[str, list[list[float]]] = {name: [] for name in (*COURSE_MASKS, "re-prefill")}
    whole: dict[str, list[list[float]]] = {name: [] for name in COURSE_MASKS}
    segments = None
    with never_ending():
        for number in range(rounds + 1):
            talks = {mask: ChatSession(model, tokenizer, mask) for mask in COURSE_MASKS}
            again: list[float] = []
            for turn in range(TURNS):
                order = deque(COURSE_MASKS)
                order.rotate(number + turn)  # the mask after the long re-prefill finds the processor's caches cold
                for mask in order:
                    talks[mask].send(text, max_new_tokens=16)
                last = talks["causal"]
                tokens = last.tokens[: len(last.tokens) - 17][None]
                clock = time.perf_counter()
                with torch.inference_mode():
                    model.compute(
                        tokens,
                        torch.ones(tokens.shape[1], tokens.shape[1]).tril().bool(),
                        None,
                        logits_at=slice(-1, None),
                    )
                again.append(time.perf_counter() - clock)
            if number:
                for mask, talk in talks.items():
                    costs = turn_costs(talk.trace)
                    first[mask].append([cost.first_token for cost in costs])
                    whole[mask].append([cost.seconds for cost in costs])
                first["re-prefill"].append(again)
            segments = talks["causal"].segments
    assert segments is not None
    computed = {mask: [cost.prefilled for cost in turn_costs(plan(mask, segments))] for mask in COURSE_MASKS}

    def of(name: str, turn: int) -> list[float]:
        return [each[turn] for each in first[name]]

    def floor(turn: int) -> str:
        seen = computed["prefix"][turn]  # a prefix mask recomputes everything
        steps = {mask: reading_floor(model, computed[mask][turn], seen) for mask in ("prefix", "ism")}
        seconds = medians(steps, rounds)
        return ratio(seconds["prefix"], seconds["ism"])

    by_turn = [
        [
            str(turn + 1),
            *(spread([1e3 * s for s in of(name, turn)], "{:.1f}".format) for name in first),
            ratio(of("ism", turn), of("causal", turn)),
            ratio(of("prefix", turn), of("ism", turn)),
            floor(turn),
            f"{computed['prefix'][turn] / computed['ism'][turn]:.2f}",
        ]
        for turn in (0, 1, 3, 7, 11, 15)
    ]
    total = {mask: [sum(each) for each in whole[mask]] for mask in whole}
    totals = [[f"{a} / {b}", ratio(total[a], total[b])] for a, b in (("ism", "causal"), ("prefix", "ism"))]
    return by_turn, totals


# -- training --------------------------------------------------------------------------------------


def training(preset: str, rounds: int) -> list[list[str]]:
    """Dialogues trained per second, ours, a Llama's and our floor's, on the same packed rows and 4D mask."""
    steps = training_steps(preset, dialogues=DIALOGUES)
    seconds = medians({"ours": steps.ours, "peer": steps.theirs, "floor": steps.floor()}, rounds)
    return [
        [
            preset,
            steps.layout,
            *(spread([DIALOGUES / s for s in seconds[name]], "{:,.1f}".format) for name in ("ours", "peer")),
            *(ratio(seconds["peer"], seconds[name]) for name in ("ours", "floor")),
        ]
    ]


# -- memory ----------------------------------------------------------------------------------------


def memory(preset: str, positions: int = 1500) -> list[list[str]]:
    """Bytes that a conversation holds, and that a training step keeps for its backward; counted, not timed."""
    from transformers import DynamicCache

    model = our_model(preset)
    peer = llama(model.config)
    prompt = torch.full((1, positions), 30)
    cache, hf_cache = model.new_cache(), DynamicCache()
    with torch.inference_mode():
        model(prompt, None, cache)
        peer(prompt, past_key_values=hf_cache)
    theirs = sum(layer.keys.nbytes + layer.values.nbytes for layer in hf_cache.layers)
    capacity = model.config.context
    steps = training_steps(preset, dialogues=DIALOGUES)
    kept = [mebibytes(kept_for_backward(*each)) for each in ((steps.model, steps.ours), (steps.peer, steps.theirs))]
    return [
        [preset, f"keys and values of {positions:,} positions", mebibytes(cache.nbytes), mebibytes(theirs)],
        [preset, f"allocated for {capacity:,} positions", mebibytes(model.kv_bytes(capacity)), "as it grows"],
        [preset, f"the planner's matrix for {capacity:,} positions", mebibytes(capacity**2), "none"],
        [preset, "kept by a training step for its backward", *kept],
    ]


def mebibytes(count: int) -> str:
    """Bytes as MiB, for people to read."""
    return f"{count / 2**20:,.1f} MiB"


def main() -> None:
    """Run all, print the page, and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds (default: 9)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "RESULTS.md")
    parser.add_argument("--presets", nargs="+", default=["tiny", "small"])
    options = parser.parse_args()
    try:
        import transformers
        import x_transformers  # noqa: F401
    except ModuleNotFoundError:
        parser.exit(1, 'a peer is missing: pip install "transformers>=5" x-transformers, or the extra "bench"\n')
    torch.set_num_threads(1)
    rounds = options.rounds
    rows = [row for preset in options.presets for context in CONTEXTS for row in decoding(preset, context, rounds)]
    by_turn, totals = turns("tiny", rounds)
    by_turn_small, totals_small = turns("small", max(4, rounds // 2))
    parts = [
        "# Benchmarks\n\nMedians of interleaved rounds, with the lowest and the highest; ratios are the median of the "
        "rounds' own ratios, with the middle half of them. One thread, float32, random weights.\n\n"
        f"`python -m benchmarks.engine --rounds {rounds}` on {platform.machine()} ({platform.system()}), Python "
        f"{platform.python_version()}, PyTorch {torch.__version__}, transformers {transformers.__version__}, "
        f"x-transformers {version('x-transformers')}.\n",
        "## Decoding, tokens per second\n\nRows named for a mask are whole chat sessions: planning, sampling and trace "
        "included. *Bare* is the model's step alone. The floor is the matrix-vector products alone.\n",
        Table(
            ["preset", "context", "what", "tokens per second", "of Hugging Face's step", "of the floor"],
            rows,
            words=frozenset({0, 2}),
        ).markdown(),
        "## Planning, share of a decoded token's time\n",
        Table(["preset", "context", "mask", "share"], planning("tiny", rounds), words=frozenset({0, 2})).markdown(),
        "## Time to first token, ms (48-token queries, 16-token answers)\n\n*Re-prefill* reads the whole "
        "conversation again each turn, under a causal mask. *Floors* and *tokens* are prefix / ISM, too: of the time "
        "that the matrix products and the attention alone take, and of the tokens that are computed.\n",
        Table(
            ["preset", "turn", *COURSE_MASKS, "re-prefill", "ISM / causal", "prefix / ISM", "floors", "tokens"],
            [*(["tiny", *row] for row in by_turn), *(["small", *row] for row in by_turn_small)],
            words=frozenset({0}),
        ).markdown(),
        "## Whole conversations of 16 turns\n",
        Table(
            ["preset", "seconds", "ratio"],
            [*(["tiny", *row] for row in totals), *(["small", *row] for row in totals_small)],
            words=frozenset({0, 1}),
        ).markdown(),
        f"## Training, dialogues per second ({DIALOGUES} dialogues, packed, ISM as a 4D mask)\n\nThe floor is our "
        "step's matrix products and attention alone, forward and backward.\n",
        Table(
            ["preset", "laid out as", "ours", "Hugging Face's Llama", "ours / theirs", "floor / theirs"],
            [row for preset in options.presets for row in training(preset, max(3, rounds // 2))],
            words=frozenset({0, 1}),
        ).markdown(),
        "## Memory\n",
        Table(
            ["preset", "what", "ours", "Hugging Face's Llama"],
            [row for preset in options.presets for row in memory(preset)],
            words=frozenset({0, 1}),
        ).markdown(),
    ]
    page = "\n".join(parts)
    options.out.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
