/** Several conversations' traces as one film, and a step of it as strips: a lane for each, a cell for each token. */

const BECOMES = { reuse: "reused", prefill: "computed", decode: "decoded", discard: "discarded" };
const INKS = { start: PAPER, keep: colour("reused"), read: colour("computed"), write: colour("decoded") };
const ACTIONS = ["keep", "read", "write"];
const AT_ONCE = 4; // tokens that a lane reads in a step, so that time in the film is work
const STRIPS = { high: 34, gap: 38, top: 8, labels: 84 };

/** The events of one trace by the moment they belong to: "turn/action/part", where a prefill comes in parts. */
function script(trace) {
  const found = new Map();
  const add = (turn, action, part, events) => {
    const key = JSON.stringify([turn, action, part]);
    found.set(key, [...(found.get(key) ?? []), ...events]);
  };
  let waiting = []; // thrown away before the next forward, whichever that is
  let last = [0, 0, -1];
  for (const event of trace) {
    const { turn, phase, start, stop } = event;
    if (phase === "reuse" || phase === "discard") {
      waiting.push(event);
      continue;
    }
    const action = phase === "prefill" ? 1 : 2;
    const parts = phase === "decode" ? [event] : range(start, stop, AT_ONCE).map((from) => {
      return { ...event, start: from, stop: Math.min(from + AT_ONCE, stop) };
    });
    if (action === 1 && waiting.length) add(turn, 0, 0, waiting);
    else if (waiting.length) add(turn, action, last[2] + 1, waiting);
    waiting = [];
    if (last[0] !== turn || last[1] !== action) last = [turn, action, -1];
    for (const part of parts) add(turn, action, ++last[2], [part]);
  }
  return found;
}

/** The steps of several conversations in lockstep; a lane with less to read or to write waits for the others. */
function frames(traces) {
  const scripts = Object.fromEntries(Object.entries(traces).map(([name, trace]) => [name, script(trace)]));
  const keys = new Set(Object.values(scripts).flatMap((found) => [...found.keys()]));
  const moments = [...keys].map((key) => JSON.parse(key)).sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
  const lengths = Object.values(traces).flat().map(({ stop }) => stop);
  const total = lengths.reduce((a, b) => Math.max(a, b), 0);
  let lanes = Object.fromEntries(
    Object.keys(traces).map((name) => [name, { states: new Array(total).fill("waiting"), touched: [], computed: 0 }]),
  );
  const film = [{ turn: 0, action: "start", lanes }];
  for (const moment of moments) {
    lanes = Object.fromEntries(
      Object.entries(lanes).map(([name, { states, computed }]) => {
        const [now, touched] = [[...states], []];
        for (const { phase, start, stop } of scripts[name].get(JSON.stringify(moment)) ?? []) {
          for (const position of range(start, stop)) touched.push([position, (now[position] = BECOMES[phase])]);
          if (phase === "prefill" || phase === "decode") computed += stop - start;
        }
        return [name, { states: now, touched, computed }];
      }),
    );
    film.push({ turn: moment[0], action: ACTIONS[moment[1]], lanes });
  }
  return film;
}

/** A step in words. */
function describeFrame({ turn, action, lanes }) {
  if (action === "start") return "Nothing has been read yet. Press play, or step forward.";
  const doing = {
    keep: "the question arrives: what is still right in the cache?",
    read: "the question is read.",
    write: "the answer is written, a token at a time.",
  };
  const verbs = { reused: "keeps", computed: "reads", decoded: "writes", discarded: "throws away" };
  const deeds = Object.entries(lanes).map(([name, { touched }]) => {
    const counts = Object.entries(verbs).map(([state, verb]) => [verb, touched.filter((t) => t[1] === state).length]);
    const done = counts.filter(([, count]) => count).map(([verb, count]) => `${verb} ${count}`);
    return `${name} ${done.join(" and ") || "has nothing to do"}`;
  });
  const counts = Object.entries(lanes).map(([name, { computed }]) => `${name} ${computed}`);
  return `Turn ${turn}, ${doing[action]} ${deeds.join("; ")}. Tokens computed so far: ${counts.join(", ")}.`;
}

/** How a state looks besides its colour, in the middle of a cell: none is told by its colour alone. */
function stateMark(state, wide, high) {
  const [x, y, arm] = [wide / 2, high / 2, Math.min(wide * 0.32, high * 0.32, 5)];
  const line = (path, stroke, weight) => `<path d="${path}" fill="none" stroke="${stroke}" stroke-width="${weight}"/>`;
  const at = (...numbers) => numbers.map(round).join(" ");
  if (state === "reused") {
    return line(`M${at(x - arm, y)}L${at(x - arm / 3, y + arm)}L${at(x + arm, y - arm)}`, INK, 1.5);
  }
  if (state === "computed") {
    const steps = range(0, Math.ceil(high + wide) + 7, 7);
    return line(steps.map((from) => `M0 ${from}L${at(wide, from - wide)}`).join(""), "#5c3d00", 1);
  }
  if (state === "decoded") {
    return `<circle cx="${at(x)}" cy="${at(y)}" r="${round(Math.min(arm, 2.6))}" fill="${PAPER}"/>`;
  }
  if (state === "discarded") {
    const cross = `M${at(x - arm, y - arm)}l${at(2 * arm, 2 * arm)}m${at(0, -2 * arm)}l${at(-2 * arm, 2 * arm)}`;
    return line(cross, colour("discarded"), 2);
  }
  return "";
}

const stateFill = (state) => (state === "waiting" || state === "discarded" ? PAPER : colour(state));

/** One step of a film; `dialogues` give each lane's tokens their names. */
function cacheStrip(frame, dialogues, focus, most, width) {
  const total = Math.max(frame.lanes[focus].states.length, 1);
  const cell = round(Math.max(Math.min((width - 4) / total, 24), 3));
  const named = cell >= 9;
  const top = STRIPS.top + (named ? STRIPS.labels : 0);
  const full = Math.max(total * cell + 4, Math.min(width, 560));
  const states = Object.keys(SHIPPED.states);
  const patterns = states.map(
    (state) =>
      `<pattern id="mi-${state}" width="${cell}" height="${STRIPS.high}" patternUnits="userSpaceOnUse">` +
      `<rect width="${cell}" height="${STRIPS.high}" fill="${stateFill(state)}"/>` +
      `${stateMark(state, cell, STRIPS.high)}</pattern>`,
  );
  const names = Object.keys(frame.lanes);
  const lanes = names.map((name, n) => {
    const y = top + n * (STRIPS.high + STRIPS.gap) + 24;
    return `<g transform="translate(2 ${y})">${stripLane(name, frame.lanes[name], dialogues[name], cell, most)}</g>`;
  });
  const below = top + names.length * (STRIPS.high + STRIPS.gap);
  const meaning = legend(
    states.map((state) => [
      `<rect width="14" height="14" y="-1" fill="${stateFill(state)}" stroke="${FAINT}" stroke-width=".6"/>` +
        `<svg width="14" height="14" y="-1">${stateMark(state, 14, 14)}</svg>`,
      SHIPPED.states[state],
    ]),
    full,
  );
  const axis = named ? `<g transform="translate(2 ${top})">${stripLabels(dialogues[focus], cell)}</g>` : "";
  const alt = `Cache strips. ${describeFrame(frame)}`;
  const explained = `<g transform="translate(2 ${below})">${meaning.drawn}</g>`;
  const body = `<defs>${patterns.join("")}</defs>${axis}${lanes.join("")}${explained}`;
  return svgDocument(body, alt, full, below + meaning.height);
}

function stripLane(name, { states, touched, computed }, dialogue, cell, most) {
  const cells = stretches(states).map(
    ([start, stop]) =>
      `<rect x="${round(start * cell)}" width="${round((stop - start) * cell)}" height="${STRIPS.high}" ` +
      `fill="url(#mi-${states[start]})"/>`,
  );
  const roles = stretches(dialogue.roles).map(
    ([start, stop]) =>
      `<rect x="${round(start * cell)}" y="-5" width="${round((stop - start) * cell)}" height="4" ` +
      `fill="${colour(dialogue.roles[start])}"/>`,
  );
  const lines = range(0, states.length + 1).map((i) => `M${round(i * cell)} 0V${STRIPS.high}`).join("");
  const side = round(states.length * cell);
  const changed = [...new Set(touched.map(([position]) => position))].sort((a, b) => a - b);
  const outlines = stretches(changed.map((position, n) => position - n)).map(
    ([start, stop]) =>
      `<rect x="${round(changed[start] * cell - 1)}" y="-2" width="${round((stop - start) * cell + 2)}" ` +
      `height="${STRIPS.high + 4}" fill="none" stroke="${INK}" stroke-width="2.5" rx="2"/>`,
  );
  const tips = states.map((state, i) => {
    const tip = `${name}: ${i < dialogue.length ? dialogue.name(i) : `position ${i}`}, ${SHIPPED.states[state]}`;
    const box = `x="${round(i * cell)}" width="${cell}" height="${STRIPS.high}" fill="transparent"`;
    return `<rect ${box}><title>${escape(tip)}</title></rect>`;
  });
  const left = 9 * name.length + 12;
  const counter = (width, fill) => {
    return `<rect x="${left}" y="-19" width="${round(width)}" height="8" rx="2" fill="${fill}"/>`;
  };
  const number = svgText(`${computed} computed`, left + 118, -11);
  const count = counter(110, HIDDEN) + counter((110 * computed) / Math.max(most, 1), INK) + number;
  const edges = `${lines}M0 0H${side}M0 ${STRIPS.high}H${side}`;
  const grid = `<path d="${edges}" stroke="${FAINT}" stroke-width=".5" fill="none"/>`;
  const title = svgText(name, 0, -11, { size: 14, more: 'font-weight="650"' });
  return `${title}${count}${roles.join("")}${cells.join("")}${grid}${outlines.join("")}${tips.join("")}`;
}

function stripLabels(dialogue, cell) {
  return dialogue.labels
    .map((label, i) => {
      const place = `translate(${round((i + 0.5) * cell)} -6) rotate(-90)`;
      const look = `dominant-baseline="central" font-size="${round(Math.min(12, cell))}"`;
      const fill = colour(dialogue.roles[i]);
      return `<text transform="${place}" ${look} fill="${fill}">${escape(shortLabel(label))}</text>`;
    })
    .join("");
}

/** All steps of a film in a line, turn by turn, the current one marked: the bar under a video. */
function cacheScrubber(film, now) {
  const turns = stretches(film.map(({ turn }) => turn)).map(([start, stop]) => {
    const steps = range(start, stop).map((step) => {
      const marked = step === now ? 'aria-current="true"' : "";
      const tip = escape(`Step ${step} of ${film.length - 1}. ${describeFrame(film[step])}`);
      const look = `background:${INKS[film[step].action]}`;
      return `<span data-pick="step" data-step="${step}" ${marked} title="${tip}" style="${look}"></span>`;
    });
    const name = film[start].turn ? `turn ${film[start].turn}` : "&nbsp;";
    const flex = `style="flex:${stop - start} 1 0"`;
    return `<div ${flex}><div class="small">${name}</div><div class="steps">${steps.join("")}</div></div>`;
  });
  const alt = `The film's steps, ${now} of ${film.length - 1}`;
  return `<div class="scrubber" role="img" aria-label="${alt}" data-drag="film">${turns.join("")}</div>`;
}
