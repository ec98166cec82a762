"""Small models with random weights that answer with more than the likeliest copy."""

import tiktoken
import torch

from mini_ism import GPT, GPTConfig, load_tokenizer

Models = dict[str, tuple[GPT, tiktoken.Encoding]]


def small(rule: str, seed: int = 0) -> tuple[GPT, tiktoken.Encoding]:
    tokenizer = load_tokenizer()
    torch.manual_seed(seed)
    model = GPT(GPTConfig(tokenizer.n_vocab, layers=2, heads=2, width=16, context=200, mask=rule)).eval()
    for name, weight in model.named_parameters():
        if name.endswith("mlp.down.weight"):
            torch.nn.init.normal_(weight, std=0.3)  # so that it is more than a copier
    return model, tokenizer


def three_models() -> Models:
    return {rule: small(rule, seed) for seed, rule in enumerate(("causal", "prefix", "ism"))}
