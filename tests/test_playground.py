"""The playground's model and engine in JavaScript say what the package says; its folder is what the sources make."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import playwright
import pytest
import torch

from mini_ism import get_mask, load_model, load_tokenizer
from mini_ism.chat import ChatSession
from mini_ism.corpus import generate
from mini_ism.corpus.splits import SEED, to_jsonl
from mini_ism.corpus.topics import EXAMPLES
from mini_ism.dialogue import encode_dialogue, encode_message
from mini_ism.masks import COURSE_MASKS
from mini_ism.reuse import reusable
from mini_ism.sampling import loop_start
from mini_ism.segments import Segments
from mini_ism.typed import normalised
from tests.strategies import Layout, segments_of
from tools import build_playground as built

Dialogue = list[dict[str, str]]
NEAR = 1e-4
PARITY = Path(__file__).with_name("playground_parity.js")
KINDS = ("uncached", "cached", "texts", "typed", "talks", "reusable", "refused", "loops", "drawn")
"""What the scripts are asked about, see there."""


@cache
def _node() -> str | None:
    brought = Path(str(playwright.__file__)).parent / "driver" / "node"
    for found in (shutil.which("node"), str(brought) if brought.is_file() else None):
        # The one that Playwright brings along needs libraries that a bare system has not.
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return found
    return None


def node() -> str:
    """Node.js: the system's, or the one that Playwright brings along."""
    found = _node()
    if found is None:
        pytest.skip(
            "no Node.js that runs, neither on PATH nor in Playwright's package (Debian: apt-get install nodejs)"
        )
    return found


@dataclass
class Answers:
    """What the page's scripts said, as :mod:`tests.playground_parity` asked them."""

    said: dict[str, Any]
    logits: np.ndarray


def ask(folder: Path, **questions: Sequence[Any]) -> Answers:
    """One process answers all questions."""
    file = folder / "questions.json"
    file.write_text(json.dumps({kind: questions.get(kind, []) for kind in KINDS}), encoding="utf-8")
    for name, text in (("model.js", built.lesson()), ("data.js", scripts_data())):
        (folder / name).write_text(text, encoding="utf-8")
    command = [node(), str(PARITY), str(folder / "model.js"), str(folder / "data.js"), str(file)]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 0, run.stderr
    logits = np.fromfile(f"{file}.logits", dtype=np.float32).reshape(-1, load_tokenizer().n_vocab)
    return Answers(json.loads(run.stdout), logits)


@cache
def scripts_data() -> str:
    return built.data()


SHORT = 300  # letters of a dialogue's line; a page reads a long one no otherwise, but more slowly


def dialogues(count: int) -> list[Dialogue]:
    """A long dialogue, and short ones, some of them with held-out words."""
    found: list[Dialogue] = []
    for split, most, wanted in (("long", 10**6, 1), ("held_out", SHORT, 20), ("train", SHORT, count - 21)):
        short = (each for each in generate(SEED, split) if len(to_jsonl([each]).decode().strip()) <= most)
        found += [dialogue.messages for dialogue in islice(short, wanted)]
    assert len(found) == count
    return found


shipped = cache(load_model)


@torch.inference_mode()
def answer_logits(name: str, messages: Dialogue, mask: str) -> np.ndarray:
    """What PyTorch's model says before each token of the last answer ``[N, V]``, its end included."""
    model, tokenizer = shipped(name)
    encoded = encode_dialogue(messages, tokenizer)
    count = len(encode_message(messages[-1], tokenizer))
    logits = model(encoded.tokens[None], get_mask(mask).dense(encoded.segments))[0]
    return logits[-count - 1 : -1].numpy()


def until_each_answer(messages: Dialogue) -> list[Dialogue]:
    return [messages[: n + 1] for n, message in enumerate(messages) if message["role"] == "assistant"]


# -- the model --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_logits_are_those_of_pytorch_with_and_without_a_cache(tmp_path: Path) -> None:
    asked = [(mask, mask, messages) for messages in dialogues(200) for mask in COURSE_MASKS]
    found = ask(tmp_path, uncached=asked, cached=asked).logits
    whole = [answer_logits(name, messages, mask) for name, mask, messages in asked]
    in_turn = [
        answer_logits(name, so_far, mask) for name, mask, messages in asked for so_far in until_each_answer(messages)
    ]
    expected = np.concatenate([*whole, *in_turn])
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < NEAR


@pytest.mark.slow
def test_a_model_may_read_under_any_rule(tmp_path: Path) -> None:
    rules = ["causal & (sliding_window(8) | sink(2))", "(kv <= q) | (s.id[q] == 0) & (s.id[kv] == 0)", "ism(sink=True)"]
    asked = [("causal", rule, messages) for messages in dialogues(24)[20:] for rule in rules]
    found = ask(tmp_path, uncached=asked).logits
    expected = np.concatenate([answer_logits(name, messages, mask) for name, mask, messages in asked])
    assert np.abs(found - expected).max() < NEAR


@pytest.mark.slow
def test_conversations_are_the_same_token_by_token_and_event_by_event(tmp_path: Path) -> None:
    texts = list(EXAMPLES[:5])
    rules = [*COURSE_MASKS, "causal & sliding_window(6)", "ism & ~inside(0) | causal", "(kv <= q) | (kv < s.end[q])"]
    talks = [(name, rule, texts, 2) for name, rule in zip([*COURSE_MASKS, "ism", "ism", "prefix"], rules, strict=True)]
    for (name, rule, _, back), found in zip(talks, ask(tmp_path, talks=talks).said["talks"], strict=True):
        session = ChatSession(*load_model(name), rule)
        replies = [session.send(text, max_new_tokens=40, stop_loops=True) for text in texts]
        session.truncate(back)
        assert found["replies"] == [[reply.text, reply.tokens.tolist(), reply.stopped] for reply in replies]
        trace = [[e.turn, e.phase, e.start, e.stop, e.flops, e.kv_bytes] for e in session.trace]
        assert found["trace"] == trace, rule


# -- text -------------------------------------------------------------------------------------------------------------


def test_text_is_split_and_joined_as_by_tiktoken(tmp_path: Path) -> None:
    random, tokenizer = Random(0), load_tokenizer()
    letters = "abcz AZ  é ß 漢字 مر 🙂🇩🇪 0192½ ' 'll 's !?. -— \t\n\r\x85\u2028\u00a0\ufeff\u200b <|user|> <|end|>"
    texts = [*EXAMPLES, "", " ", "don't I'LL it's", "<|end|><|user|>", "ü" * 9]
    texts += ["".join(random.choices(letters, k=random.randrange(40))) for _ in range(500)]
    said = ask(tmp_path, texts=texts).said
    assert said["tokens"] == [tokenizer.encode(text, allowed_special=set(), disallowed_special=()) for text in texts]
    assert said["decoded"] == texts


@pytest.mark.slow
def test_typed_text_is_spelled_as_in_python(tmp_path: Path) -> None:
    random, letters = (
        Random(0),
        ["ab", "e\u0301", "KEY", *4 * "A", "\u00dc", *" \u00a0\u202f\t\n?!.,;:(1\u2018\u2019\u201c\u201d"],
    )
    texts = ["".join(random.choices(letters, k=20)) for _ in range(500)]
    texts += [text.upper() for text in texts]
    assert ask(tmp_path, typed=texts).said["typed"] == [normalised(text, load_tokenizer()) for text in texts]


# -- rules ------------------------------------------------------------------------------------------------------------


def random_rule(random: Random, depth: int = 3) -> str:
    """A rule as text: names with and without options, comparisons, and what joins them."""
    if depth and random.random() < 0.6:
        a, b = (random_rule(random, depth - 1) for _ in range(2))
        return random.choice([f"({a}) & ({b})", f"({a}) | ({b})", f"~({a})", f"({a}) | (q == kv)"])
    number = random_number(random, 2)
    return random.choice(
        [
            *("causal", "prefix", "ism", "same_query", "same_segment", "mas", "same_document", "bidirectional"),
            random.choice(["ism(sink=True)", "ism(False, False)", "ism(system_as_query=False)"]),
            f"sliding_window({random.randrange(9)})",
            f"sink(n={random.randrange(5)})",
            f"inside({random.randrange(4)})",
            f"s.{random.choice(['is_query', 'system'])}[{random.choice(['q', 'kv'])}]",
            "s.is_query[q] == s.is_query[kv]",
            f"{number} {random.choice(['<', '<=', '>', '>=', '==', '!='])} {random.choice(['q', 'kv', 's.id[q]'])}",
        ]
    )


def random_number(random: Random, depth: int) -> str:
    if depth and random.random() < 0.6:
        a, b = (random_number(random, depth - 1) for _ in range(2))
        written = random.randrange(1, 5)
        return random.choice(
            [f"({a} + {b})", f"{a} - {b}", f"-{a} * 2", f"({a}) // {written}", f"{a} % {written}", f"abs({a} - {b})"]
        )
    field = random.choice(["id", "position", "end", "last_query_end"])
    return random.choice(["q", "kv", str(random.randrange(12)), f"s.{field}[{random.choice(['q', 'kv'])}]"])


def random_layout(random: Random) -> Layout:
    roles = ["system"] * random.randrange(2) + ["user", "assistant"] * 3
    return [(role, random.randrange(1, 5)) for role in roles[: random.randrange(1, len(roles) + 1)]]


def random_change(random: Random, layout: Layout) -> Layout:
    """The dialogue goes on, ends earlier, or is another one."""
    if random.random() < 0.7:
        role = "user" if layout[-1][0] == "assistant" else "assistant"
        return [*layout, (role, random.randrange(1, 5))] if layout[-1][0] != "system" else [*layout, ("user", 2)]
    return layout[: random.randrange(1, len(layout) + 1)] if random.random() < 0.7 else random_layout(random)


def kept(rule: str, before: Segments, after: Segments) -> int | str:
    try:
        return reusable(rule, before, after)
    except ValueError as error:
        return "nothing to attend to" if "nothing to attend to" in str(error) else f"not expected: {error}"


@pytest.mark.slow
def test_what_a_cache_may_keep_is_the_same_for_a_thousand_dialogues_and_rules(tmp_path: Path) -> None:
    random = Random(0)
    asked: list[tuple[str, Layout, Layout]] = []
    while len(asked) < 1000:
        layout = random_layout(random)
        rule = random_rule(random)
        if {"q", "kv"} & set(rule.replace("[", " ").replace("]", " ").replace("(", " ").replace(")", " ").split()):
            asked.append((rule, layout, random_change(random, layout)))
    found = ask(tmp_path, reusable=asked).said["reusable"]
    expected = [kept(rule, segments_of(before), segments_of(after)) for rule, before, after in asked]
    for question, one, other in zip(asked, found, expected, strict=True):
        assert one == other or (isinstance(one, str) and str(other) in one + "nothing to attend to"), question
    assert sum(isinstance(other, int) for other in expected) > 400
    assert len(set(map(str, expected))) > 8


REFUSED = [
    *("", "kv", "3 < 4", "kv <= q | ism", "0 < kv <= q", "not ism", "causal and ism", "sink(2.5)", "sink('a')"),
    *(
        "ism(True, True, True)",
        "ism(1)",
        "sliding_window(True)",
        "nosuch",
        "s.id[3] == 1",
        "s.secret[q]",
        "q.id[q] == 1",
    ),
    *("kv % q == 0", "kv // 0 == q", "kv + (q", "__import__('os')", "alert(1)", "q == 1000001", "ism ism", "s.id == 2"),
    *("~q", "causal < ism", "abs(q)", "abs(q, kv) == 0", "lambda q: q", "kv[0] == q", "causal & 3"),
]
ACCEPTED = [
    "kv<=q",
    " ( ( causal ) ) ",
    "~~ism",
    "sink(n=2)",
    "sink(-1) | causal",
    "- kv >= -q",
    "ism(sink = True)",
    "s . id [ q ] == 0",
]


def test_what_is_no_rule_is_refused_with_a_remedy(tmp_path: Path) -> None:
    said = ask(tmp_path, refused=[*REFUSED, *ACCEPTED]).said["refused"]
    for text in REFUSED:
        with pytest.raises((ValueError, TypeError)):
            get_mask(text)
    for text in ACCEPTED:
        get_mask(text)
    assert all(said[: len(REFUSED)]), dict(zip(REFUSED, said, strict=False))
    assert not any(said[len(REFUSED) :]), dict(zip(ACCEPTED, said[len(REFUSED) :], strict=False))


# -- sampling ---------------------------------------------------------------------------------------------------------


def test_a_loop_is_found_where_the_package_finds_it(tmp_path: Path) -> None:
    random = Random(0)
    runs = [random.choices(range(2), k=random.randrange(20)) for _ in range(300)]
    assert ask(tmp_path, loops=runs).said["loops"] == [loop_start(tokens) for tokens in runs]


@pytest.mark.slow
def test_drawing_follows_the_odds_and_the_seed(tmp_path: Path) -> None:
    tokenizer = load_tokenizer()
    scores = [-1e9] * tokenizer.n_vocab
    scores[5], scores[6] = 0.0, float(np.log(3))
    scores[tokenizer.encode_single_token("<|user|>")] = 1e9  # what no answer holds is never drawn
    drawn = [(scores, 1.0, seed, 2000) for seed in (1, 1, 2)] + [(scores, 0.0, 1, 3)]
    first, again, other, greedy = ask(tmp_path, drawn=drawn).said["drawn"]
    assert first == again != other
    assert set(first) == {5, 6}
    assert 0.72 < first.count(6) / len(first) < 0.78
    assert greedy == [6, 6, 6]


# -- the folder -------------------------------------------------------------------------------------------------------

MEGABYTE = 2**20


def test_the_same_sources_make_the_same_folder(tmp_path: Path) -> None:
    page = built.write(tmp_path)
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert page.name in made
    assert made == built.build()
    assert sum(map(len, made.values())) < 8 * MEGABYTE


def test_no_source_is_left_out_and_none_is_long() -> None:
    used = {f"model/{name}.js" for name in built.LESSON} | {f"page/{name}.js" for name in built.PAGE}
    files = {path.relative_to(built.SOURCES).as_posix(): path for path in built.SOURCES.rglob("*.js")}
    assert set(files) == used
    lines = {name: path.read_text(encoding="utf-8").splitlines() for name, path in files.items()}
    assert max(map(len, lines.values())) <= 360
    assert sum(len(lines[f"model/{name}.js"]) for name in ("gpt", "chat")) <= 500, (
        "the model and its engine stay a lesson"
    )
    assert not [f"{name}: {line}" for name, text in lines.items() for line in text if len(line) > 120]
