"""Which line of a dialogue attends to which."""

import pytest
import torch

from mini_ism.attention_stats import read_attention
from mini_ism.config import GPTConfig
from mini_ism.corpus.chains import held_out
from mini_ism.dialogue import encode_dialogue
from mini_ism.line_attention import link_attention, links
from mini_ism.model import GPT
from mini_ism.tokenizer import load_tokenizer


def test_links_are_found_where_they_stand() -> None:
    tokenizer = load_tokenizer()
    dialogue = encode_dialogue(
        [
            {"role": "user", "content": "so tin in cart. key in tin. which room is key?"},
            {"role": "assistant", "content": "so key barn"},
        ],
        tokenizer,
    )
    assert links(dialogue, tokenizer) == [("tin", "cart", 3), ("key", "tin", 7)]


def test_a_causal_link_gives_nothing_to_what_continues_it_ahead() -> None:
    torch.manual_seed(0)
    tokenizer = load_tokenizer()
    model = GPT(GPTConfig(tokenizer.n_vocab, layers=1, heads=2, width=32))
    dialogues = held_out("test", 3)
    causal, ism = (link_attention(model, tokenizer, dialogues, mask) for mask in ("causal", "ism"))
    assert causal["onward, ahead"] == causal["back, ahead"] == 0 < min(causal["onward, behind"], causal["back, behind"])
    assert min(ism.values()) > 0
    one = encode_dialogue(dialogues[0].messages, tokenizer)
    weights = read_attention(model, one, "ism").weights[0]  # (H, T, T)
    ahead = [
        weights[:, at : at + 4, other : other + 4].sum(-1)
        for _, outer, at in links(one, tokenizer)
        for inner, _, other in links(one, tokenizer)
        if inner == outer and other > at
    ]
    assert link_attention(model, tokenizer, dialogues[:1], "ism")["onward, ahead"] == pytest.approx(
        float(torch.stack(ahead).mean(0).max()), abs=1e-4
    )
