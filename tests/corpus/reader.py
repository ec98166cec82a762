"""A slow, obvious reader of the corpus: it parses sentences, keeps a little world, and answers.

It shares no code with the generator; it works from the sentences alone, in the order in which they are said.
"""

from __future__ import annotations

import re

NUMBERS = ["None", "One", "Two", "Three", "Four", "Five"]
UNKNOWN = "I do not know."
TALK = {
    "hello": "Hello.",
    "hi": "Hello.",
    "good morning": "Hello.",
    "how are you": "I am well, thank you.",
    "what can you do": "I can answer questions.",
    "thank you": "You are welcome.",
    "thanks": "You are welcome.",
    "goodbye": "Goodbye.",
    "bye": "Goodbye.",
}


class Reader:
    def __init__(self) -> None:
        self.facts: list[tuple[str, str]] = []  # (inner, outer) as said, perhaps in code
        self.book: dict[str, str] = {}
        self.owner: dict[str, str] = {}
        self.likes: dict[str, str] = {}
        self.numbers: dict[str, dict[str, int]] = {"age": {}, "points": {}}
        self.queue: list[str] = []
        self.me: dict[str, str] = {}
        self.guide: dict[str, str] = {}

    def hear(self, text: str, *, system: bool = False) -> str:
        """The answer to a user's turn; the answer of a turn without a question is "Okay."."""
        answer = "Okay."
        for sentence in re.findall(r"[^.?]+", text.replace("was wrong.", "was wrong:")):
            of_system = self.tell_system(sentence.strip()) if system else False
            if not of_system:
                answer = self.sentence(sentence.strip()) or answer
        return answer

    def tell_system(self, s: str) -> bool:
        if m := re.fullmatch(r"You are ([\w-]+), a \w+ (\w+)", s):
            self.guide = {"name": m[1], "job": m[2]}
        elif m := re.fullmatch(r"Your name is ([\w-]+)", s):
            self.guide["name"] = m[1]
        elif m := re.fullmatch(r"You are a (\w+)", s):
            self.guide["job"] = m[1]
        elif s not in ("Answer in a few words", "Be kind and brief"):
            return False
        return True

    def sentence(self, s: str) -> str | None:
        """Take in a statement (None), or answer a question."""
        if s.lower() in TALK:
            return TALK[s.lower()]
        for pattern, method in self.rules():
            if m := re.fullmatch(pattern, s, flags=re.IGNORECASE):
                return method(*m.groups())
        raise AssertionError(f"the reader does not understand {s!r}")

    def rules(self):  # type: ignore[no-untyped-def]
        return [
            # -- questions
            (r"where(?: is|'s| did I put) the (\w+)", self.where),
            (r"do you know where the (\w+) is", self.where),
            (r"what is in the (\w+)", self.inside),
            (r"which room is the (\w+) in", self.room),
            (r"how many things are in the (\w+)", self.count),
            (r"who has the most points", lambda: self.extreme("points", max)),
            (r"who has the fewest points", lambda: self.extreme("points", min)),
            (r"who is oldest", lambda: self.extreme("age", max)),
            (r"who is youngest", lambda: self.extreme("age", min)),
            (r"how old is (\w+)", lambda name: f"{self.numbers['age'][name]}."),
            (r"how many points does (\w+) have", lambda n: f"{self.numbers['points'][n]}."),
            (r"who has the (\w+)", lambda thing: self.say(self.owner.get(thing), "{}.")),
            (r"what does (\w+) have", self.owned),
            (r"what does (\w+) like", lambda n: self.say(self.likes.get(n), f"{n} likes {{}}.")),
            (r"who likes (\w+)", self.liker),
            (r"who is (?:first|next)", lambda: self.say((self.queue or [""])[0], "{}.")),
            (r"who is last", lambda: self.say((self.queue or [""])[-1], "{}.")),
            (r"who is behind (\w+)", lambda name: f"{self.queue[self.queue.index(name) + 1]}."),
            (r"who is in front of (\w+)", lambda n: f"{self.queue[self.queue.index(n) - 1]}."),
            (r"what(?: is|'s) my name", lambda: self.say(self.me.get("name"), "Your name is {}.")),
            (r"who am I", lambda: self.say(self.me.get("name"), "You are {}.")),
            (r"what do I like", lambda: self.say(self.me.get("food"), "You like {}.")),
            (r"what pet do I have", lambda: self.say(self.me.get("pet"), "You have a {}.")),
            (r"who are you", lambda: self.mine("name", "I am {}.", "I am a small model.")),
            (r"what is your name", lambda: self.mine("name", "My name is {}.", "I have no name.")),
            (r"what is your job", lambda: self.mine("job", "I am a {}.", "")),
            # -- statements
            (r"I was wrong: (\w+) is in the queue, not (\w+)", self.replace),
            (r"(?:I was wrong: )?the (\w+) is (?:now )?in the (\w+)", self.put),
            (r"I (?:put|moved) the (\w+) (?:in|to) the (\w+)", self.put),
            (r"the (\w+) is in (\w+)", self.put),
            (r"(\w+) is in the (\w+)", self.put),
            (r"(\w+) is in (\w+)", self.put),
            (r"the \w+ is empty", lambda: None),
            (r"swap the (\w+) and the (\w+)", self.swap),
            (r"(\w+) means the (\w+)", self.book.__setitem__),
            (r"(\w+) has the (\w+)", lambda name, thing: self.owner.update({thing: name})),
            (r"\w+ gave the (\w+) to (\w+)", self.owner.__setitem__),
            (r"(\w+) likes (\w+)", self.likes.__setitem__),
            (r"(\w+) has (\d+) points", lambda n, k: self.number("points", n, k)),
            (r"(\w+) is (\d+)", lambda n, k: self.number("age", n, k)),
            (r"(.*) are in the queue in that order", self.line),
            (r"in the queue are (.*)", self.line),
            (r"(\w+) is served", self.queue_remove),
            (r"(\w+) joins the queue", lambda name: self.queue.append(name)),
            (r"my name is (?:now )?(\w+)", lambda name: self.me.update(name=name)),
            (r"call me (\w+) now", lambda name: self.me.update(name=name)),
            (r"I am (\w+)", lambda name: self.me.update(name=name)),
            (r"I like (\w+)", lambda food: self.me.update(food=food)),
            (r"I have a (\w+)", lambda pet: self.me.update(pet=pet)),
        ]

    # -- answers

    def say(self, value: str | None, form: str) -> str:
        return form.format(value) if value else UNKNOWN

    def mine(self, field: str, form: str, nobody: str) -> str:
        return form.format(self.guide[field]) if field in self.guide else nobody

    def places(self) -> dict[str, str]:
        """Where everything is, decoded with all that the book says so far; the last word counts."""
        return {self.book.get(a, a): self.book.get(b, b) for a, b in self.facts}

    def where(self, thing: str) -> str:
        return self.say(self.places().get(thing), "In the {}.")

    def inside(self, place: str) -> str:
        held = [thing for thing, where in self.places().items() if where == place]
        assert len(held) <= 1
        return self.say(held[0] if held else None, "The {}.")

    def room(self, thing: str) -> str:
        places = self.places()
        end = places.get(thing)
        while end in places:
            end = places[end]
        return self.say(end, "In the {}.")

    def count(self, place: str) -> str:
        return f"{NUMBERS[list(self.places().values()).count(place)]}."

    def extreme(self, scale: str, choose) -> str:  # type: ignore[no-untyped-def]
        numbers = self.numbers[scale]
        wanted = choose(numbers.values())
        (name,) = (name for name, number in numbers.items() if number == wanted)
        return f"{name}."

    def owned(self, name: str) -> str:
        things = [thing for thing, owner in self.owner.items() if owner == name]
        assert len(things) <= 1
        return self.say(things[0] if things else None, "The {}.")

    def liker(self, food: str) -> str:
        (name,) = (name for name, liked in self.likes.items() if liked == food)
        return f"{name} likes {food}."

    # -- statements

    def put(self, inner: str, outer: str) -> None:
        self.facts.append((inner, outer))

    def swap(self, first: str, second: str) -> None:
        places = self.places()
        self.facts += [(first, places[second]), (second, places[first])]

    def number(self, scale: str, name: str, number: str) -> None:
        self.numbers[scale][name] = int(number)

    def line(self, names: str) -> None:
        assert not self.queue, "a second queue"
        self.queue = re.split(r", | and ", names)

    def queue_remove(self, name: str) -> None:
        assert self.queue[0] == name, "served out of turn"
        self.queue.pop(0)

    def replace(self, new: str, old: str) -> None:
        self.queue[self.queue.index(old)] = new
