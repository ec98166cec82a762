"""Weights under another mask: a run measures what it says, and the tables hold what the rows do."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from mini_ism import GPT, GPTConfig, load_model
from mini_ism.corpus import load_split
from mini_ism.evaluation import CONTROL_SKILLS, evaluate
from mini_ism.results import SWEPT, Row
from mini_ism.results.rows import Config, Result
from mini_ism.tokenizer import load_tokenizer
from mini_ism.training import Run
from research import mismatch_chains, words
from research.mismatch import OTHER_SEED, SINK
from research.mismatch_corpus import MATRIX, fine_tune, five_minutes, questions, run, shares, tables
from research.registry import get_sweep

pytestmark = pytest.mark.slow

SKILLS = (*CONTROL_SKILLS, "all")
TINY = {"mask": "causal", "seed": 3, "weights": "queue=9", "steps": 2, "tune": 1, "dialogues": 6}


@pytest.mark.slow
def test_a_run_measures_every_mask_before_and_after() -> None:
    result = run(TINY)
    wanted = {f"zero-shot {mask} {skill}" for mask in MATRIX.run for skill in SKILLS}
    wanted |= {f"tuned {mask} {skill}" for mask in MATRIX.tuned for skill in SKILLS}
    assert result.keys() == wanted | {"seconds", "cpu_seconds", "tokens", "seen"}
    assert result["seen"] == 2 * 16
    assert all(0 <= result[name] <= 1 for name in wanted)


def test_without_steps_the_shipped_model_is_measured() -> None:
    result = run({**TINY, "mask": "ism", "steps": 0})
    test = questions(6)
    assert (
        result["zero-shot causal all"]
        == shares("zero-shot", "causal", load_model("ism")[0], test)["zero-shot causal all"]
    )
    assert "seconds" not in result
    assert "| ism | 3 |" not in tables([Row({**TINY, "mask": "ism", "steps": 0}, result, 1.0, {})])


def test_only_control_skills_are_counted() -> None:
    test = questions(20)
    assert 0 < len(test) < 20
    tokenizer = load_tokenizer()
    model = GPT(GPTConfig(vocab_size=tokenizer.n_vocab, layers=1, heads=2, width=16))
    found = shares("tuned", "ism", model, test)
    scores = evaluate(model, tokenizer, load_split("test")[:20], "ism")
    right, total = (sum(getattr(scores[skill], name) for skill in CONTROL_SKILLS) for name in ("right", "total"))
    assert found["tuned ism all"] == pytest.approx(right / total, abs=1e-5)
    assert found["tuned ism queue"] == pytest.approx(scores["queue"].share, abs=1e-5)


def test_a_fine_tune_goes_on_from_the_weights_on_dialogues_of_its_own(tmp_path: Path) -> None:
    recipe = five_minutes("causal", 0, 2400, "queue=9")
    tune = fine_tune(recipe, SINK, 240)
    assert (tune.lr, tune.steps, tune.mask) == (recipe.lr / 3, 240, SINK)
    assert tune.weights == "queue=9"
    assert tune.skills == recipe.skills == "recall,persona,queue"
    ours = {str(d.messages) for step in range(1000, 1010) for d in recipe.draw(step)}
    assert not ours & {str(d.messages) for step in range(10) for d in tune.draw(step)}
    assert tune.draw(0) != sorted(
        tune.draw(0), key=lambda d: sum(len(m["content"]) for m in d.messages)
    )  # not eased in
    first, second = Run(recipe, tmp_path / "a"), Run(tune, tmp_path / "b")
    second.model.load_state_dict(first.model.state_dict())
    ids = torch.arange(8)[None]
    assert torch.equal(first.model(ids), second.model(ids))


def row(mask: str, seed: int, values: dict[str, float]) -> Row:
    """A row in which all is .5 but ``values``."""
    stages = {"zero-shot": MATRIX.run, "tuned": MATRIX.tuned}
    shares = {f"{stage} {m} {skill}": 0.5 for stage, masks in stages.items() for m in masks for skill in SKILLS}
    config = {"mask": mask, "seed": seed, "weights": "", "steps": 9, "tune": 3, "dialogues": 7}
    return Row(config, {"seconds": 61.0, "cpu_seconds": 60.0, "tokens": 1234, **shares, **values}, 1.0, {})


ROWS = [
    row("causal", 0, {"zero-shot causal all": 0.9, "zero-shot ism all": 0.4, "tuned ism all": 0.8}),
    row("ism", 0, {"zero-shot ism all": 1.0, "zero-shot ism recall": 0.975}),
    row("causal", 1, {"zero-shot causal all": 1.0, "zero-shot ism all": 0.5, "tuned ism all": 0.8}),
]


def test_the_tables_say_what_the_rows_hold() -> None:
    page = tables(ROWS)
    assert "| causal | 0 | 61 | 60 | 1,234 | 50.0% | 50.0% | 50.0% | 90.0% |" in page
    assert "| ism | 0 | 61 | 60 | 1,234 | 97.5% | 50.0% | 50.0% | 100.0% |" in page
    assert "| causal | 2 | 95.0% (31.5% to 100.0%) | 45.0% (0.0% to 100.0%) |" in page
    assert "| ism | 1 | 50.0% | 100.0% |" in page


def test_pictures_show_both_matrices() -> None:
    drawn = MATRIX.figures(ROWS)
    assert list(drawn) == ["zero-shot", "tuned"]
    assert "trained with causal: causal 95.0% (31.5% to 100.0%), ism 45.0%" in drawn["zero-shot"].alt
    assert "trained with ism: causal 50.0%, ism 100.0%, " in drawn["zero-shot"].alt
    assert "ism(system_as_query=False) 50.0%" in drawn["zero-shot"].alt
    assert "system_as_query" not in drawn["tuned"].alt
    assert "after 3 steps more" in drawn["tuned"].alt
    assert "trained with causal: causal 50.0% (50.0% to 50.0%), ism 80.0%" in drawn["tuned"].alt
    assert "trained with prefix" not in drawn["tuned"].alt


def test_claims_are_made_in_pairs() -> None:
    found = {claim.text: claim.difference for claim in MATRIX.claims(ROWS)}
    lost = found["causal under ism - causal under causal"]
    assert lost.mean == pytest.approx(-0.5)
    assert lost.count == 2
    assert lost.verdict == "less"
    assert found["causal under ism, tuned - causal under ism"].mean == pytest.approx(0.35)
    assert found[f"causal under {SINK}, tuned - causal under ism, tuned"].mean == pytest.approx(-0.3)
    assert found["causal under ism, tuned - ism under ism, tuned"].count == 1
    assert not any(text.startswith("prefix under") for text in found)
    assert found["queue: ism under ism - causal under causal"].count == 1


def test_whole_pairs_of_seeds_come_first() -> None:
    sweep = get_sweep("mismatch")
    order = [(config["seed"], config["mask"]) for config in sweep.configs]
    assert order[:4] == [(0, "causal"), (0, "ism"), (1, "causal"), (1, "ism")]
    assert sorted(order[10:]) == [(seed, "prefix") for seed in range(5)]
    assert {mask for _, mask in order} == set(SWEPT)


@pytest.mark.slow
def test_chains_are_asked_under_every_mask_and_taught_further_under_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "ASKED_ONCE", 30)
    monkeypatch.setattr(words, "ASKED", 10)
    taught = []

    def teach(model: GPT, config: Config, ends: Sequence[float]) -> Result:
        taught.append((config, ends))
        return words.teach(model, config, ends)

    monkeypatch.setattr(mismatch_chains, "teach", teach)
    config = {**get_sweep("mismatch-chains").configs[0], "steps": 2, "every": 2, "tune": 1, "batch": 1}
    result = mismatch_chains.run(config)
    assert {(stage, mask) for stage, mask, *_ in (key.split(" ", 2) for key in result if key != "tokens")} == {
        (stage, mask) for stage in ("zero-shot", "tuned") for mask in SWEPT
    }
    assert {f"tuned prefix {skill}" for skill in (*mismatch_chains.MATRIX.skills, "all")} <= result.keys()
    assert [(c["mask"], c["steps"], ends) for c, ends in taught] == [(mask, 1, (0.0, 0.0)) for mask in SWEPT]
    assert all(c["seed"] >= OTHER_SEED and c["lr"] == config["lr"] for c, _ in taught)
    page = mismatch_chains.tables([Row(config, result, 1.0, {})])
    assert "| three links, last ahead; trained with | seeds | under causal | under ism | under prefix |" in page
    assert "| 3 links, ahead: causal under ism - causal under causal | 1 |" in page
