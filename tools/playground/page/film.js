/** The cache film: what each lane's cache kept, read, wrote and threw away, step by step, and what each turn cost. */

const STEP_TIME = 260; // milliseconds

class FilmView {
  constructor(host, app) {
    Object.assign(this, { app, film: null, now: 0, timer: null });
    const part = (name) => host.querySelector(`[data-part="${name}"]`);
    [this.status, this.table, this.playButton] = ["status", "table", "play"].map(part);
    const go = ({ step }) => this.go(step);
    this.scrubber = mount(part("scrubber"), "", go);
    this.strip = mount(part("strip"), "", go);
    this.host = part("strip");
    this.playButton.addEventListener("click", () => (this.timer ? this.stop() : this.play()));
    part("back").addEventListener("click", () => this.go(this.now - 1));
    part("forward").addEventListener("click", () => this.go(this.now + 1));
  }

  /** The conversations have changed: show how they stand now. */
  update() {
    this.stop();
    this.film = null;
    this.draw();
  }

  /** An answer is being written: show the caches, and leave the rest until it is finished. */
  follow() {
    this.stop();
    this.film = null;
    if (this.app.state.view !== "film") return;
    this.read();
    this.drawStrip();
  }

  read() {
    const { lanes } = this.app;
    this.film = frames(Object.fromEntries(lanes.map(({ name, session }) => [name, session.trace])));
    this.dialogues = Object.fromEntries(lanes.map(({ name, session }) => [name, tokenized(session)]));
    this.most = Math.max(...Object.values(this.film.at(-1).lanes).map(({ computed }) => computed));
    this.now = this.film.length - 1;
  }

  draw() {
    if (this.app.state.view !== "film") {
      this.stop();
      return;
    }
    if (!this.film) this.read();
    this.drawStrip();
    this.scrubber.update(cacheScrubber(this.film, this.now));
    this.status.textContent = describeFrame(this.film[this.now]);
    this.table.innerHTML = this.costs();
  }

  drawStrip() {
    const [frame, width] = [this.film[this.now], roomIn(this.host)];
    this.strip.update(cacheStrip(frame, this.dialogues, this.app.state.focus, this.most, width));
  }

  go(step) {
    this.stop();
    this.now = Math.min(Math.max(step, 0), this.film.length - 1);
    this.draw();
  }

  play() {
    if (this.now >= this.film.length - 1) this.now = 0;
    this.timer = setInterval(() => {
      this.now++;
      this.draw();
      if (this.now >= this.film.length - 1) this.stop();
    }, STEP_TIME);
    this.status.setAttribute("aria-live", "off"); // not a sentence each quarter of a second
    this.label("Pause", "❚❚");
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.status.setAttribute("aria-live", "polite");
    this.label("Play", "▶");
  }

  label(name, sign) {
    this.playButton.innerHTML = `<span aria-hidden="true">${sign}</span> ${name}`;
  }

  /** What each turn cost each lane, as a table: the film in numbers. */
  costs() {
    const lanes = this.app.lanes.map((lane) => [lane.name, lane.costs]);
    const all = lanes.flatMap(([, costs]) => costs);
    const most = Math.max(1, ...all.map((cost) => cost.reused + cost.prefilled + cost.decoded));
    const turns = [...new Set(all.map(({ turn }) => turn))].sort((a, b) => a - b);
    const rows = turns.flatMap((turn) =>
      lanes.map(([name, costs], n) => {
        const cost = costs.find((each) => each.turn === turn);
        if (!cost) return "";
        const counts = [["reused", cost.reused], ["computed", cost.prefilled], ["decoded", cost.decoded]];
        const bars = counts.map(([state, count]) => {
          return `<i class="${state}" style="width:${round((100 * count) / most)}%"></i>`;
        });
        const numbers = [cost.reused, cost.prefilled, cost.decoded, cost.discarded, milliseconds(cost.firstToken)];
        numbers.push(milliseconds(cost.milliseconds), `${(cost.kvBytes / 1000).toFixed(1)} kB`);
        const head = n ? "" : `<th scope="rowgroup" rowspan="${lanes.length}">${turn}</th>`;
        const cells = numbers.map((number) => `<td>${number}</td>`).join("");
        return `<tr>${head}<th scope="row">${name}</th><td class="stack">${bars.join("")}</td>${cells}</tr>`;
      }),
    );
    const titles = ["Turn", "Mask", "Positions", "kept", "read", "written", "thrown away"];
    const timed = ["first word", "whole turn", "cache"];
    const head = [...titles, ...timed].map((title) => `<th scope="col">${title}</th>`).join("");
    const caption = "<caption>What each turn cost, measured on your machine</caption>";
    return `<table>${caption}<thead><tr>${head}</tr></thead><tbody>${rows.join("")}</tbody></table>`;
  }
}
