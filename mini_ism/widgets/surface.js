/**
 * One front end for all pictures: what lies under the mouse lights up, says what it is, and can be chosen.
 *
 * `mount(host, html, onPick)` works on any page; `render`, at the end, is all that anywidget needs. Python draws, and
 * marks up what answers (see surface.py): `data-grid`, `data-pick`, `data-drag`, `<title>` and `title=`. What lights up
 * and what the tooltip says is found here, without asking Python; `onPick` is called with what was chosen.
 */

const SVG = "http://www.w3.org/2000/svg";
const STEPS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const MARGIN = 24; // pixels beside what is scrolled to
const HINT = "Arrow keys move, Enter chooses.";

/** A matrix in a picture: a `<g data-grid>` whose origin is the upper left corner of the cell in row 0, column 0. */
class Grid {
  constructor(group) {
    const { cell, names, phrases, runs, row } = JSON.parse(group.dataset.grid);
    Object.assign(this, { group, cell, names, phrases, size: names.length, chosen: row });
    this.codes = new Uint16Array(this.size ** 2); // which phrase each cell has, row by row
    for (let i = 0, start = 0; i < runs.length; i += 2) {
      const stop = start + runs[i + 1];
      this.codes.fill(runs[i], start, stop);
      start = stop;
    }
  }

  /** The place under a point of the window; beside the grid a row alone, above it a column alone, elsewhere nothing. */
  at(x, y) {
    const point = new DOMPoint(x, y).matrixTransform(this.group.getScreenCTM().inverse());
    const [column, row] = [point.x, point.y].map((length) => Math.floor(length / this.cell));
    if (row >= this.size || column >= this.size || (row < 0 && column < 0)) return null;
    return { row: row < 0 ? null : row, column: column < 0 ? null : column };
  }

  has(place) {
    return [place.row, place.column].every((index) => index === null || index < this.size);
  }

  /** What there is to say about a place. */
  describe({ row, column }) {
    if (row === null) return this.names[column];
    if (column === null) return this.group.querySelectorAll(".mi-row")[row]?.dataset.tip ?? this.names[row];
    const names = { row: this.names[row], column: this.names[column] };
    const phrase = this.phrases[this.codes[row * this.size + column]];
    return phrase.replace(/\{(row|column)\}/g, (_, name) => names[name]);
  }

  /** Light a row, a column, the cell where they meet, and their labels. */
  light({ row, column }) {
    const side = this.size * this.cell;
    const band = (kind, x, y, width, height) => {
      const rect = document.createElementNS(SVG, "rect");
      Object.entries({ class: kind, x, y, width, height }).forEach(([name, value]) => rect.setAttribute(name, value));
      return rect;
    };
    const [x, y] = [column * this.cell, row * this.cell];
    const bands = [];
    if (row !== null) bands.push(band("mi-band", 0, y, side, this.cell));
    if (column !== null) bands.push(band("mi-band", x, 0, this.cell, side));
    if (bands.length === 2) {
      bands.push(band("mi-cell-paper", x, y, this.cell, this.cell), band("mi-cell-ink", x, y, this.cell, this.cell));
    }
    const lights = document.createElementNS(SVG, "g");
    lights.setAttribute("class", "mi-lights");
    lights.append(...bands);
    this.group.append(lights);
    for (const label of this.group.querySelectorAll(`[data-row="${row}"],[data-column="${column}"]`)) {
      label.classList.add("mi-lit");
    }
  }

  /** The screen's coordinates of a place's middle, for a tooltip that no mouse has placed. */
  middle({ row, column }) {
    return new DOMPoint((column + 0.5) * this.cell, (row + 0.5) * this.cell).matrixTransform(this.group.getScreenCTM());
  }
}

/** What an element with `data-pick` says when it is chosen: its `data-` attributes, whole numbers as numbers. */
function pickOf(element) {
  const { tip, drag, ...data } = element.dataset;
  return Object.fromEntries(Object.entries(data).map(([key, v]) => [key, /^-?\d{1,15}$/.test(v) ? Number(v) : v]));
}

/** The nearest other element in a direction, by the middles of their boxes. */
function neighbour(from, elements, [dx, dy]) {
  const middle = (element) => {
    const box = element.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  const [x, y] = middle(from);
  let best = from;
  let least = Infinity;
  for (const element of elements) {
    const [ex, ey] = middle(element);
    const along = (ex - x) * dx + (ey - y) * dy;
    const across = Math.abs((ex - x) * dy) + Math.abs((ey - y) * dx);
    if (along > 1 && along + 3 * across < least) [best, least] = [element, along + 3 * across];
  }
  return best;
}

class Surface {
  constructor(host, html, onPick) {
    Object.assign(this, { host, onPick, grid: null, place: null, lit: null, dragged: null });
    host.classList.add("mi-surface");
    host.dataset.lmSuppressShortcuts = "true"; // or the arrow keys would move through JupyterLab's cells
    [this.stage, this.live, this.tip] = ["mi-stage", "mi-live", "mi-tip"].map((kind) => {
      const part = document.createElement("div");
      part.className = kind;
      return part;
    });
    this.live.setAttribute("aria-live", "polite");
    this.tip.setAttribute("aria-hidden", "true"); // a screen reader hears the live region instead
    host.append(this.stage, this.live);
    const listen = (kind, handler) => host.addEventListener(kind, handler.bind(this));
    listen("pointermove", this.onMove);
    listen("pointerdown", this.onDown);
    listen("pointerup", this.onUp);
    listen("pointercancel", this.onUp);
    listen("pointerleave", this.onLeave);
    listen("click", this.onClick);
    listen("keydown", this.onKey);
    listen("blur", this.clear);
    listen("scroll", this.stay);
    this.elsewhere = (event) => host.contains(event.target) || this.clear();
    document.addEventListener("pointerdown", this.elsewhere);
    this.resized = new ResizeObserver(() => requestAnimationFrame(() => this.fit()));
    this.resized.observe(host);
    this.update(html);
  }

  /** Show another picture; what was lit stays lit, if it is still there. */
  update(html) {
    const { place } = this;
    const key = this.lit && JSON.stringify(pickOf(this.lit));
    this.stage.innerHTML = html;
    for (const title of this.stage.querySelectorAll("svg title")) {
      if (title.parentNode.tagName !== "svg") title.parentNode.dataset.tip = title.textContent;
      title.remove(); // the browser's own tooltip comes late, and never to a finger
    }
    for (const element of this.stage.querySelectorAll("[title]")) {
      element.dataset.tip = element.title;
      element.removeAttribute("title");
    }
    const group = this.stage.querySelector("[data-grid]");
    this.grid = group && new Grid(group);
    this.picks = [...this.stage.querySelectorAll("[data-pick]")];
    this.place = this.lit = null;
    const same = key && this.picks.find((element) => JSON.stringify(pickOf(element)) === key);
    if (place && this.grid?.has(place)) this.lightPlace(place);
    else if (same) this.lightElement(same);
    const words = this.place ? this.grid.describe(this.place) : this.lit?.dataset.tip;
    if (words) this.tip.textContent = words; // where it is; it may be hidden
    else this.say("");
    this.fit();
  }

  /** Scroll if the picture is wider than its box, to where something has changed; the page stays where it is. */
  fit() {
    const { host, stage } = this;
    this.scrolls = stage.scrollWidth > host.clientWidth + 1;
    host.classList.toggle("mi-scrolls", this.scrolls);
    const touched = [...stage.querySelectorAll(".mi-touched")].map((part) => part.getBoundingClientRect());
    if (touched.length) this.reveal(Math.min(...touched.map((b) => b.left)), Math.max(...touched.map((b) => b.right)));
    this.stay();
    this.name();
  }

  /** What says whose a line is stays in sight, however far the line is scrolled. */
  stay() {
    for (const part of this.stage.querySelectorAll(".mi-stay")) {
      part.setAttribute("transform", `translate(${this.host.scrollLeft / part.getScreenCTM().a})`);
    }
  }

  /** Scroll to what lies between two places of the window; if that is too wide, to its end. */
  reveal(left, right) {
    const frame = this.host.getBoundingClientRect();
    const back = Math.min(left - MARGIN - frame.left, 0);
    this.host.scrollLeft += Math.max(back, right + MARGIN - frame.right);
  }

  /** One tab stop if anything can be chosen or it scrolls, else none; its name is what the picture says it shows. */
  name() {
    const answers = this.grid || this.picks.length;
    const shown = [...this.stage.querySelectorAll("[aria-label]")].map((part) => part.getAttribute("aria-label"));
    const [role, hint] = answers ? ["application", HINT] : ["group", "Arrow keys scroll."];
    const attributes = { tabindex: "0", role, "aria-label": `${shown.join("; ")}. ${hint}` };
    for (const [name, value] of Object.entries(attributes)) {
      if (answers || this.scrolls) this.host.setAttribute(name, value);
      else this.host.removeAttribute(name);
    }
  }

  remove() {
    this.resized.disconnect();
    document.removeEventListener("pointerdown", this.elsewhere);
    this.tip.remove();
    this.host.replaceChildren();
  }

  // -- light and words ---------------------------------------------------------------------------

  clear() {
    this.darken();
    this.say("");
  }

  darken() {
    this.stage.querySelector(".mi-lights")?.remove();
    for (const element of this.stage.querySelectorAll(".mi-lit")) element.classList.remove("mi-lit");
    this.place = this.lit = null;
  }

  lightPlace(place) {
    this.darken();
    this.place = place;
    this.grid.light(place);
  }

  lightElement(element) {
    this.darken();
    this.lit = element ?? null;
    element?.classList.add("mi-lit");
  }

  /** A tooltip beside a point of the window; "" takes it away. */
  say(text, x = 0, y = 0) {
    if (!text) {
      this.tip.remove();
      return;
    }
    this.tip.textContent = text;
    document.body.append(this.tip); // nothing on the way there can clip it
    const { offsetWidth: width, offsetHeight: height } = this.tip;
    const { clientWidth, clientHeight } = document.documentElement;
    const left = x + 14 + width > clientWidth ? x - width - 10 : x + 14;
    const top = y + 18 + height > clientHeight ? y - height - 10 : y + 18;
    Object.assign(this.tip.style, { left: `${Math.max(left, 4)}px`, top: `${Math.max(top, 4)}px` });
  }

  // -- mouse and touch ---------------------------------------------------------------------------

  /** The place in the grid that an event points at, or null. */
  placeOf(event) {
    return this.grid && event.target.closest("svg")?.contains(this.grid.group)
      ? this.grid.at(event.clientX, event.clientY)
      : null;
  }

  onMove(event) {
    if (this.dragged) {
      this.drag(event);
      return;
    }
    const place = this.placeOf(event);
    if (place) {
      if (place.row !== this.place?.row || place.column !== this.place?.column) this.lightPlace(place);
      this.say(this.grid.describe(place), event.clientX, event.clientY);
      return;
    }
    const pick = event.target.closest("[data-pick]");
    if (this.place || pick !== this.lit) this.lightElement(pick);
    this.say(event.target.closest("[data-tip]")?.dataset.tip, event.clientX, event.clientY);
  }

  onDown(event) {
    if (this.host.tabIndex === 0) this.host.focus({ preventScroll: true });
    const group = event.target.closest("[data-drag]");
    if (group && event.button === 0) {
      this.dragged = { group: group.dataset.drag, last: "" };
      this.host.setPointerCapture(event.pointerId);
      this.drag(event);
    } else {
      this.onMove(event); // a finger's first touch
    }
  }

  /** Choose each element of the dragged kind that the pointer passes. */
  drag(event) {
    const element = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-pick]");
    if (!this.stage.contains(element) || element.closest("[data-drag]")?.dataset.drag !== this.dragged.group) return;
    const pick = pickOf(element);
    if (JSON.stringify(pick) === this.dragged.last) return;
    this.dragged.last = JSON.stringify(pick);
    this.lightElement(element);
    this.say(element.dataset.tip, event.clientX, event.clientY);
    this.onPick(pick);
  }

  onUp() {
    this.dragged = null;
  }

  onLeave(event) {
    if (event.pointerType !== "touch") this.clear(); // what a finger has lit stays until it touches something else
  }

  onClick(event) {
    const place = this.placeOf(event);
    const element = event.target.closest("[data-pick]");
    if (place) this.onPick({ pick: "grid", ...place });
    else if (element && !element.closest("[data-drag]")) this.onPick(pickOf(element)); // a drag has said so already
  }

  // -- keyboard ----------------------------------------------------------------------------------

  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const step = STEPS[event.key];
    if (event.key === "Escape") this.say("");
    else if (step && this.grid) this.movePlace(step);
    else if (step && this.picks.length) this.moveElement(step);
    else if (event.key === "Enter" || event.key === " ") this.choose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  movePlace([dx, dy]) {
    const start = this.grid.chosen ?? 0; // the keyboard begins at the chosen row's own cell
    const within = (index) => Math.min(Math.max(index, 0), this.grid.size - 1);
    const place = {
      row: within((this.place?.row ?? start) + dy),
      column: within((this.place?.column ?? start) + dx),
    };
    this.lightPlace(place);
    const { x, y } = this.grid.middle(place);
    this.announce(this.grid.describe(place), x, y);
  }

  moveElement(step) {
    const chosen = this.picks.find((element) => element.hasAttribute("aria-current"));
    const from = this.lit ?? chosen;
    const element = from ? neighbour(from, this.picks, step) : this.picks[0];
    this.lightElement(element);
    const { left, right } = element.getBoundingClientRect();
    this.reveal(left, right);
    const box = element.getBoundingClientRect();
    this.announce(element.dataset.tip ?? element.textContent, box.left + box.width / 2, box.top + box.height / 2);
    if (element.closest("[data-drag]")) this.onPick(pickOf(element)); // keys scrub, too
  }

  announce(text, x, y) {
    this.say(text, x, y);
    this.live.textContent = text;
  }

  choose() {
    if (this.grid && this.place) this.onPick({ pick: "grid", ...this.place });
    else if (this.lit) this.onPick(pickOf(this.lit));
  }
}

/**
 * Show a picture in an element, and let it answer.
 *
 * @param {HTMLElement} host an empty element
 * @param {string} html the picture: SVG or HTML whose text is escaped
 * @param {(pick: object) => void} onPick called with `{pick: ..., and the other data- attributes}`
 * @returns {{update: (html: string) => void, remove: () => void}}
 */
export function mount(host, html, onPick) {
  return new Surface(host, html, onPick);
}

export default {
  render({ model, el }) {
    const host = document.createElement("div");
    el.append(host);
    const surface = mount(host, model.get("value"), (pick) => {
      // A count makes the same pick twice two events; while Python is busy only the newest is kept, as of a slider.
      model.set("event", { ...pick, count: (model.get("event").count ?? 0) + 1 });
      model.save_changes();
    });
    const update = () => surface.update(model.get("value"));
    model.on("change:value", update);
    return () => {
      model.off("change:value", update);
      surface.remove();
    };
  },
};
