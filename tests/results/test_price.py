"""The ways to pay for looking ahead: which runs belong to which, and what is compared."""

from mini_ism.results import Row
from mini_ism.results.price import ARMS, HEADS, STEPS, Arm, price_claims, runs_of, seed_shares
from mini_ism.results.words import TASKS, Group

CAUSAL, TWICE, LAYER, ISM, PREFIX = ARMS["told at once"]


def runs(arm: Arm, *shares: float) -> dict[Group, list[Row]]:
    config = {"task": arm.task, "layers": arm.layers, "heads": HEADS, "steps": STEPS, "mask": arm.mask, "lr": 0.001}
    rows = [Row({**config, "seed": seed}, {"first": {"target": share}}, 1.0, {}) for seed, share in enumerate(shares)]
    return {(arm.task, arm.layers, HEADS, STEPS, arm.mask): rows}


BEST = runs(CAUSAL, 0.7, 0.8) | runs(TWICE, 1.0, 0.9, 0.8) | runs(ISM, 1.0, 1.0)


def test_arms_are_of_known_tasks_and_differ() -> None:
    arms = [arm for arms in ARMS.values() for arm in arms]
    assert {arm.task for arm in arms} <= set(TASKS)
    assert len({arm[1:] for arm in arms}) == len(arms)


def test_only_what_has_been_run_is_shown() -> None:
    assert len(runs_of(BEST, TWICE)) == 3
    assert runs_of(BEST, LAYER) == []
    shares = {"causal": [0.7, 0.8], "causal, told twice": [1.0, 0.9, 0.8], "ism": [1.0, 1.0]}
    assert seed_shares(BEST) == {"told at once": shares}


def test_differences_are_taken_seed_by_seed() -> None:
    found = {claim.text: claim.difference for claim in price_claims(BEST)}
    assert list(found) == ["told at once: ism - causal", "told at once: ism - causal, told twice"]
    assert round(found["told at once: ism - causal"].mean, 6) == 0.25
    assert found["told at once: ism - causal, told twice"].count == 2
