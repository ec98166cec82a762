"""A list of facts of one kind, with its sentences and questions."""

from __future__ import annotations

from random import Random

from mini_ism.corpus import phrases
from mini_ism.corpus.portable_random import chance, pick
from mini_ism.corpus.registry import Turn
from mini_ism.corpus.world import World


class Facts:
    """`size` things, each with the place it is in or, if `owned`, the person who has it."""

    def __init__(self, rng: Random, world: World, size: int, owned: bool) -> None:
        self.owned = owned
        self.things = [world.thing() for _ in range(size)]
        self.values = [world.name() if owned else world.spot() for _ in range(size)]

    @classmethod
    def draw(cls, rng: Random, world: World, size: int) -> Facts:
        """Facts about places, or now and then about owners."""
        return cls(rng, world, size, owned=chance(rng, 0.35))

    def tell(self, rng: Random) -> list[str]:
        """One sentence per fact."""
        pairs = zip(self.things, self.values, strict=True)
        if self.owned:
            return [phrases.tell_owner(name, thing) for thing, name in pairs]
        return [phrases.tell_place(rng, thing, place) for thing, place in pairs]

    def ask(self, rng: Random) -> Turn:
        """A question about any fact, in either direction; it may be asked again, so that nothing can be ruled out."""
        index = int(rng.random() * len(self.things))
        thing, value = self.things[index], self.values[index]
        asks_thing = self._asks_thing(rng)
        question = self._question(rng, thing, value, asks_thing)
        if asks_thing:
            return Turn(question, phrases.answer_thing(thing), self._label(asks_thing))
        return self._answer(question, value, self._label(asks_thing))

    def ask_value(self, rng: Random, thing: str, skill: str = "") -> Turn:
        """A question about where that thing is, or who has it, labelled ``skill`` or else as a plain fact."""
        value = self.values[self.things.index(thing)]
        return self._answer(self._question(rng, thing, value, False), value, skill or self._label(False))

    def ask_absent(self, rng: Random, world: World) -> Turn:
        """A question in the same words as `ask`, about something nobody mentioned."""
        # The thing may be known, but not in this respect. Facts about owners are rarer than those about places, hence
        # the two shares: both questions go unanswered about equally often.
        if chance(rng, 0.5 if self.owned else 0.2):
            thing = pick(rng, self.things)
            question = phrases.ask_where(rng, thing) if self.owned else phrases.ask_owner(thing)
        else:
            value = world.name() if self.owned else world.spot()
            question = self._question(rng, world.thing(), value, self._asks_thing(rng))
        return Turn(question, phrases.UNKNOWN_ANSWER, "unknown")

    def _asks_thing(self, rng: Random) -> bool:
        return chance(rng, 0.6 if self.owned else 0.2)

    def _label(self, asks_thing: bool) -> str:
        """Recall goes from what was told first to what was told second; reverse, the other way."""
        return "recall" if asks_thing == self.owned else "reverse"

    def _answer(self, question: str, value: str, skill: str) -> Turn:
        answer = phrases.answer_name(value) if self.owned else phrases.answer_place(value)
        return Turn(question, answer, skill)

    def _question(self, rng: Random, thing: str, value: str, asks_thing: bool) -> str:
        if self.owned:
            return phrases.ask_owned(value) if asks_thing else phrases.ask_owner(thing)
        return phrases.ask_inside(value) if asks_thing else phrases.ask_where(rng, thing)
