"""What the tests of pictures share: dialogues to draw, and the elements of what was drawn."""

import xml.etree.ElementTree as ET

from mini_ism import Segments, encode_dialogue, load_tokenizer
from mini_ism.cost import plan
from mini_ism.views import TokenizedDialogue, tokenized
from mini_ism.views.timeline import Frame, frames

TOKENIZER = load_tokenizer()
LAYOUT = [("user", 4), ("assistant", 3), ("user", 5), ("assistant", 2), ("user", 2), ("assistant", 1)]
"""For :func:`tests.strategies.segments_of`."""


def messages_of(texts: list[str]) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]


def segmented(texts: list[str]) -> tuple[Segments, TokenizedDialogue]:
    """A dialogue, user first: its segments, and what stands along the sides of a picture of it."""
    encoded = encode_dialogue(messages_of(texts), TOKENIZER)
    return encoded.segments, tokenized(encoded, TOKENIZER)


def one_query(labels: list[str]) -> TokenizedDialogue:
    """Tokens that are all in one question."""
    return TokenizedDialogue(labels, ["user"] * len(labels), [0] * len(labels))


def film() -> tuple[list[Frame], TokenizedDialogue]:
    s, dialogue = segmented(["Where is the cup?", "In the oven.", "Why?", "I do not know."])
    return frames({rule: plan(rule, s) for rule in ("causal", "prefix", "ism")}), dialogue


def elements(picture: str, name: str, kind: str | None = None) -> list[ET.Element]:
    found = ET.fromstring(picture).iter(f"{{http://www.w3.org/2000/svg}}{name}")
    return [element for element in found if kind is None or element.get("class") == kind]
