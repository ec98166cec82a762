"""The data card, with its figures counted from the splits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import tiktoken

from mini_ism.corpus.dialogues import SPLITS, SYSTEM_SHARE, Dialogue
from mini_ism.corpus.lexicon import read_words
from mini_ism.corpus.registry import ACK
from mini_ism.corpus.skills.compare import LARGEST
from mini_ism.corpus.version_2 import KINDS, VERSION_2
from mini_ism.dialogue import encode_dialogue

_WORD = re.compile(r"[A-Za-z]+")
_COMMON = 10  # no coined word comes up this often in `train`

CARD = """\
# The dialogues of mini-ism

Small English conversations that test whether a reader of the whole dialogue can use what it says.
All of them are synthetic: written by the generator in `mini_ism/corpus/`, one file a skill. No text
was taken from anywhere, and nobody real is in it. Licence: that of the repository (MIT).

This file, the splits, their manifest and the tokenizer are written by
`python -m mini_ism corpus build`, byte for byte the same each time. The figures below are counted
from the files, so do not edit them by hand.

## Format

One JSON object a line: `{{"messages": [{{"role": ..., "content": ...}}, ...], "skills": [...]}}`. An
optional system message comes first ({system:.0%} of the dialogues), then user and assistant alternate.
`skills` has one label for each answer. `manifest.json` holds each file's SHA-256, and
`mini_ism.corpus.load_split` checks it.

## Splits

{splits}

- A split is decided by a hash of the dialogue's text (SHA-256 modulo 100; case and punctuation do
  not count), so no dialogue can be in two, save that `test` and `held_out` share a part of the hashes, and are kept
  apart by their words. The endless generator that training draws from skips
  whatever belongs to another split, so the frozen test dialogues never come up in training.
- `train`, `validation`, `test` and `long` share their words, wordings and skills: `test` asks for new
  combinations of them, not for new language. `held_out` does: its words (one in five of each list, by a
  hash of the word), its coined words and many of its wordings are in no other split.
- `long` goes beyond training: threads are drawn with a size of {long_low} to {long_high} facts
  ({train_low} to {train_high} elsewhere), and dialogues have up to {long_turns} user turns ({train_turns} elsewhere).
- The sweeps in [RESULTS.md](../../RESULTS.md) use version 1 of the corpus, a small world of 98 common words
  (`generate(0, version=1)`, `draw_split("test", version=1)`), which is drawn today as it was then. These
  files are version {version}.
- `train` is a sample to look at and to count; training itself uses `generate(seed)` without end.

## Labels

Share of the answers, in per cent. A label is what the answer asks for, so the dialogues of one skill
hold answers of others: `{ack}` is the "Okay." to a turn that only tells something, and a question about a
fact that no update touched is plain `recall`.

{labels}

| label | what it takes |
|---|---|
| `recall` | say again where a thing is, what is in a place, who has a thing, somebody's number |
| `unknown` | notice that the dialogue does not say, though the question is worded as in `recall` and `persona` |
| `update` | a thing moved or changed hands, or the user was renamed: the latest word counts |
| `queue` | who is first, next, last, behind or in front, as people are served and join |
| `compare` | the oldest, the youngest, the most and the fewest points |
| `count` | how many things are in a place, none to five |
| `persona` | who the user is and likes, who others like, and who the system prompt says the assistant is |
| `hops` | chain two or three facts to find the room |
| `codebook_before` | facts in code words, after the book that says what the words mean |
| `codebook_after` | the same with the book after the facts, in the same query |
| `codebook_later` | the same with the book one or more turns after the facts |
| `revision` | a later turn corrects a fact or a queue, or swaps two things |
| `smalltalk` | greetings and the like; "what can you do?" |
| `about_me` | what people tell of themselves in a chat: name, home, origin, age, job, pets, family |
| `whereabouts` | people, animals and things in, on, under and near all kinds of places; "where is it now?" |
| `people` | where others live and come from, what they like and do, and who got what |
| `yes_no` | "is the dog in the kitchen?" |
| `wish` | say what it cannot do: sums, poems, knowledge of the world |

## Words and tokens

- {names:,} first names from all over the world and {others:,} things, places, foods, cities and the like, in
  `mini_ism/corpus/words/`; {held_out:,} of them are held out. A hundred common first names are in no split at
  all: the model card reports on them.
- {words} different words (capitals aside) come up at least {common} times in `train`, which no coined
  word does. {single:.1%} of their spellings, and {running:.1%} of their occurrences, are single tokens of the
  {vocab}-token vocabulary, which was trained on version 1.
- {coined:.0%} of the names, things, places, foods and code words are coined ("Zolta", "brimok"), so that a
  model has to copy words that it never saw, as it must with whatever a reader types. Training coins half.
- {lower:.0%} of the dialogues are typed in small letters only, and answers repeat a name as it was typed. In
  the others, about {noise:.0%} of the user turns lack the first capital, the last mark, or both.

## Known limits

- A few templates a skill: a model that does well here understands these sentences, not English.
- One right answer a question, scored by exact match.
- Nobody is served from an empty queue, and nobody is asked who stands behind the last.
- Where numbers are compared, they are 1 to {largest}. Names are in Latin letters.
"""


def write_card(splits: Mapping[str, Sequence[Dialogue]], tokenizer: tiktoken.Encoding) -> str:
    """The card's Markdown, for these splits under that tokenizer."""
    counts = _word_counts(splits["train"])
    single = {word for word in counts if len(tokenizer.encode_ordinary(f" {word}")) == 1}
    return CARD.format(
        system=SYSTEM_SHARE,
        splits=_split_table(splits, tokenizer),
        labels=_label_table(splits),
        ack=ACK,
        long_low=SPLITS["long"].sizes[0],
        long_high=SPLITS["long"].sizes[1],
        long_turns=SPLITS["long"].turns,
        train_turns=SPLITS["train"].turns,
        train_low=SPLITS["train"].sizes[0],
        train_high=SPLITS["train"].sizes[1],
        words=len({word.lower() for word in counts}),
        common=_COMMON,
        single=len(single) / len(counts),
        running=sum(counts[word] for word in single) / sum(counts.values()),
        vocab=tokenizer.n_vocab,
        coined=VERSION_2.coined,
        noise=VERSION_2.careless,
        lower=VERSION_2.lower,
        version=VERSION_2.version,
        names=len(read_words(KINDS["name"])),
        others=sum(len(read_words(file)) for kind, file in KINDS.items() if kind != "name"),
        held_out=sum(map(len, VERSION_2.held_out.values())),
        largest=LARGEST,
    )


def _word_counts(dialogues: Sequence[Dialogue]) -> Counter[str]:
    """The words that come up often enough not to be coined, and how often."""
    counts: Counter[str] = Counter()
    for dialogue in dialogues:
        for message in dialogue.messages:
            counts.update(_WORD.findall(message["content"]))
    return Counter({word: count for word, count in counts.items() if count >= _COMMON})


def _split_table(splits: Mapping[str, Sequence[Dialogue]], tokenizer: tiktoken.Encoding) -> str:
    rows = [
        "| split | dialogues | user turns, mean (max) | tokens, mean (max) |",
        "|---|---|---|---|",
    ]
    for name, dialogues in splits.items():
        turns = [len(dialogue.skills) for dialogue in dialogues]
        tokens = [len(encode_dialogue(each.messages, tokenizer).tokens) for each in dialogues]
        rows.append(f"| `{name}` | {len(dialogues):,} | {_mean_max(turns)} | {_mean_max(tokens)} |")
    return "\n".join(rows)


def _mean_max(numbers: Sequence[int]) -> str:
    return f"{sum(numbers) / len(numbers):.1f} ({max(numbers)})"


def _label_table(splits: Mapping[str, Sequence[Dialogue]]) -> str:
    counts = {
        name: Counter(label for dialogue in dialogues for label in dialogue.skills)
        for name, dialogues in splits.items()
    }
    rows = [
        "| label | " + " | ".join(f"`{name}`" for name in counts) + " |",
        "|---|" + "---|" * len(counts),
    ]
    for label in sorted({label for count in counts.values() for label in count}):
        shares = (f"{100 * count[label] / count.total():.1f}" for count in counts.values())
        rows.append(f"| `{label}` | " + " | ".join(shares) + " |")
    return "\n".join(rows)
