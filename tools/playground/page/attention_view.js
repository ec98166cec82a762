/** The attention map: any head of the focused lane's model, under any mask, and what changes against another. */

class AttentionView {
  constructor(host, app) {
    Object.assign(this, { app, records: new Map() });
    const part = (name) => host.querySelector(`[data-part="${name}"]`);
    const names = ["status", "under", "minus", "complaint", "map", "whose"];
    [this.status, this.under, this.minus, this.complaint, this.host, this.whose] = names.map(part);
    this.map = mount(this.host, "", (pick) => app.set({ row: pick.row ?? pick.column }));
    this.heads = mount(part("heads"), "", ({ layer, head }) => app.set({ layer, head }));
    this.under.addEventListener("change", () => app.set({ under: this.under.value }));
    this.minus.addEventListener("change", () => app.set({ minus: this.minus.value }));
  }

  /** What the model's heads do under a rule; computed once for each dialogue. */
  record(rule) {
    const { session, whose } = this.app.focused;
    const key = JSON.stringify([whose, rule, this.app.dialogue.tokens]);
    if (!this.records.has(key)) {
      if (this.records.size > 5) this.records.clear();
      this.records.set(key, readAttention(session.model, this.app.dialogue, readMask(rule)));
    }
    return this.records.get(key);
  }

  offer() {
    const { state, focused } = this.app;
    const own = state.rule && !LANES.includes(state.rule) ? [[state.rule, `the map’s rule: ${state.rule}`]] : [];
    const masks = [...LANES.map((name) => [name, name]), ["bidirectional", "bidirectional"], ...own];
    const options = (chosen, first) => {
      const known = masks.some(([rule]) => rule === chosen || !chosen);
      const offered = [["", first], ...masks, ...(known ? [] : [[chosen, chosen]])];
      const option = ([rule, name]) => {
        return `<option value="${escape(rule)}" ${rule === chosen ? "selected" : ""}>${escape(name)}</option>`;
      };
      return offered.map(option).join("");
    };
    this.under.innerHTML = options(state.under, `${focused.name}, the lane’s own`);
    this.minus.innerHTML = options(state.minus, "nothing");
  }

  draw() {
    const { state, dialogue, focused, row } = this.app;
    if (state.view !== "attention") return;
    this.offer();
    this.whose.textContent = `${focused.whose}’s weights, on the conversation of the lane ${focused.name}`;
    if (!dialogue.length) return;
    try {
      this.complaint.textContent = "";
      this.show(state, dialogue, row);
    } catch (error) {
      this.complaint.textContent = `⚠ ${error.message}`;
    }
  }

  show(state, dialogue, row) {
    const rule = state.under || this.app.focused.name;
    const own = this.record(rule);
    const other = state.minus ? this.record(state.minus) : null;
    const layers = own.attentions.map((layer, n) => {
      return other ? layer.map((value, i) => value - other.attentions[n][i]) : layer;
    });
    const { heads } = this.app.focused.session.model.config;
    const layer = Math.min(Math.max(Math.trunc(state.layer), 0), layers.length - 1);
    const head = Math.min(Math.max(Math.trunc(state.head), 0), heads - 1);
    const [total, width] = [dialogue.length, Math.min(roomIn(this.host), 680)];
    const values = layers[layer].subarray(head * total * total, (head + 1) * total * total);
    const compared = other ? `${rule} minus ${state.minus}` : rule;
    const title = `Layer ${layer + 1}, head ${head + 1} under ${compared}`;
    const shown = (q, kv) => own.allowed.get(q, kv) || other?.allowed.get(q, kv);
    const all = `All ${layers.length * heads} heads under ${compared}`;
    this.heads.update(attentionHeads(layers, heads, shown, total, { layer, head }, Boolean(other), all));
    this.map.update(attentionMap(values, own.allowed, other?.allowed, dialogue, row, width, title));
    const words = describeAttention(values.subarray(row * total, (row + 1) * total), dialogue, row, Boolean(other));
    this.status.textContent = `${title}. ${words}.`;
  }
}
