"""Queue: an ordered list of people, served from the front."""

from __future__ import annotations

from random import Random

from mini_ism.corpus import phrases
from mini_ism.corpus.portable_random import below, chance, pick
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.threads import lay_out
from mini_ism.corpus.world import World

QUEUES = ("{} are in the queue in that order.", "In the queue are {}.")


def tell_queue(rng: Random, names: list[str]) -> str:
    """Who is in the queue, from front to back."""
    return (QUEUES[0] if chance(rng, 0.75) else QUEUES[1]).format(phrases.and_list(names))


def ask_neighbour(rng: Random, line: list[str], skill: str) -> Turn:
    """Who stands behind, or in front of, somebody in the line."""
    index = below(rng, len(line) - 1)
    front, back = line[index], line[index + 1]
    if chance(rng, 0.5):
        return Turn(f"Who is behind {front}?", f"{back}.", skill)
    return Turn(f"Who is in front of {back}?", f"{front}.", skill)


def _ask(rng: Random, line: list[str], listed: int) -> Turn:
    """A question about the line; the first `listed` people stood in one sentence, the others joined later."""
    kind = pick(rng, ("first", "next", "last", "neighbour"))
    if kind == "neighbour" and listed > 1:
        return ask_neighbour(rng, line[:listed], "neighbour")
    if kind == "last":
        return Turn("Who is last?", f"{line[-1]}.", "queue")
    return Turn(f"Who is {'next' if kind == 'next' else 'first'}?", f"{line[0]}.", "queue")


@register_skill(weight=2.8)
def queue(rng: Random, world: World, size: int) -> list[Turn]:
    """Nora, Omar and Pia are in the queue in that order. Who is first? -> Nora."""
    if not world.claim("the queue"):  # "who is first?" must mean one queue
        return []
    line = [world.name() for _ in range(max(2, size))]
    listed = len(line)
    turns = lay_out(rng, [tell_queue(rng, line)], [_ask(rng, line, listed)])
    for _ in range(pick(rng, (0, 1, 2, 3))):
        if listed > 1 and chance(rng, 0.7):
            event = f"{line.pop(0)} is served."
            listed -= 1
        elif len(line) == listed:
            line.append(world.name())
            event = f"{line[-1]} joins the queue."
        else:
            break
        turns += lay_out(rng, [event], [_ask(rng, line, listed)])
    return turns
