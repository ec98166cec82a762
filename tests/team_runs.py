"""What each process of a team does in tests: `torchrun -m tests.team_runs FOLDER` trains every case, and reports.

`torchrun -m tests.team_runs FOLDER train ...` is the command line, from processes whose ids stand in the folder.
"""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mini_ism import sources
from mini_ism.__main__ import main
from mini_ism.batching import make_batch
from mini_ism.corpus import Dialogue
from mini_ism.dialogue import EncodedDialogue
from mini_ism.distributed import Team, join
from mini_ism.training import Run, TrainingConfig

SHARED: dict[str, Any] = {"steps": 4, "dialogues": 5, "validate": 2, "validation_size": 5, "save": 2, "clip": 1e9}
"""Five dialogues for two processes; and nothing is clipped, so that moments tell how long gradients are."""
CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "copies": ({}, False),
    "copies in two parts": ({"micro_batches": 2}, False),
    "copies of prefix": ({"mask": "prefix", "micro_batches": 9}, False),
    "copies, clipped": ({"clip": 0.05}, False),
    "shards": ({}, True),
    "shards in two parts": ({"micro_batches": 2}, True),
    "shards, clipped": ({"clip": 0.05}, True),
}
"""What is trained, and whether its weights are sharded, by name."""


def case(name: str) -> TrainingConfig:
    return TrainingConfig(**{**SHARED, **CASES[name][0]})


def train_all(folder: Path) -> None:
    wrote, drawn = list[str](), defaultdict[str, list[list[str]]](list)

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and str(args[0]).startswith(str(folder)) and args[2] & (os.O_WRONLY | os.O_RDWR):
            wrote.append(str(args[0]))

    def noted(dialogues: Sequence[Dialogue], *given: Any, **options: Any) -> EncodedDialogue:
        drawn[name].append([json.dumps(dialogue.messages) for dialogue in dialogues])
        return make_batch(dialogues, *given, **options)

    with join("cpu") as (team, device):
        sys.addaudithook(note)
        setattr(sources, "make_batch", noted)  # noqa: B010  (mypy: not a name that the module exports)
        for name, (_, shard) in CASES.items():
            run = Run(case(name), folder / name, device, team=Team(team.rank, team.size, shard))
            run.train()
            if shard:  # each holds a part of every weight
                from torch.distributed.tensor import DTensor

                weight = run.model.embed.weight
                assert isinstance(weight, DTensor)
                assert weight.to_local().numel() < weight.numel()
        report = json.dumps({"wrote": wrote, "drawn": drawn})
        team.gather(team.rank)  # nobody is still at work when reports are written
        (folder / f"report{team.rank}.json").write_text(report, encoding="utf-8")


if __name__ == "__main__":
    place, arguments = Path(sys.argv[1]), sys.argv[2:]
    if not arguments:
        train_all(place)
        sys.exit()
    (place / f"pid{os.environ['RANK']}").write_text(str(os.getpid()), encoding="utf-8")
    sys.exit(main(arguments))
