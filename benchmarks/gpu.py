"""Training with a dense mask and with a ``BlockMask``, at 1k to 16k tokens: ``python -m benchmarks.gpu [--out FILE]``.

One dialogue of many turns fills the row. Its whole training step, forward and backward in bf16 autocast, is timed under
each mask along both paths: PyTorch's attention over a bool matrix, and FlexAttention over the blocks that the rule
leaves. A Llama of Hugging Face's transformers is timed for comparison, and both paths are first checked to compute the
same. What does not fit into memory or into ``--seconds`` is reported as such; the page is rewritten after each cell, so
a run that is cut short keeps what it has measured.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import statistics
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.long_rows import NOT_RUN, PATHS, SMALL, Budget, Cell, Measured, agreement, fill_all
from benchmarks.peers import TOKENS, Chat, bare_steps, llama, llama_steps, never_ending, our_model, training_steps
from benchmarks.timing import medians, ratio, spread
from mini_ism import load_tokenizer
from mini_ism.devices import get_device
from mini_ism.masks import COURSE_MASKS
from mini_ism.views import Table

LARGE = {"layers": 12, "heads": 12, "width": 768}
CLOSE = 1e-4
CONTEXTS = (64, 1500)
Rows = list[list[str]]


# -- rows of the page ------------------------------------------------------------------------------


def compare(mask: str, tokens: int, device: torch.device) -> list[str]:
    """How far the two paths are apart, and whether that is rounding."""
    apart = agreement(mask, tokens, device)
    return [*map("{:.1e}".format, apart), "yes" if max(apart) <= CLOSE else "NO"]


def training(name: str, precision: str, dialogues: int, rounds: int, device: str, **changes: int) -> list[str]:
    """Dialogues trained per second, optimiser included, ours and a Llama's."""
    steps = training_steps(name, device, precision, dialogues, **changes)
    seconds = medians({"ours": steps.ours, "peer": steps.theirs}, rounds)
    rate = [spread([dialogues / s for s in seconds[each]], "{:,.0f}".format) for each in ("ours", "peer")]
    return [steps.layout, *rate, ratio(seconds["peer"], seconds["ours"])]


def decoding(preset: str, context: int, rounds: int, device: str) -> list[str]:
    """Tokens decoded per second: chats under two masks, our bare step, and a Llama's."""
    model, tokenizer = our_model(preset, device), load_tokenizer()
    chats = {mask: Chat(model, tokenizer, mask, context) for mask in ("causal", "ism")}
    steps = {
        **{mask: chat.decode for mask, chat in chats.items()},
        "bare": bare_steps(model, context),
        "peer": llama_steps(llama(model.config, device), context),
    }
    with never_ending():
        seconds = medians(steps, rounds, {mask: chat.begin for mask, chat in chats.items()})
        for chat in chats.values():
            chat.close()
    rates = [spread([TOKENS / s for s in each], "{:,.0f}".format) for each in seconds.values()]
    return [*rates, ratio(seconds["peer"], seconds["bare"])]


# -- the page --------------------------------------------------------------------------------------


def milliseconds(values: list[float]) -> str:
    """Median and range."""
    return spread([1e3 * value for value in values], "{:,.1f}".format)


def findings(cells: list[Cell]) -> str:
    """What the cells show, in words."""
    lines = []
    for mask in dict.fromkeys(cell.mask for cell in cells):
        seen = [(cell, both) for cell in cells if cell.mask == mask and (both := cell.both())]
        if not seen:
            continue
        cell, (dense, blocks) = max(seen, key=lambda pair: pair[0].tokens)
        times = statistics.median(a / b for a, b in zip(dense.step, blocks.step, strict=True))
        memory = f" and {blocks.peak / dense.peak:.2f} times its memory" if dense.peak else ""
        lines.append(
            f"Under {mask}, at {cell.tokens:,} tokens, the block mask keeps {cell.kept or 0:.0%} of the blocks, and a "
            f"step with it takes {1 / times:.2f} times the dense one's time{memory}."
        )
    return " ".join(lines) or "No cell has both paths."


def page(
    options: argparse.Namespace,
    cells: list[Cell],
    agreed: list[list[str]],
    train: list[list[str]],
    chat: list[list[str]],
) -> str:
    """All that is known so far, in Markdown."""

    def rows(columns: Callable[[Cell], list[str]]) -> Rows:
        return [[cell.mask, f"{cell.tokens:,}", *columns(cell)] for cell in cells]

    def each(cell: Cell, what: Callable[[Measured], str]) -> list[str]:
        return [cell.show(path, what) for path in PATHS]

    def faster(cell: Cell) -> str:
        both = cell.both()
        return ratio(both[0].step, both[1].step) if both else ""

    device = get_device(options.device)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    shape = options.shape
    parts = [
        "# Benchmarks on a GPU\n\nMedians of interleaved rounds, with the lowest and the highest; ratios are the "
        "median of the rounds' own ratios, with the middle half of them. Random weights.\n\n"
        f"`{options.command}` on {card}, Python {platform.python_version()}, PyTorch {torch.__version__}"
        + "".join(f", {name} {found}" for name in ("triton", "transformers") if (found := installed(name)))
        + ".\n",
        f"## A training step, ms: a dense mask, and blocks\n\n{shape['layers']} layers, width {shape['width']}, "
        f"{shape['heads']} heads; one dialogue of many turns per row; forward and backward in bf16 autocast, without "
        "the optimiser. The loss is on all answers; under prefix on the last one, since one forward can learn no "
        "other. *Dense* is PyTorch's attention with a bool matrix, *blocks* FlexAttention with a `BlockMask`.\n\n"
        f"{findings(cells)}\n",
        Table(
            ["mask", "tokens", "blocks kept", "dense", "blocks", "dense / blocks", "forward, dense", "forward, blocks"],
            rows(
                lambda cell: [
                    "" if cell.kept is None else f"{cell.kept:.0%}",
                    *each(cell, lambda m: milliseconds(m.step)),
                    faster(cell),
                    *each(cell, lambda m: milliseconds(m.forward)),
                ]
            ),
        ).markdown(),
        "## Its memory, and what comes before it\n\nThe most that was allocated during a step, weights included; the "
        "time to build the mask; and the first step, in which FlexAttention is compiled if it is a new shape: once for "
        "a length, then once for any.\n",
        Table(
            ["mask", "tokens", *(f"{what}, {path}" for what in ("GiB", "build, ms", "first, s") for path in PATHS)],
            rows(
                lambda cell: [
                    *each(cell, lambda m: f"{m.peak / 2**30:.1f}" if m.peak else ""),
                    *each(cell, lambda m: f"{1e3 * m.build:.1f}"),
                    *each(cell, lambda m: f"{m.first:.2f}"),
                ]
            ),
        ).markdown(),
        f"## The same numbers in float32\n\nThe largest difference between the two paths at {options.agree:,} tokens, "
        f"{SMALL['layers']} layers, width {SMALL['width']}; at most {CLOSE:.0e} counts as the same.\n",
        Table(["mask", "loss", "any gradient", "the same"], agreed).markdown(),
        "## Training, dialogues per second (packed, ISM as a 4D mask, with AdamW)\n",
        Table(
            ["model", "precision", "laid out as", "ours", "Hugging Face's Llama", "ours / theirs"],
            train,
            words=frozenset({0, 1, 2}),
        ).markdown(),
        "## Decoding, tokens per second (float32)\n\nChats include planning, sampling and trace; *bare* is the model's "
        "step alone.\n",
        Table(
            ["preset", "context", "causal chat", "ISM chat", "bare", "Hugging Face's Llama", "bare / theirs"], chat
        ).markdown(),
    ]
    return "\n".join(parts)


def installed(name: str) -> str:
    """A package's version, if it is there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def main(given: list[str] | None = None) -> int:
    """Measure all, write the page and print it; 1 if the two paths were compared and do not agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 2048, 4096, 8192, 16384])
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: 5)")
    parser.add_argument("--seconds", type=float, default=240, help="begin nothing more after so long (default: 240)")
    parser.add_argument("--small", action="store_true", help="with small models, to try it out")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "GPU.md")
    given = sys.argv[1:] if given is None else given
    options = parser.parse_args(given)
    options.command = shlex.join(["python", "-m", "benchmarks.gpu", *given])
    options.shape, options.agree = SMALL if options.small else LARGE, 256 if options.small else 1024
    device, budget = get_device(options.device), Budget(options.seconds)
    torch.set_float32_matmul_precision("highest")  # no TF32: float32 is compared, and measured, as float32

    preset = "tiny" if options.small else "small"
    sizes: list[tuple[str, str, str, int, dict[str, int]]] = [
        (preset, preset, "float32", 16, {}),
        (preset, preset, "bf16", 16, {}),
        ("12 layers, width 768", "small", "bf16", 128, LARGE),
    ][: 1 if options.small else 3]
    cells = [Cell(mask, tokens) for mask in COURSE_MASKS for tokens in sorted(options.lengths)]
    agreed = [[mask, NOT_RUN, "", ""] for mask in COURSE_MASKS]
    train = [[name, precision, NOT_RUN, "", "", ""] for name, _, precision, *_ in sizes]
    chat = [[preset, f"{context:,}", NOT_RUN, "", "", "", ""] for context in CONTEXTS]

    def write(row: list[str] | None = None, start: int = 0, found: list[str] | str = "") -> None:
        """Put what was found, or why there is nothing, into a row from a column on, and write the page."""
        if row is not None:
            row[start:] = found if isinstance(found, list) else [found, *[""] * (len(row) - start - 1)]
        options.out.write_text(page(options, cells, agreed, train, chat), encoding="utf-8")

    for row, mask in zip(agreed, COURSE_MASKS, strict=True):
        write(row, 1, budget.attempt(partial(compare, mask, options.agree, device)))
    for _ in fill_all(cells, device, options.shape, options.rounds, budget):
        write()
    for row, context in zip(chat, CONTEXTS, strict=True):
        write(row, 2, budget.attempt(partial(decoding, preset, context, options.rounds, options.device)))
    for row, (_, base, precision, count, changes) in zip(train, sizes, strict=True):
        step = partial(training, base, precision, count, options.rounds, options.device, **changes)
        write(row, 2, budget.attempt(step))
    print(options.out.read_text(encoding="utf-8"))
    return int(any(row[-1] == "NO" for row in agreed))


if __name__ == "__main__":
    sys.exit(main())
