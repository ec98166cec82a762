"""The cache player: several masks read the same dialogue in lockstep; watch what each cache keeps and discards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import ipywidgets as w
import tiktoken
import torch

from mini_ism.blind_cache import StaleTurn, answer_blindly, blind_trace, stale_positions
from mini_ism.chat import ChatSession
from mini_ism.checkpoints import CheckpointError, load_model, shipped_models
from mini_ism.checks import check_kind, items_of
from mini_ism.cost import as_model, plan
from mini_ism.dialogue import EncodedDialogue, Message, encode_dialogue
from mini_ism.mask import Mask
from mini_ism.masks import COURSE_MASKS, get_mask
from mini_ism.model import GPT
from mini_ism.segments import Segments
from mini_ism.tokenizer import load_tokenizer
from mini_ism.trace import Event
from mini_ism.views import Figure, TokenizedDialogue, stale_proof, tokenized, turn_bars
from mini_ism.views.cache_scrubber import cache_scrubber, first_read
from mini_ism.views.cache_strip import cache_strip
from mini_ism.views.cache_styles import shown_styles, wrapping_legend
from mini_ism.views.figures import cache_figure
from mini_ism.views.stale_proof import describe_stale
from mini_ism.views.timeline import Frame, frames
from mini_ism.widgets.layout import legible
from mini_ism.widgets.panel import EXAMPLE, Panel, put
from mini_ism.widgets.surface import Pick, Surface, picked_index

MILLISECONDS = 300  # for each step
AT_ONCE = 4  # tokens that a lane reads per step, so that time in the film stands for work


class CachePlayer(Panel):
    """A film of KV caches: a lane for each mask, a cell for each token, and what each turn has cost so far.

    All steps take equally long; in each, a lane reads up to four tokens or writes one. Click on the picture or drag
    over it to jump to a step.

    Where a rule makes a cache discard something, "break it" keeps it instead: the film then shows what is stale, and
    the lane's model answers the turn's question both ways.

    Args:
        messages: the dialogue; what each lane does with it follows from the rules, exactly, and no model runs.
        tokenizer: default, the package's own.
        masks: the lanes, each a :class:`~mini_ism.mask.Mask` or text for :func:`~mini_ism.masks.get_mask`.
        sessions: real conversations by name, instead of ``messages``: their traces are played, with their times.
        models: the models that answer and whose bytes are counted, with their tokenizers, by lane; default, the shipped
            model of a lane's name, loaded on first use. Sessions bring their own.
        broken: begin with "break it" on.

    Raises:
        TypeError, ValueError: the dialogue, a mask, a session or a model is not valid; two masks have one name; both
            ``messages`` and ``sessions`` were given; a session has said nothing yet or went back.
    """

    def __init__(
        self,
        messages: Sequence[Message] | None = None,
        tokenizer: tiktoken.Encoding | None = None,
        *,
        masks: str | Mask | Iterable[str | Mask] = COURSE_MASKS,
        sessions: Mapping[str, ChatSession] | None = None,
        models: Mapping[str, tuple[GPT, tiktoken.Encoding]] | None = None,
        broken: bool = False,
    ) -> None:
        super().__init__("mi-cache")
        self._models = _checked_models({} if models is None else models)
        if sessions is None:
            self._plan(
                list(EXAMPLE if messages is None else messages),
                tokenizer or load_tokenizer(),
                _lanes(masks),
            )
        elif messages is None:
            self._play(sessions)
        else:
            raise ValueError("give a dialogue (messages) or conversations that took place (sessions), not both")
        self._prepare()
        self._make_controls(broken)
        self._redraw()

    # -- the film -------------------------------------------------------------------------------

    def _plan(self, messages: list[Message], tokenizer: tiktoken.Encoding, masks: Mapping[str, Mask]) -> None:
        encoded = encode_dialogue(messages, tokenizer)
        self._traces: dict[str, list[Event]] = {
            name: plan(mask, encoded.segments, self._counted(name)) for name, mask in masks.items()
        }
        self._sources: dict[str, tuple[Mask, Segments, list[Message]]] = {
            name: (mask, encoded.segments, messages) for name, mask in masks.items()
        }
        self.dialogue = tokenized(encoded, tokenizer)

    def _play(self, sessions: Mapping[str, ChatSession]) -> None:
        remedy = 'give ChatSession objects by name: {"ism": session}'
        check_kind("sessions", sessions, Mapping, remedy)
        items_of("sessions", sessions.values(), ChatSession, remedy)
        silent = [name for name, session in sessions.items() if not session.trace]
        if silent or not sessions:
            said = f"have said nothing yet: {', '.join(silent)}" if silent else "are none"
            raise ValueError(f"the sessions {said}; send() each of them a message first")
        self._traces = {name: list(session.trace) for name, session in sessions.items()}
        self._sources = {
            name: (session.mask, session.segments, [dict(message) for message in session.messages])
            for name, session in sessions.items()
        }
        self._models |= {name: (session.model, session.tokenizer) for name, session in sessions.items()}
        self.dialogue = _in_common([_tokens_of(session) for session in sessions.values()])

    def _counted(self, name: str) -> GPT:
        """The model that a lane's FLOPs and bytes are counted for."""
        return self._models[name][0] if name in self._models else as_model(None)

    def _prepare(self) -> None:
        """Both films: the real one, and one with nothing discarded."""
        film = frames(self._traces, at_once=AT_ONCE)  # first, since it refuses a conversation that went back
        blind = dict(self._traces)
        self._stale: dict[str, dict[int, tuple[int, ...]]] = {}
        for name, trace in self._traces.items():
            if any(event.phase == "discard" for event in trace):
                mask, segments, _ = self._sources[name]
                blind[name] = blind_trace(trace, self._counted(name))
                self._stale[name] = stale_positions(mask, segments, blind[name])
        self._films = (film, frames(blind, self._stale, at_once=AT_ONCE))
        self._first_read = [first_read(film) for film in self._films]
        self._legends = [wrapping_legend(shown_styles(*film)) for film in self._films]
        self._proofs: dict[str, list[StaleTurn]] = {}
        ends = [lane for film in self._films for lane in film[-1].lanes.values()]
        self._most = max(lane.computed for lane in ends)
        self._fullest = max(cost.reused + cost.computed for lane in ends for cost in lane.spent)
        self._turns = max(cost.turn for lane in ends for cost in lane.spent)

    # -- layout ---------------------------------------------------------------------------------

    def _make_controls(self, broken: bool) -> None:
        last = max(map(len, self._films)) - 1
        self.player = w.Play(min=0, max=last, value=0, interval=MILLISECONDS)
        self.step = w.IntSlider(min=0, max=last, value=0, description="Step", layout=w.Layout(width="300px"))
        self.back = w.Button(description="Back", icon="step-backward", layout=w.Layout(width="90px"))
        self.forward = w.Button(description="Step", icon="step-forward", layout=w.Layout(width="90px"))
        names = " and ".join(self._stale)
        offer = f"break it: {names} keeps its stale cache" if names else "nothing to break: no cache goes stale"
        self.breaker = w.Checkbox(
            value=broken and bool(self._stale),
            description=offer,
            disabled=not self._stale,
            indent=False,
            layout=w.Layout(width="auto"),
        )
        self.picture, self.scrubber, self.bars = Surface(), Surface(), Surface()
        self.legend, self.proof = w.HTML(), w.HTML()
        for surface in (self.picture, self.scrubber):
            surface.on_pick(self._picked)
        self._link = w.jslink((self.player, "value"), (self.step, "value"))
        self.step.observe(lambda _: self._redraw(), "value")
        self.breaker.observe(lambda _: self._redraw(), "value")
        self.back.on_click(lambda _: self._move(-1))
        self.forward.on_click(lambda _: self._move(1))
        bar = w.HBox([self.player, self.back, self.forward, self.step], layout=w.Layout(flex_flow="row wrap"))
        self.box.children = [  # parts that change their height come below those the mouse can be dragged over
            self._style,
            self.picture,
            self.legend,
            self.scrubber,
            bar,
            self.breaker,
            self._status,
            self._error,
            self.proof,
            self.bars,
        ]

    def _picked(self, pick: Pick) -> None:
        step = picked_index(pick, "step", below=len(self.film))
        if step is not None:
            self.step.value = step

    def _move(self, steps: int) -> None:
        self.step.value = min(max(self.step.value + steps, 0), self.step.max)

    @property
    def film(self) -> list[Frame]:
        """The frames that are played: the real ones, or those with nothing discarded."""
        return self._films[bool(self.breaker.value)]

    @property
    def frame(self) -> Frame:
        """The step that is shown."""
        return self.film[self._now]

    @property
    def _now(self) -> int:
        return min(int(self.step.value), len(self.film) - 1)

    def _redraw(self) -> None:
        frame, broken = self.frame, bool(self.breaker.value)
        sentences, proofs = [frame.describe()], []
        self._complain("")
        if broken and frame.turn:
            for name in self._stale:
                turn = self._proof(name, frame.turn)
                if turn is not None:
                    sentences.append(describe_stale(turn, name))
                    proofs.append(str(stale_proof(turn, name)))
        self._say(" ".join(sentences))
        scope = f"strip-{self.box.model_id}"
        steps = self._first_read[broken]
        strip = cache_strip(frame, self.dialogue, most=self._most, explained={}, scope=scope, steps=steps)
        put(self.picture, legible(strip))
        put(self.legend, self._legends[broken])
        put(self.scrubber, str(cache_scrubber(self.film, self._now)))
        put(self.proof, "".join(proofs))
        lanes = {name: lane.spent for name, lane in frame.lanes.items()}
        drawn = turn_bars(
            lanes,
            stale=self._stale if broken else None,
            turns=self._turns,
            most=self._fullest,
            now=frame.turn or None,
            scope=f"bars-{self.box.model_id}",
        )
        put(self.bars, legible(drawn))

    def _proof(self, name: str, turn: int) -> StaleTurn | None:
        """A turn's question answered both ways; ``None``, with an error shown in place, if no model can do so."""
        if name not in self._proofs:
            mask, _, messages = self._sources[name]

            def answer() -> None:
                model, tokenizer = self._model(name)
                self._proofs[name] = answer_blindly(model, tokenizer, messages, mask)

            if not self._attempt(answer, f"the rule {mask.name!r}"):
                self._complain(f"no answers to compare for {name}: {self.error}")
                return None
        return next((each for each in self._proofs[name] if each.turn == turn), None)

    def _model(self, name: str) -> tuple[GPT, tiktoken.Encoding]:
        if name in self._models and not isinstance(self._models[name][0], GPT):  # a session's, of another package
            raise CheckpointError("its model is not of this package, and cannot be made to trust a stale cache")
        if name not in self._models:
            if name not in shipped_models():
                raise CheckpointError(f"no model of that name is shipped; give one with models={{{name!r}: ...}}")
            self._models[name] = load_model(name)
        return self._models[name]

    def figure(self) -> Figure:
        """The last step as a still picture: what was kept, read and written by the end."""
        figure = cache_figure(self.film[-1], self.dialogue)
        figure.alt = f"Cache player, last step. {figure.alt}"
        return figure


def _lanes(masks: str | Mask | Iterable[str | Mask]) -> dict[str, Mask]:
    """The rule of each lane, by the name that it was given or has."""
    each = [masks] if isinstance(masks, str | Mask) else masks
    check_kind("masks", each, Iterable, 'give one or several, such as masks=["causal", "ism"]')
    lanes: dict[str, Mask] = {}
    for mask in each:
        rule = get_mask(mask)
        name = mask if isinstance(mask, str) else mask.name
        if name in lanes:
            raise ValueError(f"two lanes are called {name!r}; give each mask once, under a name of its own")
        lanes[name] = rule
    return lanes


def _checked_models(models: object) -> dict[str, tuple[GPT, tiktoken.Encoding]]:
    """Models by name, each with its tokenizer, as they were given."""
    remedy = 'give pairs by name: models={"ism": load_model("ism")}'
    check_kind("models", models, Mapping, remedy)
    assert isinstance(models, Mapping)
    for name, each in models.items():
        pair = each if isinstance(each, tuple) and len(each) == 2 else (each, None)
        check_kind(f"the model {name!r}", pair[0], GPT, remedy)
        check_kind(f"the tokenizer of {name!r}", pair[1], tiktoken.Encoding, remedy)
    return dict(models)


def _tokens_of(session: ChatSession) -> TokenizedDialogue:
    """What a session has read and written, token by token, in its model's own format."""
    tokens = session.tokens
    encoded = EncodedDialogue(tokens, session.segments, torch.zeros_like(tokens, dtype=torch.bool))
    return tokenized(encoded, session.style.tokenizer)


def _in_common(dialogues: Sequence[TokenizedDialogue]) -> TokenizedDialogue:
    """The longest dialogue; answers may differ, and a position whose token is not the same in all gets no label."""
    longest = max(dialogues, key=len)
    tokens = [list(zip(each.labels, each.roles, strict=True)) for each in dialogues]
    agree = [
        all(lane[position : position + 1] in ([], [pair]) for lane in tokens)
        for position, pair in enumerate(zip(longest.labels, longest.roles, strict=True))
    ]
    labels = [label if same else "…" for label, same in zip(longest.labels, agree, strict=True)]
    return TokenizedDialogue(labels, longest.roles, longest.ids)
