"""Draw the pictures of the README: `python -m tools.make_pictures`. The same bytes each time, for the same weights."""

from __future__ import annotations

from pathlib import Path

from mini_ism import encode_dialogue, get_mask, load_model, load_tokenizer
from mini_ism.attention_stats import read_attention
from mini_ism.cost import plan
from mini_ism.files import write_atomically
from mini_ism.views import mask_figure, png_bytes, standalone, tokenized
from mini_ism.views.attention_figures import WIDE, swap_figure
from mini_ism.views.cache_animation import cache_animation
from mini_ism.views.timeline import frames

PICTURES = Path(__file__).parent.parent / "docs"
DIALOGUE = [
    {"role": "user", "content": "The cup is in the oven. Where is the cup?"},
    {"role": "assistant", "content": "In the oven."},
    {"role": "user", "content": "My name is Ada. Who am I?"},
    {"role": "assistant", "content": "You are Ada."},
]
ONE_MORE_TURN = [
    {"role": "user", "content": "What is in the oven?"},
    {"role": "assistant", "content": "The cup."},
]
LANES = {"causal": "causal", "prefix": "prefix", "ISM": "ism"}
SHARP = 192  # dots per inch: twice what a README shows, for high-resolution screens


def three_masks() -> bytes:
    """Which token may attend to which, under three masks."""
    tokenizer = load_tokenizer()
    encoded = encode_dialogue(DIALOGUE, tokenizer)
    masks = {name: get_mask(mask).dense(encoded.segments) for name, mask in LANES.items()}
    return png_bytes(mask_figure(masks, tokenized(encoded, tokenizer), width=WIDE), SHARP)


def attention_swap() -> bytes:
    """The head of the shipped ISM model that moves most of its attention when it has to read under causal."""
    model, tokenizer = load_model("ism")
    encoded = encode_dialogue(DIALOGUE, tokenizer)
    own, swapped = read_attention(model, encoded, "ism"), read_attention(model, encoded, "causal")
    moved = (swapped.weights - own.weights).abs().sum(-1).mean(-1)  # (layers, H)
    layer, head = divmod(int(moved.argmax()), moved.shape[1])
    place = f"layer {layer + 1}, head {head + 1}"
    figure = swap_figure(
        (own.weights[layer, head], own.allowed),
        (swapped.weights[layer, head], swapped.allowed),
        tokenized(encoded, tokenizer),
        titles=("ISM", "causal"),
        heading=f"Weights trained under ISM, read under causal: where attention moves ({place})",
    )
    return png_bytes(figure, SHARP)


def cache_player() -> bytes:
    """What three caches keep, read and throw away over three turns, as an animation."""
    tokenizer = load_tokenizer()
    encoded = encode_dialogue(DIALOGUE + ONE_MORE_TURN, tokenizer)
    film = frames({name: plan(mask, encoded.segments) for name, mask in LANES.items()})
    return standalone(cache_animation(film, tokenized(encoded, tokenizer))).encode()


DRAWN = {"three_masks.png": three_masks, "attention_swap.png": attention_swap, "cache_player.svg": cache_player}
"""What draws each picture, by its file's name."""


def main() -> None:
    """Write each picture to `docs/`."""
    for name, draw in DRAWN.items():
        write_atomically(PICTURES / name, draw())


if __name__ == "__main__":
    main()
