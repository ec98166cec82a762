/** A tour of six steps: each points at a part of the page, and shows something there. */

const STEPS_OF_TOUR = [
  {
    at: "#talk",
    title: "One question, three masks",
    text:
      "Three small GPTs read the same words. They differ in one thing: the mask, which says who may attend to " +
      "whom. Send an example, and compare their answers.",
  },
  {
    at: "#lanes",
    set: { words: 1 },
    title: "What could have come next",
    text:
      "Under each conversation stand the words of its last answer. Choose one, and see which other words the " +
      "model thought likely there.",
  },
  {
    at: "#views",
    set: { view: "mask", rule: "", focus: "ism" },
    title: "The mask is a line of code",
    text:
      "Each row is a token that reads, each column one that it may read. Blue looks back, orange looks ahead. " +
      "Under ISM only questions look ahead, and never beyond themselves. Choose a row, and its sight is written " +
      "over the dialogue.",
  },
  {
    at: "#views",
    set: { view: "mask", rule: "ism & (causal | ~inside(0))", focus: "ism" },
    title: "Turn a segment, write a rule",
    text:
      "Here the first message was turned to read backwards, with the switch beside it, and the rule says so. " +
      "Write your own rule, too: what you see always follows from its text.",
  },
  {
    at: "#views",
    set: { view: "film" },
    title: "What a cache may keep",
    text:
      "Press play. Under prefix every new question changes what old tokens see: their keys and values are thrown " +
      "away, and all is read again. Causal and ISM keep theirs. The table has the times, measured here.",
  },
  {
    at: "#views",
    set: { view: "attention", under: "ism", minus: "causal", focus: "ism" },
    title: "Where the heads look",
    text:
      "The same weights under two masks: red is attention that ISM adds, blue what it takes away. Pick a head. " +
      "When you have found something, “Copy link” shares the very view.",
  },
];

class Tour {
  constructor(app) {
    this.app = app;
    this.box = document.querySelector("#tour");
    const part = (name) => this.box.querySelector(`[data-part="${name}"]`);
    [this.count, this.title, this.text] = ["count", "title", "text"].map(part);
    [this.back, this.next] = ["back", "next"].map(part);
    this.back.addEventListener("click", () => this.go(this.step - 1));
    const onwards = () => (this.step + 1 < STEPS_OF_TOUR.length ? this.go(this.step + 1) : this.end());
    this.next.addEventListener("click", onwards);
    part("end").addEventListener("click", () => this.end());
    this.box.addEventListener("keydown", ({ key }) => key === "Escape" && this.end());
    this.start = document.querySelector("#start-tour");
    this.start.addEventListener("click", () => this.go(0));
  }

  go(step) {
    this.step = step;
    const { at, title, text, set } = STEPS_OF_TOUR[step];
    if (set) this.app.set(set);
    this.point(document.querySelector(at));
    this.count.textContent = `Step ${step + 1} of ${STEPS_OF_TOUR.length}`;
    this.title.textContent = title;
    this.text.textContent = text;
    this.back.disabled = step === 0;
    this.next.textContent = step + 1 < STEPS_OF_TOUR.length ? "Next" : "Done";
    this.box.hidden = false;
    this.next.focus({ preventScroll: true });
  }

  point(target) {
    document.querySelector(".pointed-out")?.classList.remove("pointed-out");
    target?.classList.add("pointed-out");
    target?.scrollIntoView({ block: "start", behavior: this.app.calm ? "auto" : "smooth" });
  }

  end() {
    this.point(null);
    this.box.hidden = true;
    this.start.focus({ preventScroll: true });
  }
}
