/** The mask map: a rule on the focused lane's dialogue, whose messages can be edited, and its segments turned. */

const READING = { "both ways": "⇄", backwards: "←", partly: "⤺" };

class MaskView {
  constructor(host, app) {
    this.app = app;
    const part = (name) => host.querySelector(`[data-part="${name}"]`);
    const names = ["status", "facts", "preset", "rule", "complaint", "segments", "map"];
    [this.status, this.facts, this.preset, this.rule, this.complaint, this.segments, this.host] = names.map(part);
    const presets = Object.entries(SHIPPED.presets).map(([name, rule]) => {
      return `<option value="${escape(rule)}">${escape(name)}</option>`;
    });
    this.preset.innerHTML =
      `<option value="">the lane’s own</option>${presets.join("")}<option disabled>your own rule</option>`;
    const choose = (pick) => app.set({ row: pick.token ?? pick.row ?? pick.column });
    this.map = mount(this.host, "", choose);
    this.strip = mount(part("strip"), "", choose);
    this.preset.addEventListener("change", () => app.set({ rule: this.preset.value }));
    this.rule.addEventListener("input", () => app.set({ rule: this.rule.value.trim() }));
    this.segments.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-segment]");
      if (button) this.turn(Number(button.dataset.segment), button.getAttribute("aria-checked") !== "true");
    });
    this.segments.addEventListener("change", ({ target }) => app.change(Number(target.dataset.message), target.value));
  }

  draw() {
    const { app } = this;
    if (app.state.view !== "mask") return;
    const lane = app.focused;
    const rule = app.state.rule || lane.name;
    if (document.activeElement !== this.rule) this.rule.value = rule;
    const options = [...this.preset.options];
    const preset = options.find((option) => !option.disabled && option.value === app.state.rule);
    this.preset.selectedIndex = preset ? preset.index : options.length - 1;
    let [mask, allowed] = [null, null];
    const dialogue = app.dialogue;
    try {
      mask = readMask(rule);
      allowed = mask.dense(dialogue.segments);
      this.complaint.textContent = "";
    } catch (error) {
      this.complaint.textContent = `⚠ ${error.message}`;
      return; // what is shown stays
    }
    const row = app.row;
    const width = Math.min(roomIn(this.host), 680);
    this.map.update(dialogue.length ? maskMap(allowed, dialogue, row, width, `Mask ${rule}`) : "");
    this.strip.update(dialogue.length ? rowStrip(allowed, dialogue, row) : "");
    this.status.textContent = dialogue.length ? `${describeRow(allowed, dialogue, row)}.` : "Say something first.";
    this.facts.innerHTML = this.counted(mask, allowed, dialogue);
    this.showSegments(allowed, dialogue);
  }

  counted(mask, allowed, dialogue) {
    const [total, pairs] = [dialogue.length, sum([...allowed.cells])];
    const coming = this.longer(dialogue.segments, 1);
    const kept = reusable(mask, dialogue.segments, coming);
    const shown = this.app.state.rule || this.app.focused.name;
    const alike = Object.entries(SHIPPED.presets).filter(([, rule]) => {
      return rule !== shown && agree(readMask(rule).dense(dialogue.segments), allowed, () => true);
    });
    const share = percent(pairs / total ** 2 || 0);
    const unread = coming.length - kept;
    const facts = {
      "Visible pairs": `${pairs.toLocaleString("en")} of ${(total ** 2).toLocaleString("en")} (${share})`,
      "When the next question comes": `the cache keeps ${kept} of ${total} positions; ${unread} are to be read`,
      "Same matrix here as": alike.map(([name]) => name).join(" · ") || "none of the presets",
    };
    return Object.entries(facts).map(([name, fact]) => `<dt>${name}</dt><dd>${escape(fact)}</dd>`).join("");
  }

  /** The segments of the dialogue with so many messages more, a question first. */
  longer(s, more) {
    const lengths = stretches(s.id).map(([start, stop]) => {
      return [s.system[start] ? "system" : s.is_query[start] ? "user" : "assistant", stop - start];
    });
    const extra = range(0, more).map((n) => (n % 2 ? ["assistant", 4] : ["user", 8]));
    return segmentsOf([...lengths, ...extra]);
  }

  /** A message's direction was switched: write that into the rule. */
  turn(segment, bothWays) {
    const s = this.app.dialogue.segments;
    const rule = this.app.state.rule || this.app.focused.name;
    const dialogues = [s, this.longer(s, 1), this.longer(s, 3)]; // so that a rule is told from its look-alikes
    try {
      this.app.set({ rule: turned(rule, segment, bothWays, dialogues) });
    } catch (error) {
      this.complaint.textContent = `⚠ this segment cannot be turned: ${error.message}`;
    }
    this.segments.querySelector(`[data-segment="${segment}"]`)?.focus();
  }

  showSegments(allowed, dialogue) {
    const typing = document.activeElement.closest("#mask input[data-message]");
    const { say, system } = this.app.state;
    if (typing && typing.value.trim() !== (say[typing.dataset.message] ?? system)) return; // it is being written
    const reads = directions(allowed, dialogue.segments);
    let turn = 0;
    const rows = this.app.focused.session.messages.map(({ role, content }, n) => {
      const message = role === "system" ? -1 : turn;
      turn += role === "user" ? 1 : 0;
      const text = escape(content);
      const field = `data-message="${message}" maxlength="${MOST_LETTERS}" aria-label="Message ${n + 1}, ${role}"`;
      const shown = role === "assistant" ? `<span class="said">${text}</span>` : `<input value="${text}" ${field}>`;
      const on = reads[n] === "both ways";
      const switched = `role="switch" aria-checked="${on}" aria-label="Message ${n + 1} reads both ways"`;
      const word = `${READING[reads[n]]} ${reads[n]}`;
      const flip =
        `<button type="button" class="flip" data-segment="${n}" ${switched} title="reads ${reads[n]}; click to turn">` +
        `${word}</button>`;
      return `<li class="${role}">${shown}${flip}</li>`;
    });
    this.segments.innerHTML = rows.join("");
    if (typing) this.segments.querySelector(`[data-message="${typing.dataset.message}"]`)?.focus();
  }
}
