"""Runs on dialogues, a tokenizer and weights of one's own: the same promises as on the corpus."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mini_ism import load_model, load_split
from mini_ism.bpe import train_bpe
from mini_ism.checkpoints import CheckpointError, read_checkpoint
from mini_ism.config import GPTConfig
from mini_ism.corpus import Dialogue, generate
from mini_ism.model import GPT
from mini_ism.sources import Source
from mini_ism.tokenizer import build_tokenizer
from mini_ism.tokenizer_files import PATTERN, to_ranks
from mini_ism.trainable import NotTrainableError
from mini_ism.training import Run, TrainingConfig
from tests.small_models import small
from tests.small_runs import TINY, stop_at

ANIMALS = ("penguin", "lion", "zebra", "bear", "otter")


def zoo(count: int = 5) -> list[Dialogue]:
    return [
        Dialogue(
            [
                {"role": "user", "content": f"Who is number {n}?"},
                {"role": "assistant", "content": f"A {ANIMALS[n % 5]}."},
            ],
            ["answer"],
        )
        for n in range(count)
    ]


def test_a_stopped_run_on_own_dialogues_ends_as_one_that_was_not(tmp_path: Path) -> None:
    source = Source(zoo(), zoo(3))
    whole = Run(TrainingConfig(**TINY), tmp_path / "whole", source=source).train()
    with pytest.raises(KeyboardInterrupt):
        Run(TrainingConfig(**TINY), tmp_path / "parts", source=source).train(stop_at(3))
    resumed = Run(TrainingConfig(**TINY), tmp_path / "parts", source=Source(zoo(), zoo(3)))
    assert resumed.progress.step == 3
    parts = resumed.train()
    assert all(torch.equal(value, parts.state_dict()[name]) for name, value in whole.state_dict().items())
    lines = [line for line in resumed.metrics if "exact" in line]
    assert [(line["step"], list(line["exact"]), line["exact"]["answer"][1]) for line in lines] == [
        (3, ["answer"], 3),
        (6, ["answer"], 3),
    ]


def test_without_validation_dialogues_nothing_is_scored(tmp_path: Path) -> None:
    run = Run(TrainingConfig(**TINY), tmp_path, source=Source(zoo()))
    run.train()
    assert not any("exact" in line for line in run.metrics)
    assert json.loads(json.dumps(read_checkpoint(tmp_path).training))["data"].startswith("5 dialogues, sha256 ")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            Source(zoo(6), zoo(2)),
            r"data='5 dialogues, sha256 \w+' there, '6 dialogues, sha256 \w+' now; choose",
        ),
        (Source([*zoo(4), *zoo(1)], zoo(2)), r"data='5 dialogues, sha256 (\w+)' there, '5 dialogues, sha256 (?!\1)"),
        (Source(zoo(), zoo(1)), "validation='2 dialogues, .* there, '1 dialogues, "),
        (Source(zoo()), "validation='2 dialogues, sha256 .*' there, None now"),
        (Source(), "data='5 dialogues, sha256 .*' there, None now"),
    ],
)
def test_resuming_with_changed_data_is_refused_by_name(tmp_path: Path, other: Source, message: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        Run(TrainingConfig(**TINY), tmp_path, source=Source(zoo(), zoo(2))).train(stop_at(2))
    with pytest.raises(CheckpointError, match=message):
        Run(TrainingConfig(**TINY), tmp_path, source=other)


def test_a_label_or_a_weight_is_part_of_the_data() -> None:
    plain, labelled, unlearned = zoo(2), zoo(2), zoo(2)
    labelled[0] = replace(labelled[0], skills=["animals"])
    unlearned[0].messages[1]["weight"] = 1
    assert len({Source(dialogues).facts["data"] for dialogues in (plain, labelled, unlearned)}) == 3


def test_a_tokenizer_of_ones_own_goes_with_run_and_model(tmp_path: Path) -> None:
    texts = [f" {message['content']}" for dialogue in zoo() for message in dialogue.messages]
    tokenizer = build_tokenizer(to_ranks(train_bpe(texts, 300, PATTERN)), "zoo")
    source = Source(zoo(), tokenizer=tokenizer)
    with pytest.raises(KeyboardInterrupt):
        Run(TrainingConfig(**TINY), tmp_path, source=source).train(stop_at(2))
    with pytest.raises(CheckpointError, match=r"tokenizer='30\d tokens, sha256 \w+' there, None now"):
        Run(TrainingConfig(**TINY), tmp_path, source=Source(zoo()))
    Run(TrainingConfig(**TINY), tmp_path, source=source).train()
    model, loaded = load_model(tmp_path)
    assert model.config.vocab_size == loaded.n_vocab == tokenizer.n_vocab
    assert loaded.encode_ordinary(" penguin") == tokenizer.encode_ordinary(" penguin")


@pytest.mark.parametrize("seed", range(4))
def test_one_longer_dialogue_among_many_decides_how_all_are_learned(tmp_path: Path, seed: int) -> None:
    """Whatever a seed draws, it meets the shape of each dialogue in the end."""
    long = Dialogue([*zoo(1)[0].messages, *zoo(2)[1].messages], ["answer"] * 2)
    source = Source([*zoo(50), long])
    assert Run(TrainingConfig(mask="prefix", seed=seed, **TINY), tmp_path, source=source).expand
    with pytest.raises(NotTrainableError, match="and sees position"):
        Run(TrainingConfig(mask="causal | inside(3)", seed=seed, **TINY), tmp_path, source=source)


def test_going_on_from_a_model(tmp_path: Path) -> None:
    start, tokenizer = small("causal")
    config = TrainingConfig(**{**TINY, "mask": "causal", "steps": 1, "lr": 1e-9})
    trained = Run(config, tmp_path, source=Source(zoo(), tokenizer=tokenizer, model=start)).train()
    assert trained.config == start.config
    assert all(torch.allclose(value, trained.state_dict()[name]) for name, value in start.state_dict().items())
    about = read_checkpoint(tmp_path).training
    assert str(about["start"]).startswith(f"{start.parameter_count()} parameters, sha256 ")
    assert about["preset"] == "that of the start"
    with torch.no_grad():
        next(start.parameters()).add_(1)
    with pytest.raises(CheckpointError, match=r"start='.* there, '.* now"):
        Run(config, tmp_path, source=Source(zoo(), tokenizer=tokenizer, model=start))


def test_what_does_not_go_together(tmp_path: Path) -> None:
    start, tokenizer = small("ism")
    unanswered = Dialogue([{"role": "user", "content": "Hi."}], [])
    with pytest.raises(ValueError, match="dialogue 1 of validation has no answer to learn"):
        Source(zoo(), [zoo()[0], unanswered])
    other = build_tokenizer(to_ranks(train_bpe(["zoo"], 257, PATTERN)), "zoo")
    with pytest.raises(ValueError, match=f"the model knows {tokenizer.n_vocab} tokens, but the tokenizer has 262"):
        Source(tokenizer=other, model=start)
    long = Dialogue([{"role": "user", "content": "word " * 600}, {"role": "assistant", "content": "Yes."}], ["answer"])
    for source, changes, message in (
        (Source(zoo()), {"easy": 0.5}, "easy would change nothing, as the run has the dialogues given; leave it out"),
        (Source(zoo()), {"skills": "recall", "coined": 0.3}, "skills, coined would change nothing"),
        (
            Source(model=start, tokenizer=tokenizer),
            {"preset": "mini"},
            r"preset 'mini' has another shape than the model to go on from \(layers",
        ),
        (Source([zoo()[0], long]), {}, r"data: 1 of 2 dialogues have more than .* 512 tokens: dialogue 1 \("),
        (Source(validation=[long]), {}, r"validation: 1 of 1 dialogues have more"),
    ):
        with pytest.raises(ValueError, match=message):
            Run(TrainingConfig(**{**TINY, **changes}), tmp_path, source=source)
    assert not list(tmp_path.iterdir())


def test_an_iterator_of_dialogues_is_no_list() -> None:
    for dialogues in (generate(0), iter(zoo())):
        for given in ({"dialogues": dialogues}, {"validation": dialogues}):
            with pytest.raises(TypeError, match=r"must be Sequence, got .*; give a list, as in list\(islice"):
                Source(**given)  # type: ignore[arg-type]


def test_a_preset_may_name_the_shape_of_the_model_to_go_on_from() -> None:
    shape = GPTConfig.preset("mini")
    source = Source(model=GPT(replace(shape, vocab_size=Source().tokenizer.n_vocab)))
    source.check_options({"preset": "mini"})
    with pytest.raises(ValueError, match="preset 'tiny' has another shape"):
        source.check_options({"preset": "tiny"})


def test_the_corpus_may_be_scored_on_other_dialogues(tmp_path: Path) -> None:
    run = Run(TrainingConfig(**TINY), tmp_path, source=Source(validation=zoo(3)))
    assert run.source.draw(run.config, 3) == run.config.draw(3)
    assert list(run.validate()) == ["answer"]


def test_the_corpus_is_scored_on_its_frozen_split() -> None:
    assert Source().scored(TrainingConfig(**TINY)) == load_split("validation")[: TINY["validation_size"]]
