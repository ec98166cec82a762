"""Draw the pictures of the README: `python -m tools.make_pictures`."""

from __future__ import annotations

from pathlib import Path

from mini_ism import encode_dialogue, get_mask, load_tokenizer
from mini_ism.files import write_atomically
from mini_ism.views import mask_figure, png_bytes, token_labels, token_roles

PICTURES = Path(__file__).parent.parent / "docs"
DIALOGUE = [
    {"role": "user", "content": "The cup is in the oven. Where is the cup?"},
    {"role": "assistant", "content": "In the oven."},
    {"role": "user", "content": "My name is Ada. Who am I?"},
    {"role": "assistant", "content": "You are Ada."},
]


def main() -> None:
    """Write each picture to `docs/`."""
    tokenizer = load_tokenizer()
    encoded = encode_dialogue(DIALOGUE, tokenizer)
    s = encoded.segments
    masks = {name: get_mask(name).dense(s) for name in ("causal", "prefix", "ism")}
    figure = mask_figure(masks, token_labels(encoded, tokenizer), token_roles(s), s.id.tolist())
    write_atomically(PICTURES / "three_masks.png", png_bytes(figure))


if __name__ == "__main__":
    main()
