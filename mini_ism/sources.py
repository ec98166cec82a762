"""Where a training run's dialogues, tokenizer and initial weights come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from itertools import islice
from typing import Any, ClassVar, Protocol

import tiktoken

from mini_ism.batching import make_batch
from mini_ism.checks import check_kind
from mini_ism.config import GPTConfig
from mini_ism.corpus import Dialogue, generate, load_split, own_dialogues
from mini_ism.corpus.own import draw_own, fit
from mini_ism.corpus.splits import SEED, to_jsonl
from mini_ism.dialogue import EncodedDialogue, is_target
from mini_ism.files import fingerprint, sha256
from mini_ism.model import GPT
from mini_ism.tokenizer import load_tokenizer, tokenizer_hash

CORPUS_OPTIONS = ("skills", "weights", "coined", "corpus", "easy")
"""The training options that decide which dialogues the generated corpus gives."""
SHAPE = ("layers", "heads", "width")
"""What a preset decides about a model."""


class _Recipe(Protocol):
    """What a source needs from a :class:`~mini_ism.training.TrainingConfig`."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def seed(self) -> int: ...
    @property
    def preset(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def dialogues(self) -> int: ...
    @property
    def validation_size(self) -> int: ...
    @property
    def coined(self) -> float: ...
    @property
    def corpus(self) -> int: ...
    @property
    def skill_names(self) -> list[str] | None: ...
    @property
    def skill_weights(self) -> dict[str, float]: ...
    def draw(self, step: int) -> list[Dialogue]: ...


@dataclass(frozen=True, eq=False)
class Source:
    """What a training run is given; by default the generated corpus, the package's tokenizer, and random weights.

    Args:
        dialogues: your own, to train on instead of the corpus.
        validation: your own, to score on. A run on your own dialogues has no other scores.
        tokenizer: the run's; it is saved with the model.
        model: one to continue from. It brings its own shape, and the tokenizer must be its own.

    Raises:
        TypeError: an argument is of the wrong kind; an iterator of dialogues is, since a run goes through them often.
        ValueError: a dialogue has no answer to learn, or the tokenizer's number of tokens is not
            the model's.
    """

    dialogues: Sequence[Dialogue] = ()
    validation: Sequence[Dialogue] = ()
    tokenizer: tiktoken.Encoding = field(default_factory=load_tokenizer)
    model: GPT | None = None

    def __post_init__(self) -> None:
        for name in ("dialogues", "validation"):
            check_kind(name, getattr(self, name), Sequence, "give a list, as in list(islice(generate(0), 100))")
            for dialogue in getattr(self, name):
                check_kind(f"each of {name}", dialogue, Dialogue, "read_dialogues(path) gives a list of them")
        check_kind("tokenizer", self.tokenizer, tiktoken.Encoding, "load_tokenizer(path) returns one")
        if self.model is not None:
            check_kind("model", self.model, GPT, "load_model(name) returns one, and its tokenizer")
        for name, dialogues in self._own.items():
            for number, dialogue in enumerate(dialogues):
                if not any(map(is_target, dialogue.messages)):
                    raise ValueError(f"dialogue {number} of {name} has no answer to learn")
        if self.model is not None and self.model.config.vocab_size != self.tokenizer.n_vocab:
            raise ValueError(
                f"the model knows {self.model.config.vocab_size} tokens, but the tokenizer has "
                f"{self.tokenizer.n_vocab}; give the model's own tokenizer: load_model returns both"
            )

    @property
    def _own(self) -> dict[str, Sequence[Dialogue]]:
        """The dialogues that are not from the corpus, by their purpose."""
        given = {"data": self.dialogues, "validation": self.validation}
        return {name: dialogues for name, dialogues in given.items() if dialogues}

    @property
    def facts(self) -> dict[str, str]:
        """What is not the default, in a form that is kept with the run and shows whether it has changed since."""
        facts = {
            name: f"{len(dialogues)} dialogues, sha256 {sha256(to_jsonl(dialogues))[:16]}"
            for name, dialogues in self._own.items()
        }
        if (found := tokenizer_hash(self.tokenizer)) != tokenizer_hash():
            facts["tokenizer"] = f"{self.tokenizer.n_vocab} tokens, sha256 {found[:16]}"
        if self.model is not None:
            count, found = self.model.parameter_count(), fingerprint(self.model.state_dict())
            facts |= {"start": f"{count} parameters, sha256 {found[:16]}", "preset": "that of the start"}
        return facts

    def check_options(self, given: Mapping[str, object]) -> None:
        """Refuse training options that this source leaves no say.

        Args:
            given: those that were set, by name. One set to its default is known on the command line only.

        Raises:
            ValueError: an option decides which dialogues the corpus gives, but there are others; or the preset is of
                another shape than the model to go on from.
        """
        if self.dialogues and (unused := [name for name in given if name in CORPUS_OPTIONS]):
            raise ValueError(
                f"{', '.join(unused)} would change nothing, as the run has the dialogues given; leave it out"
            )
        if self.model is not None and "preset" in given:
            own, preset = self.model.config, GPTConfig.preset(str(given["preset"]))
            if any(getattr(own, size) != getattr(preset, size) for size in SHAPE):
                shape = ", ".join(f"{size} {getattr(own, size)}" for size in SHAPE)
                raise ValueError(
                    f"preset {given['preset']!r} has another shape than the model to go on from ({shape}), which keeps "
                    "its own; leave it out"
                )

    def new_model(self, config: _Recipe, mask: str) -> GPT:
        """The model as the run begins; initialised by PyTorch's default generator unless there is one to continue from.

        Args:
            config: the run's :class:`~mini_ism.training.TrainingConfig`.
            mask: the rule that it will be trained with, for the record.

        Raises:
            ValueError: the configuration sets something that has no effect with this source; a dialogue is too long
                for the model.
        """
        values = {f.name: (getattr(config, f.name), f.default) for f in fields(config)}
        self.check_options({name: value for name, (value, default) in values.items() if value != default})
        if self.model is None:
            model = GPT(GPTConfig.preset(config.preset, vocab_size=self.tokenizer.n_vocab, mask=mask))
        else:
            model = GPT(replace(self.model.config, mask=mask))
            model.load_state_dict(self.model.state_dict())
        for name, dialogues in self._own.items():
            numbered = {f"dialogue {number}": dialogue for number, dialogue in enumerate(dialogues)}
            fit(numbered, name, self.tokenizer, model.config.context)
        return model

    def draw(self, config: _Recipe, step: int) -> list[Dialogue]:
        """The dialogues of a step; a function of the step alone, so that a run can resume."""
        if not self.dialogues:
            return config.draw(step)
        return draw_own(self.dialogues, config.seed, step * config.dialogues, config.dialogues)

    def sample(self, config: _Recipe) -> list[Dialogue]:
        """Dialogues to try a rule on, since who may see whom depends on them.

        Of your own dialogues, these are the longest of each shape: of roles, and of answers to learn. The corpus's all
        have several turns, so one step's are enough.
        """
        if not self.dialogues:
            return config.draw(config.steps - 1)
        shapes: dict[object, Dialogue] = {}
        for dialogue in sorted(self.dialogues, key=lambda d: -sum(len(m["content"]) for m in d.messages)):
            shapes.setdefault(tuple((m["role"], is_target(m)) for m in dialogue.messages), dialogue)
        return list(shapes.values())

    def batches(
        self,
        config: _Recipe,
        share: Callable[[list[Dialogue]], Sequence[Dialogue]],
        parts: int,
        expand: bool,
        step: int,
    ) -> list[EncodedDialogue]:
        """One process's dialogues of a step, laid out in rows: a batch ``[B, T]`` for each part of its work.

        Args:
            config: the run's :class:`~mini_ism.training.TrainingConfig`.
            share: picks the process's dialogues from the step's.
            parts: how many are computed one after another.
            expand: see :func:`~mini_ism.batching.make_batch`.
            step: its number.
        """
        mine = share(self.draw(config, step))
        return [make_batch(mine[part::parts], self.tokenizer, expand=expand) for part in range(parts)]

    def scored(self, config: _Recipe) -> list[Dialogue]:
        """What the run is scored on, at most ``validation_size`` dialogues of each kind, the same for every seed.

        A run on your own dialogues is scored on your own validation dialogues. A run on the whole corpus is scored on
        the frozen split's first dialogues, and on some about skills of your own. A run on some skills is scored on as
        many dialogues drawn for them, since the frozen split may hardly cover them.
        """
        count, version = config.validation_size, config.corpus
        names, weights = config.skill_names, config.skill_weights
        if self._own:
            return list(self.validation[:count])
        if names is not None:
            drawn = generate(SEED, "validation", names, weights, coined=config.coined, version=version)
            return list(islice(drawn, count))
        frozen = load_split("validation", version=version)[:count]
        return frozen + own_dialogues("validation", count, None, weights, version=version)


def as_source(given: Source | None) -> Source:
    """The source that a run was given, or the default one.

    Raises:
        TypeError: something else was given.
    """
    if given is None:
        return Source()
    check_kind("source", given, Source, "as in source=Source(dialogues)")
    return given
