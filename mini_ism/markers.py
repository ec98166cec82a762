"""The markers of a dialogue, as a tokenizer numbers them."""

from __future__ import annotations

import tiktoken


def marker_id(tokenizer: tiktoken.Encoding, marker: str) -> int:
    """The token of a marker such as ``"<|user|>"``.

    Raises:
        TypeError: it is not a tokenizer.
        ValueError: it has no such token.
    """
    try:
        return tokenizer.encode_single_token(marker)
    except AttributeError:
        raise TypeError(
            f"a tokenizer must be a tiktoken.Encoding, from load_tokenizer(), got {tokenizer!r:.60}"
        ) from None
    except KeyError:
        raise ValueError(
            f"the tokenizer {tokenizer.name!r} has no token {marker!r}, which dialogues are written with; "
            "use load_tokenizer(), or add the markers as special_tokens of a tiktoken.Encoding"
        ) from None
