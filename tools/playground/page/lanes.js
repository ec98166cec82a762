/** A conversation of the chat as a column: what was said, what each turn cost, and the odds of the next word. */

const RULES = {
  causal: ["kv <= q", "Everybody reads backwards."],
  prefix: ["(kv <= q) | (kv < s.last_query_end[q])", "Everything up to the last question reads both ways."],
  ism: ["(kv <= q) | (s.is_query[q] & (s.id[q] == s.id[kv]))", "Each question reads both ways, each answer backwards."],
};
const ICON = 44;
const milliseconds = (time) => `${time < 10 ? time.toFixed(1) : time.toFixed(0)} ms`;

class Lane {
  /**
   * @param {string} name of the mask, and of the lane
   * @param {GPT} model
   * @param {string} whose weights these are
   * @param {{pick: () => void, edit: (turn: number) => void}} on what a click does
   */
  constructor(name, model, whose, tokenizer, system, on) {
    Object.assign(this, { name, whose, on, places: [], chosen: 0, why: {} });
    this.session = new ChatSession(model, tokenizer, MASKS[name], system);
    this.box = document.createElement("article");
    this.box.className = "lane";
    this.box.innerHTML =
      `<button class="lane-head" type="button"><span class="icon"></span><span class="lane-name">` +
      `<b>${name}</b><span class="gist">${RULES[name][1]}</span></span></button>` +
      `<div class="log" role="log" tabindex="0" aria-label="Conversation under ${name}"></div>` +
      '<div class="words"></div>';
    [this.head, this.log, this.words] = [".lane-head", ".log", ".words"].map((part) => this.box.querySelector(part));
    const weights = whose === name ? "its own weights" : `${whose}’s weights`;
    this.head.title = `${RULES[name][0]} (${weights})`;
    this.head.addEventListener("click", on.pick);
    this.log.addEventListener("click", (event) => {
      const button = event.target.closest("[data-edit]");
      if (button) on.edit(Number(button.dataset.edit));
    });
    this.surface = mount(this.words, "", ({ token }) => this.choose(token));
  }

  get costs() {
    return turnCosts(this.session.trace);
  }

  // -- talking -------------------------------------------------------------------------------------

  begin(text, options) {
    this.writing = this.session.stream(text, { maxNewTokens: SHIPPED.longest_answer, stopLoops: true, ...options });
    [this.places, this.soFar] = [[], ""];
  }

  /** Write a token of the answer; whether there may be more. */
  write() {
    const { value, done } = this.writing.next();
    if (done) {
      const { tokens, logits, stopped } = this.session.reply;
      const end = stopped === "end" ? [this.session.tokenizer.specials[END]] : [];
      this.places = [...tokens, ...end].map((token, n) => ({ token, logits: logits[n] }));
      this.why[this.session.turn] = SHIPPED.why_it_stopped[stopped] ?? "";
      this.writing = null;
    } else {
      this.places.push(value);
      this.soFar = value.text;
    }
    this.chosen = done ? this.leastSure() : this.places.length - 1;
    return !done;
  }

  /** The place in the answer where the model was the least sure of what it wrote. */
  leastSure() {
    const odds = this.places.map(({ token, logits }) => softmax(Float64Array.from(logits))[token]);
    return Math.max(odds.indexOf(Math.min(...odds)), 0);
  }

  // -- showing -------------------------------------------------------------------------------------

  show(focused, withWords) {
    this.box.classList.toggle("focused", focused);
    this.head.setAttribute("aria-pressed", focused);
    const { segments } = this.session;
    const icon = this.session.mask.dense(segments);
    this.box.querySelector(".icon").innerHTML = maskIcon(icon, segments.id, ICON, `The mask ${this.name} now`);
    this.words.hidden = !withWords;
    this.showWriting();
  }

  /** What changes while an answer is written. */
  showWriting() {
    const open = this.writing && this.log.querySelector(".open");
    if (open) open.textContent = `${this.soFar}▏`;
    else this.showLog();
    this.showWords();
  }

  /** Bring the last line into view; it makes the browser lay out the page, so once a frame will do. */
  follow() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  showLog() {
    const costs = Object.fromEntries(this.costs.map((cost) => [cost.turn, cost]));
    let turn = 0;
    const parts = this.session.messages.map(({ role, content }, n) => {
      const open = this.writing && n === this.session.messages.length - 1;
      turn += role === "user" ? 1 : 0;
      const named = `data-edit="${turn - 1}" aria-label="Edit message ${turn}"`;
      const edit = `<button class="edit" type="button" ${named}>✎</button>`;
      const bubble =
        `<div class="bubble ${role}"><span class="who">${role === "user" ? "you" : role}</span>` +
        `<span${open ? ' class="open"' : ""}>${escape(open ? `${this.soFar}▏` : content)}</span>` +
        `${role === "user" ? edit : ""}</div>`;
      return role === "assistant" && !open ? bubble + this.bill(costs[turn], turn) : bubble;
    });
    const nothing = '<p class="small">Nothing said yet. Type a message, or pick an example.</p>';
    this.log.innerHTML = `<div>${parts.join("") || nothing}</div>`;
  }

  bill(cost, turn) {
    const { firstToken, reused, prefilled, decoded, discarded } = cost;
    const parts = [`first word ${milliseconds(firstToken)}`, `kept ${reused}`, `read ${prefilled}`, `wrote ${decoded}`];
    if (discarded) parts.push(`threw away ${discarded}`);
    const why = this.why[turn] ? `<div class="why">${escape(this.why[turn])}</div>` : "";
    return `${why}<div class="bill">${parts.map((part) => `<span>${part}</span>`).join(" · ")}</div>`;
  }

  choose(token) {
    if (this.places[token]) this.chosen = token;
    this.showWords();
  }

  showWords() {
    const { tokenizer } = this.session;
    const shown = !this.words.hidden && this.places.length;
    this.surface.update(shown ? nextWordBars(tokenizer, this.places, this.chosen, this.name) : "");
  }
}
