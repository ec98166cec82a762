/** The page: one dialogue, three lanes that answer, and the views that show what happened. */

const find = (selector) => document.querySelector(selector);
const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

class Playground {
  constructor() {
    this.tokenizer = new Tokenizer(SHIPPED.tokenizer.ranks, SHIPPED.tokenizer.about);
    this.models = Object.fromEntries(
      Object.entries(SHIPPED.models).map(([name, weights]) => {
        return [name, new GPT(bytesOf(weights))];
      }),
    );
    this.state = readState(location.hash);
    this.lanes = [];
    this.editing = null; // the turn whose message is in the box, to be changed
    this.views = {
      film: new FilmView(find("#film"), this),
      mask: new MaskView(find("#mask"), this),
      attention: new AttentionView(find("#attention"), this),
    };
    this.write();
    this.listen();
    this.warmUp();
    this.replay();
    this.tour = new Tour(this);
  }

  // -- what all views ask ----------------------------------------------------------------------------

  get focused() {
    return this.lanes.find(({ name }) => name === this.state.focus);
  }

  /** The focused lane's conversation, token by token. */
  get dialogue() {
    return this.shown;
  }

  /** The token that reads in the maps. */
  get row() {
    return Math.min(Math.max(Math.trunc(this.state.row), 0), Math.max(this.dialogue.length - 1, 0));
  }

  /** Whether the reader wants no motion. */
  get calm() {
    return matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  // -- changes ---------------------------------------------------------------------------------------

  /** Show something else; whoever talks is not disturbed. */
  set(changes) {
    Object.assign(this.state, changes);
    this.show();
  }

  /** Talk in another way: everything that was said is said again. */
  setTalk(changes) {
    Object.assign(this.state, changes);
    this.replay();
  }

  /** Another text for the message of a turn; -1 is the system prompt. */
  change(turn, text) {
    const trimmed = text.trim();
    if (turn < 0) return this.setTalk({ system: trimmed });
    const say = [...this.state.say];
    if (trimmed) say[turn] = trimmed;
    else say.splice(turn); // without its question, what follows has no sense
    return this.setTalk({ say });
  }

  // -- talking ---------------------------------------------------------------------------------------

  /** A script is slow at first, while it is compiled: let no lane's clock run then. */
  warmUp() {
    for (const name of [...LANES, ...LANES]) {
      const session = new ChatSession(this.models[name], this.tokenizer, MASKS[name]);
      session.send(SHIPPED.opening[0], { maxNewTokens: 8 });
    }
  }

  makeLanes() {
    for (const { surface } of this.lanes) surface.remove(); // or the page, to which it listens, would keep it
    const { weights } = this.state;
    const made = (name) => {
      const whose = weights || name;
      const on = { pick: () => this.set({ focus: name }), edit: (turn) => this.edit(turn) };
      return new Lane(name, this.models[whose], whose, this.tokenizer, this.state.system, on);
    };
    try {
      this.lanes = LANES.map(made);
    } catch (error) {
      this.complain(`${error.message}; it was left out`);
      this.state.system = "";
      this.lanes = LANES.map(made);
    }
    find("#lanes").replaceChildren(...this.lanes.map(({ box }) => box));
  }

  /** Start over, and say everything again, at once. */
  replay() {
    this.finish();
    this.complain("");
    this.makeLanes();
    const texts = this.state.say;
    this.state.say = [];
    for (const text of texts) if (this.begin(text)) this.finish();
    this.update();
  }

  /** Say something; the answers appear token by token, a token a lane in each frame. */
  async send(text) {
    this.finish();
    this.complain("");
    if (!text.trim() || !this.begin(text.trim())) return;
    this.note(this.tokenizer.normalised(text));
    this.edit(null);
    const answering = (this.answering = {});
    for (let writing; (writing = this.lanes.filter((lane) => lane.writing)).length; ) {
      for (const lane of writing) lane.write();
      if (this.calm) continue;
      for (const lane of writing) lane.showWriting();
      for (const lane of writing) lane.follow();
      this.views.film.follow();
      await nextFrame();
      if (this.answering !== answering) return; // something else was said in the meantime
    }
    this.update();
  }

  begin(text) {
    const { temperature, seed, say } = this.state;
    try {
      const needed = Math.min(...this.lanes.map(({ session }) => session.room));
      if (this.tokenizer.encodeMessage({ role: "user", content: text }).length + SHORTEST_ANSWER > needed) {
        throw new RangeError("the message does not fit into what is left of the context: shorten it, or start over");
      }
      for (const lane of this.lanes) lane.begin(text, { temperature, seed: seed + say.length });
    } catch (error) {
      this.complain(error.message);
      return false;
    }
    say.push(text);
    return true;
  }

  /** Let all lanes end what they are writing, without showing each token. */
  finish() {
    this.answering = null;
    for (const lane of this.lanes) while (lane.writing) lane.write();
  }

  /** Put the message of a turn into the box, to be changed; null puts nothing there. */
  edit(turn) {
    this.editing = turn;
    const box = find("#message");
    find("#say").classList.toggle("editing", turn !== null);
    const changing = `Change message ${turn + 1}, and hear all answers anew`;
    find("#say-label").textContent = turn === null ? "Say something to all three" : changing;
    find("#send").textContent = turn === null ? "Send" : "Change";
    box.value = turn === null ? "" : this.state.say[turn];
    if (turn !== null) box.focus();
  }

  // -- showing ---------------------------------------------------------------------------------------

  /** What was said has changed. */
  update() {
    this.show();
    this.views.film.update();
    const told = this.lanes.map(({ name, costs }) => {
      const last = costs.at(-1);
      return last && `${name} kept ${last.reused}, read ${last.prefilled} and took ${milliseconds(last.firstToken)}`;
    });
    const turn = this.state.say.length;
    find("#report").textContent = turn ? `Turn ${turn}, before the first word: ${told.join("; ")}.` : "";
  }

  /** What is shown has changed. */
  show() {
    const { state } = this;
    this.shown = tokenized(this.focused.session);
    this.showTalk();
    for (const tab of document.querySelectorAll("[role=tab]")) {
      const chosen = tab.dataset.view === state.view;
      tab.setAttribute("aria-selected", chosen);
      tab.tabIndex = chosen ? 0 : -1;
      find(`#${tab.dataset.view}`).hidden = !chosen;
    }
    find("#weights").value = state.weights;
    find("#temperature").value = state.temperature;
    find("#temperature-now").textContent = state.temperature ? state.temperature.toFixed(1) : "0, always the likeliest";
    find("#seed").value = state.seed;
    find("#words").checked = Boolean(state.words);
    if (document.activeElement !== find("#system")) find("#system").value = state.system;
    for (const view of Object.values(this.views)) view.draw();
    const address = writeState(state);
    const plain = location.pathname + location.search;
    if (`#${location.hash.slice(1)}` !== address) history.replaceState(null, "", address === "#" ? plain : address);
  }

  showTalk() {
    for (const lane of this.lanes) lane.show(lane.name === this.state.focus, Boolean(this.state.words));
    for (const lane of this.lanes) lane.follow();
    for (const button of document.querySelectorAll("#lane-tabs button")) {
      button.setAttribute("aria-pressed", button.value === this.state.focus);
    }
  }

  complain(text) {
    find("#complaint").textContent = text ? `⚠ ${text}` : "";
  }

  /** A remark about the first words that are hard to copy: hard_words in topics.py, and why. */
  note(text) {
    const hard = text.split(/\s+/).flatMap((spelled) => {
      const word = spelled.replace(/^[!-/:-@[-`{-~]+|[!-/:-@[-`{-~]+$/g, "");
      const count = this.tokenizer.encode(` ${word}`).length;
      if (!/^[\p{Script=Latin}\d!-/:-@[-`{-~]*$/u.test(word)) return [`“${word}” ${SHIPPED.hard.unread}`];
      if (/^\p{Lu}{3,}$/u.test(word)) return [`“${word}” ${SHIPPED.hard.capitals}`];
      return word && count >= SHIPPED.many_pieces ? [`“${word}” ${SHIPPED.hard.long.replace("{count}", count)}`] : [];
    });
    const remark = `The models may misspell this: ${hard.slice(0, 3).join("; ")}.`;
    find("#note").textContent = hard.length ? remark : "";
  }

  // -- what stands on the page -----------------------------------------------------------------------

  /** The texts that come from the package. */
  write() {
    find("#about").textContent = SHIPPED.about;
    const chip = (text) => `<button type="button" class="chip">${escape(text)}</button>`;
    find("#chips").innerHTML = SHIPPED.examples.map(chip).join("");
    const lists = Object.entries(SHIPPED.words).map(([title, words]) => {
      return `<p><b>${title}</b> (${words.length}): ${escape(words.join(", "))}</p>`;
    });
    find("#known").innerHTML = `<p>${escape(SHIPPED.names)}</p>${lists.join("")}`;
    const tab = (name) => `<button type="button" value="${name}">${name}</button>`;
    find("#lane-tabs").innerHTML = LANES.map(tab).join("");
    find("#weights").innerHTML =
      '<option value="">three models, each under its own mask</option>' +
      LANES.map((name) => `<option value="${name}">${name}’s weights under all three masks</option>`).join("");
  }

  listen() {
    const on = (selector, kind, handler) => find(selector).addEventListener(kind, handler);
    on("#say", "submit", (event) => {
      event.preventDefault();
      const [text, turn] = [find("#message").value, this.editing];
      if (turn === null) this.send(text);
      else {
        this.edit(null);
        this.change(turn, text);
      }
    });
    on("#message", "keydown", ({ key }) => key === "Escape" && this.edit(null));
    on("#chips", "click", ({ target }) => target.matches(".chip") && this.send(target.textContent));
    on("#lane-tabs", "click", ({ target }) => target.value && this.set({ focus: target.value }));
    on("#weights", "change", ({ target }) => this.setTalk({ weights: target.value }));
    on("#temperature", "change", ({ target }) => this.setTalk({ temperature: Number(target.value) }));
    on("#seed", "change", ({ target }) => this.setTalk({ seed: Math.trunc(Number(target.value)) || 0 }));
    on("#system", "change", ({ target }) => this.setTalk({ system: target.value.trim() }));
    on("#words", "change", ({ target }) => this.set({ words: target.checked ? 1 : 0 }));
    on("#again", "click", () => this.setTalk({ say: [] }));
    on("#tabs", "click", ({ target }) => target.dataset.view && this.set({ view: target.dataset.view }));
    on("#tabs", "keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (!step) return;
      this.set({ view: VIEWS.at((VIEWS.indexOf(this.state.view) + step) % VIEWS.length) });
      find(`[data-view=${this.state.view}]`).focus();
    });
    on("#theme", "click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
    on("#share", "click", () => this.share());
    addEventListener("hashchange", () => {
      this.state = readState(location.hash);
      this.replay();
    });
    let width = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth !== width) this.show(); // a phone's keyboard changes the height alone
      width = innerWidth;
    });
  }

  async share() {
    let said = "Link copied";
    try {
      await navigator.clipboard.writeText(location.href);
    } catch {
      said = "Copy it from the address bar";
    }
    find("#share span").textContent = said;
    setTimeout(() => (find("#share span").textContent = "Copy link"), 2000);
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // a browser that keeps nothing forgets this, too
  }
}

/** Once the page is painted, for this takes a moment. */
function start() {
  try {
    new Playground();
  } catch (error) {
    find("#complaint").textContent = `⚠ The models could not be started: ${error.message}`;
    throw error;
  } finally {
    find("#loading").remove();
  }
}

requestAnimationFrame(() => setTimeout(start));
