"""Training runs of a few steps, and a way to stop one."""

from typing import Any

from mini_ism.metrics import Measurement

TINY: dict[str, Any] = {"steps": 6, "dialogues": 2, "validate": 3, "validation_size": 4, "save": 2}


def stop_at(step: int) -> Any:
    def report(line: Measurement) -> None:
        if line["step"] == step:
            raise KeyboardInterrupt

    return report
