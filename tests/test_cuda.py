"""On a GPU: the same replies, scores, attention and masks as on the CPU, and training that stops and goes on.

Without one, most of this runs on a pretended GPU, which finds tensors that were left on the CPU.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import torch
from torch import Tensor

from mini_ism import GPT, ChatSession, GPTConfig, evaluate, get_mask, load_model, load_split, load_tokenizer
from mini_ism.attention_stats import GPTAttention
from mini_ism.batching import make_batch
from mini_ism.blind_cache import answer_blindly
from mini_ism.checkpoints import save_model
from mini_ism.corpus import Dialogue
from mini_ism.decoding import answer_all
from mini_ism.dialogue import EncodedDialogue, encode_dialogue
from mini_ism.line_attention import LINE, Pairs, line_attention
from mini_ism.masks import COURSE_MASKS, MASKS
from mini_ism.paged import PagedCache
from mini_ism.sources import Source
from mini_ism.speed import autocast
from mini_ism.training import Run, TrainingConfig, loss_on_answers
from tests.pretended_gpu import GPU, pretended_gpu
from tests.small_runs import TINY, stop_at
from tests.strategies import TOKENIZER

DEVICE = "cuda"
HAS_GPU = torch.cuda.is_available()
pytestmark = pytest.mark.slow
needs_gpu = pytest.mark.skipif(not HAS_GPU, reason="this machine has no CUDA, and a pretended GPU cannot compile")

SHORT: dict[str, Any] = {"steps": 30, "dialogues": 4, "validate": 15, "validation_size": 4, "save": 5, "easy": 1.0}
COMPILED = """
import sys
from pathlib import Path
from mini_ism.training import Run, TrainingConfig
from tests.pretended_gpu import GPU, pretended_gpu
from tests.small_runs import TINY

for compiled in (False, True):
    Run(TrainingConfig(**TINY), Path(sys.argv[1]) / str(compiled), sys.argv[2], compiled=compiled).train()
"""


@pytest.fixture(autouse=True)
def _gpu() -> Iterator[None]:
    with nullcontext() if HAS_GPU else pretended_gpu():
        yield


def both(name: str) -> tuple[GPT, GPT]:
    """A shipped model on the CPU and on the GPU."""
    return load_model(name)[0], load_model(name, DEVICE)[0]


def dialogues(count: int) -> list[Dialogue]:
    return load_split("validation")[:count]


def questions(dialogue: Dialogue) -> list[str]:
    return [message["content"] for message in dialogue.messages if message["role"] == "user"]


def close(got: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=0)


def losses(run: Run) -> Tensor:
    return torch.tensor([line["loss"] for line in run.metrics])


@pytest.mark.skipif(HAS_GPU, reason="this machine has CUDA")
def test_the_pretended_gpu_refuses_what_a_real_one_does() -> None:
    here, there = torch.arange(3.0), torch.arange(3.0, device=DEVICE)
    assert (here.device.type, there.device, here.to(there).device) == ("cpu", GPU, GPU)
    assert (there[here.long()] + 1 + torch.tensor(1)).device == GPU
    assert torch.equal(there.cpu(), here)
    for mistake in (
        lambda: here + there,
        lambda: torch.cat([here, there]),
        lambda: here[there.long()],
        lambda: torch.where(there > 1, there, here),
        lambda: torch.nn.Linear(3, 1).to(DEVICE)(here),
        lambda: torch.multinomial(there, 1, generator=torch.Generator()),
    ):
        with pytest.raises(RuntimeError, match=r"same device|generator"):
            mistake()
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()


# -- chatting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COURSE_MASKS)
def test_replies_are_those_of_the_cpu_and_exact(name: str) -> None:
    here, there = both(name)
    chats = [ChatSession(model, TOKENIZER) for model in (here, there)]
    for text in questions(dialogues(1)[0]):
        one, other = (chat.send(text, max_new_tokens=20) for chat in chats)
        assert other.text == one.text
        close(other.logits, one.logits)
        length = len(chats[1].tokens) - 1 - len(other.tokens)
        for step, scores in enumerate(other.logits):
            s = chats[1].segments[: length + step]
            with torch.inference_mode():
                whole = there(chats[1].tokens[None, : length + step].to(DEVICE), chats[1].mask.dense(s))
            close(scores, whole[0, -1].cpu())
    assert [event.positions for event in chats[1].trace] == [event.positions for event in chats[0].trace]


def test_a_conversation_is_sampled_forked_cut_and_trained_on() -> None:
    model = load_model("ism", DEVICE)[0]
    chat = ChatSession(model, TOKENIZER, chunk=1, mask="causal")
    for text in ("My name is Zolta.", "What is my name?"):
        chat.send(text, temperature=1.0, top_k=5, top_p=0.9, seed=3)
    twin = chat.fork()
    chat.truncate(1)
    again = chat.send("What is my name?", temperature=1.0, top_k=5, top_p=0.9, seed=3)
    assert twin.reply is not None
    assert again.text == twin.reply.text
    with torch.no_grad():
        model.norm.mul_(1.5)
    chat.send("Thanks.")
    fresh = ChatSession(model, TOKENIZER, "causal", messages=chat.messages[:-2])
    assert fresh.send("Thanks.").text == chat.messages[-1]["content"]


def test_many_conversations_at_once() -> None:
    talks = [dialogue.messages[:-1] for dialogue in dialogues(8)]
    found = [{n: reply.text for n, reply in answer_all(model, TOKENIZER, talks, batch=4)} for model in both("ism")]
    assert found[1] == found[0]


def test_a_paged_conversation() -> None:
    prompt, answers = encode_dialogue(dialogues(1)[0].messages[:-1], TOKENIZER), []
    for model in both("ism"):
        pool = PagedCache(model)
        answers += [pool.open().answer(prompt, TOKENIZER, max_new_tokens=20)]
        second = pool.open()
        answers += [second.answer(prompt, TOKENIZER, max_new_tokens=20)]
        assert second.reads[0][0] > 0
    assert len(set(answers)) == 1


def test_a_cache_that_is_trusted_blindly() -> None:
    here, there = (answer_blindly(model, TOKENIZER, dialogues(1)[0].messages, "prefix") for model in both("ism"))
    assert [(turn.stale, turn.right.tokens, turn.blind.tokens) for turn in there] == [
        (turn.stale, turn.right.tokens, turn.blind.tokens) for turn in here
    ]


# -- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [*COURSE_MASKS, "bidirectional"])
def test_scores_are_those_of_the_cpu(mask: str) -> None:
    """Under the first by reading, under the last by writing the answers."""
    asked = dialogues(40 if mask in COURSE_MASKS else 6)
    here, there = (evaluate(model, TOKENIZER, asked, mask) for model in both(mask if mask in COURSE_MASKS else "ism"))
    assert there == here


def test_heads_are_read() -> None:
    dialogue = encode_dialogue(dialogues(1)[0].messages, TOKENIZER)
    here, there = (GPTAttention(model, TOKENIZER).read(dialogue) for model in both("ism"))
    for one, other in zip(vars(here).values(), vars(there).values(), strict=True):
        close(other, one)

    def pairs(encoded: EncodedDialogue, tokenizer: tiktoken.Encoding) -> Pairs:
        yield "the end to the beginning", len(encoded) - LINE, 0

    one, other = (line_attention(model, TOKENIZER, dialogues(3), None, pairs) for model in both("ism"))
    assert other == pytest.approx(one, abs=1e-3)


@pytest.mark.parametrize("name", [*MASKS, "causal & (sliding_window(5) | sink(2))", "kv <= s.end[q]"])
def test_a_mask_is_the_same_matrix(name: str) -> None:
    mask = get_mask(name) | get_mask("sliding_window(1)")
    s = make_batch(dialogues(5), TOKENIZER, expand=False).segments
    dense = mask.dense(s.to(DEVICE))
    assert dense.device.type == DEVICE
    assert torch.equal(dense.cpu(), mask.dense(s))


# -- block masks ---------------------------------------------------------------------------------------------------


@needs_gpu
@pytest.mark.parametrize("mask", COURSE_MASKS)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_blocks_train_as_the_dense_mask_does(mask: str, precision: str) -> None:
    """Packed rows with padding; in bf16, to its rounding."""
    torch._dynamo.reset()
    model = GPT(GPTConfig(TOKENIZER.n_vocab, layers=2, heads=2, width=64, token_shift=2)).to(DEVICE)
    batch = make_batch(dialogues(6), TOKENIZER, expand=mask == "prefix").to(DEVICE)
    found = []
    for form in (get_mask(mask).dense(batch.segments), get_mask(mask).block_mask(batch.segments)):
        model.zero_grad()
        with autocast(precision, torch.device(DEVICE)):
            loss = loss_on_answers(model, batch, form)  # type: ignore[arg-type]
        loss.backward()
        found.append([loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)])
    for dense, blocks in zip(*found, strict=True):
        torch.testing.assert_close(blocks, dense, atol=1e-4 if precision == "float32" else 2e-2, rtol=0)


# -- training ------------------------------------------------------------------------------------------------------


def test_a_run_stops_goes_on_and_learns(tmp_path: Path) -> None:
    config = TrainingConfig(**SHORT)
    stopped = Run(config, tmp_path, DEVICE)
    with pytest.raises(KeyboardInterrupt):
        stopped.train(stop_at(12))
    resumed = Run(config, tmp_path, DEVICE)
    assert resumed.progress.step == 12
    moments = [run.optimizer.state_dict()["state"] for run in (stopped, resumed)]
    for name, value in stopped.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
    for index, kept in moments[0].items():
        for name, value in kept.items():
            assert torch.equal(moments[1][index][name], value), (index, name)
            assert moments[1][index][name].device.type == DEVICE
    resumed.train()
    assert losses(resumed)[-5:].mean() < 0.8 * losses(resumed)[:5].mean()
    assert load_model(tmp_path)[0].device.type == "cpu"
    assert Run(config, tmp_path).progress.step == 30  # on the CPU


def test_steps_are_those_of_the_cpu(tmp_path: Path) -> None:
    config = TrainingConfig(micro_batches=2, **TINY)
    runs = [Run(config, tmp_path / "here"), Run(config, tmp_path / "there", DEVICE)]
    for run in runs:
        run.train()
    torch.testing.assert_close(losses(runs[1]), losses(runs[0]), atol=1e-2, rtol=0)
    close(losses(runs[1])[0], losses(runs[0])[0])


@needs_gpu
def test_bf16_comes_close(tmp_path: Path) -> None:
    runs = [Run(TrainingConfig(precision=name, **TINY), tmp_path / name, DEVICE) for name in ("float32", "bf16")]
    for run in runs:
        run.train()
    assert not torch.equal(losses(runs[1]), losses(runs[0]))
    torch.testing.assert_close(losses(runs[1]), losses(runs[0]), atol=0.1, rtol=0.05)
    assert {value.dtype for value in runs[1].model.state_dict().values()} == {torch.float32}


@needs_gpu
def test_compiled_blocks_train_the_same_model(tmp_path: Path) -> None:
    """In a process of its own, as compiling changes PyTorch for the rest of it."""
    given = [sys.executable, "-c", COMPILED, str(tmp_path), DEVICE]
    result = subprocess.run(given, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    runs = [Run(TrainingConfig(**TINY), tmp_path / name) for name in ("False", "True")]
    torch.testing.assert_close(losses(runs[1]), losses(runs[0]), atol=1e-3, rtol=0)


def test_a_model_is_saved_from_there_and_trained_further(tmp_path: Path) -> None:
    here, there = both("ism")
    save_model(there, tmp_path / "saved", load_tokenizer(), bits=16)
    for name, value in load_model(tmp_path / "saved")[0].state_dict().items():
        torch.testing.assert_close(value, here.state_dict()[name], atol=1e-3, rtol=1e-3)
    config = TrainingConfig(**{**TINY, "steps": 2, "validate": 2})
    run = Run(config, tmp_path / "run", DEVICE, source=Source(model=there))
    assert run.facts == Run(config, tmp_path / "other", source=Source(model=here)).facts
    run.train()
