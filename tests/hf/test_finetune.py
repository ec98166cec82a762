"""Fine-tuning under a rule: batches, Trainer, and adapters that remember what they were trained under."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from mini_ism import Mask, get_mask
from mini_ism.batching import pack_with
from mini_ism.hf import (
    ChatCollator,
    ChatTemplate,
    HFChatSession,
    OtherMaskWarning,
    UnfitAttentionError,
    attention_mask,
    diagnose,
    labels,
    load_adapter,
    save_adapter,
)
from mini_ism.hf.chat import WITH_SINK
from mini_ism.hf.finetune import RECORD
from tests.hf.templates import MESSAGES, tokenizer
from tests.hf.tiny import tiny

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning", "ignore:Could not find a config file:UserWarning"
)
TEMPLATE = ChatTemplate(tokenizer("chatml"))
CHATS = [{"messages": MESSAGES}, {"messages": MESSAGES[:2]}, {"messages": MESSAGES[2:]}]


def alone(model: Any, messages: Any, mask: str) -> tuple[float, int]:
    """Sum of an uncached forward's losses on the answers of one chat, and their number."""
    encoded = TEMPLATE.encode(messages)
    dense = get_mask(mask).dense(encoded.segments)
    with torch.no_grad():
        logits = model(encoded.tokens[None], attention_mask=attention_mask(model, dense, 0)).logits[0]
    loss = torch.nn.functional.cross_entropy(logits[:-1], labels(encoded)[1:], reduction="sum")
    return float(loss), int((labels(encoded) != -100).sum())


@pytest.mark.parametrize("name", ["llama", "gemma3", "mistral", "gpt2"])
@pytest.mark.parametrize("length", [None, 110])
@pytest.mark.parametrize("mask", ["causal", "ism(sink=True)"])
def test_a_batch_costs_what_its_chats_cost_alone(name: str, length: int | None, mask: str) -> None:
    model = tiny(name)
    batch: Any = ChatCollator(model, TEMPLATE, mask, length=length)(CHATS)
    assert batch["input_ids"].shape[0] == (3 if length is None else 2)
    with torch.no_grad():
        together = float(model(**batch).loss)
    losses, counts = zip(*(alone(model, chat["messages"], mask) for chat in CHATS), strict=True)
    assert together == pytest.approx(sum(losses) / sum(counts), abs=2e-5)


def test_labels_are_answers_only() -> None:
    batch: Any = ChatCollator(tiny("llama"), TEMPLATE)(CHATS)
    targets = batch["labels"]
    assert int((targets != -100).sum()) == sum(alone(tiny("llama"), chat["messages"], "causal")[1] for chat in CHATS)
    assert torch.equal(targets[targets != -100], batch["input_ids"][targets != -100])


def test_under_prefix_each_turn_is_a_sequence_of_its_own() -> None:
    collator = ChatCollator(tiny("llama"), TEMPLATE, "prefix")
    turns = collator.sequences(MESSAGES)
    assert [len(turn) for turn in turns] == [len(TEMPLATE.encode(MESSAGES[:stop])) for stop in (2, 4, 6)]
    ends = [turn.segments.id[turn.loss_mask].unique().tolist() for turn in turns]
    assert ends == [[1], [3], [5]]
    assert len(ChatCollator(tiny("llama"), TEMPLATE, "ism").sequences(MESSAGES)) == 1


@pytest.mark.parametrize("mask", WITH_SINK.values())
def test_in_a_packed_row_each_sequence_reads_as_it_does_alone(mask: str) -> None:
    """Its own token 0 is its sink, wherever in the row it begins."""
    batch: Any = ChatCollator(tiny("llama"), TEMPLATE, mask, length=250)([{"messages": MESSAGES}] * 2)
    sequences = ChatCollator(tiny("llama"), TEMPLATE, mask).sequences(MESSAGES)
    packed = pack_with(sorted(2 * sequences, key=len, reverse=True), 0, 250).segments
    assert packed.document is not None
    assert int(packed.document.max()) > 0
    for row, document in enumerate(packed.document):
        for number in range(int(document.max()) + 1):
            start, length = int((document == number).nonzero()[0]), int((document == number).sum())
            (each,) = (sequence for sequence in sequences if len(sequence) == length)
            inside = batch["attention_mask"][row, 0, start : start + length, start : start + length]
            assert torch.equal(inside, get_mask(mask).dense(each.segments))


def test_an_answer_of_weight_0_is_history_and_no_target() -> None:
    chat = [{**message, "weight": 0} if n == 1 else message for n, message in enumerate(MESSAGES)]
    for mask, first in (("causal", [3, 5]), ("prefix", [3])):
        (sequence, *others) = ChatCollator(tiny("llama"), TEMPLATE, mask).sequences(chat)
        assert sequence.segments.id[sequence.loss_mask].unique().tolist() == first
        assert len(others) == (mask == "prefix")
    with pytest.raises(ValueError, match=r"no answer to learn from; .* whose weight is not 0"):
        ChatCollator(tiny("llama"), TEMPLATE, "prefix").sequences(chat[:2])


def test_rules_that_show_their_targets_are_refused() -> None:
    for mask in ("bidirectional", "causal | same_segment"):
        with pytest.raises(ValueError, match="show the model its targets"):
            ChatCollator(tiny("llama"), TEMPLATE, mask)(CHATS)


def test_bad_input() -> None:
    collator = ChatCollator(tiny("llama"), TEMPLATE, length=20)
    with pytest.raises(ValueError, match=r"chat 0 .* tokens do not fit a row of 20"):
        collator(CHATS)
    with pytest.raises(ValueError, match=r"chat 0 .* holds no answer to learn from"):
        collator([{"messages": MESSAGES[:1]}])
    with pytest.raises(KeyError, match=r"chat 0 of the batch has no .messages. among its keys: text"):
        collator([{"text": "Hi."}])
    whole: Any = ChatCollator(tiny("llama", max_position_embeddings=110), TEMPLATE)
    with pytest.raises(ValueError, match=r"chat 1 .* tokens, and the model has room for 110"):
        whole([{"messages": MESSAGES[:2]}, {"messages": MESSAGES * 2}])
    with pytest.raises(TypeError, match=r"chat 1 .* must be a mapping with .messages., got \[\{"):
        whole([CHATS[1], MESSAGES])
    with pytest.raises(TypeError, match=r"chat 0 .* a dialogue is a list of messages"):
        whole([{"messages": "Hi."}])
    with pytest.raises(ValueError, match="the batch is empty"):
        whole([])
    flash = tiny("llama")
    flash.config._attn_implementation = "flash_attention_2"
    with pytest.raises(UnfitAttentionError, match="flash_attention_2"):
        ChatCollator(flash, TEMPLATE)


def lora(model: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))


@pytest.mark.filterwarnings("ignore")
def test_trainer_learns_with_an_adapter(tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    model = lora(tiny("llama"))
    frozen = {name: weight.clone() for name, weight in model.named_parameters() if not weight.requires_grad}
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=12,
        per_device_train_batch_size=3,
        learning_rate=0.02,
        remove_unused_columns=False,
        report_to=[],
        save_strategy="no",
        logging_steps=1,
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model, args=arguments, train_dataset=CHATS, data_collator=ChatCollator(model, TEMPLATE, length=110)
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0] - 0.5
    assert all(torch.equal(weight, frozen[name]) for name, weight in model.named_parameters() if name in frozen)


def woken(model: Any) -> Any:
    """An adapter that does something, as a trained one."""
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    return model


def test_an_adapter_remembers_its_rule(tmp_path: Path) -> None:
    trained = woken(lora(tiny("llama"))).eval()
    save_adapter(trained, tmp_path, "ism(sink=True)")
    tokens = torch.arange(20)[None] + 30
    with torch.no_grad():
        wanted = trained(tokens).logits
    with warnings.catch_warnings():
        warnings.simplefilter("error", OtherMaskWarning)
        loaded, rule = load_adapter(tiny("llama"), tmp_path)
        load_adapter(tiny("llama"), tmp_path, "ism(sink=True)")
    assert rule.name == "ism(sink=True)"
    read: Any = loaded
    with torch.no_grad():
        assert torch.equal(read(tokens).logits, wanted)
    with pytest.warns(OtherMaskWarning, match=r"trained under mask 'ism\(sink=True\)' and is used under 'causal'"):
        _, other = load_adapter(tiny("llama"), tmp_path, "causal")
    assert other.name == "causal"


def test_an_adapter_chats_and_is_examined() -> None:
    model = woken(lora(tiny("llama")))
    session = HFChatSession(model, TEMPLATE, context=200)
    reply = session.send("Hi.", max_new_tokens=3)
    encoded = session.tokens[None, :-2]  # without the last token and the end
    with torch.no_grad():
        dense = session.mask.dense(session.segments[: encoded.shape[1]])
        logits = model(encoded, attention_mask=dense[None, None]).logits[0]
    assert float((logits[-len(reply.logits) :] - reply.logits).abs().max()) <= 2e-5
    assert diagnose(model, TEMPLATE, MESSAGES[:4]).healthy


def test_an_adapter_that_is_switched_off_mid_chat_empties_the_cache() -> None:
    model = woken(lora(tiny("llama")))
    chat, alone = HFChatSession(model, TEMPLATE, context=200), HFChatSession(tiny("llama"), TEMPLATE, context=200)
    first = chat.send("Hi.", max_new_tokens=3).text
    with model.disable_adapter():
        second = chat.send("Who am I?", max_new_tokens=3)
    said = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": first}]
    assert alone.send("Hi.", max_new_tokens=3).text != first
    tokens = chat.tokens[None, : len(chat.tokens) - 2]
    with torch.no_grad():
        dense = chat.mask.dense(chat.segments[: tokens.shape[1]])
        wanted = alone.model.inner(tokens, attention_mask=dense[None, None]).logits[0]
    assert float((wanted[-3:] - second.logits).abs().max()) <= 2e-5
    assert chat.messages[:2] == said


def test_a_rule_without_a_name_is_told_of_when_it_is_saved(tmp_path: Path) -> None:
    mine = Mask(lambda q, kv, s: kv <= q, "mine")
    with pytest.warns(UserWarning, match="no mask here goes by the name 'mine'; register it, or give load_adapter"):
        save_adapter(lora(tiny("llama")), tmp_path, mine)
    with pytest.warns(OtherMaskWarning, match="unknown mask 'mine'"):
        assert load_adapter(tiny("llama"), tmp_path, mine)[1] is mine


def test_folders_without_an_adapter_or_a_record(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no adapter_config\.json"):
        load_adapter(tiny("llama"), tmp_path)
    save_adapter(lora(tiny("llama")), tmp_path, "ism")
    (tmp_path / RECORD).write_text('{"mask": "nosuchmask"}')
    with pytest.raises(ValueError, match="does not name a mask that is known here"):
        load_adapter(tiny("llama"), tmp_path)
    with pytest.warns(OtherMaskWarning, match="unknown mask 'nosuchmask'.* is used under 'ism'"):
        assert load_adapter(tiny("llama"), tmp_path, "ism")[1].name == "ism"
    (tmp_path / RECORD).unlink()
    with pytest.raises(ValueError, match="does not say which mask"):
        load_adapter(tiny("llama"), tmp_path)
    with pytest.warns(OtherMaskWarning, match="an unknown mask"):
        load_adapter(tiny("llama"), tmp_path, "ism")
