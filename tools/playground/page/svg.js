/** What all pictures are made of, as mini_ism/views has it: text in, SVG out. */

const [INK, FAINT, PAPER] = ["var(--jp-ui-font-color1)", "var(--jp-ui-font-color2)", "var(--jp-layout-color1)"];
const colour = (name) => `var(--mi-${name})`;
const [BACK, AHEAD, HIDDEN] = ["back", "ahead", "hidden"].map(colour);
const MARKUP = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escape = (text) => String(text).replace(/[&<>"']/g, (letter) => MARKUP[letter]);
const round = (number) => Number(number.toFixed(2));
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const range = (start, stop, step = 1) => {
  return Array.from({ length: Math.max(Math.ceil((stop - start) / step), 0) }, (_, n) => start + n * step);
};

/** How wide a picture may be: as its place, but never less than a phone has, since a hidden place has no width. */
const roomIn = (host) => Math.max(host.clientWidth, 280);

/** A picture that says what it shows. */
function svgDocument(body, alt, width, height, kind = "") {
  return (
    `<svg class="mi ${kind}" role="img" aria-label="${escape(alt)}" xmlns="http://www.w3.org/2000/svg" ` +
    `width="${round(width)}" height="${round(height)}" viewBox="0 0 ${round(width)} ${round(height)}">${body}</svg>`
  );
}

function svgText(content, x, y, { size = 12, fill = INK, more = "" } = {}) {
  return `<text x="${round(x)}" y="${round(y)}" font-size="${size}" fill="${fill}" ${more}>${escape(content)}</text>`;
}

/** Where neighbouring values are equal: [start, stop] of each stretch. */
function stretches(values) {
  const starts = range(0, values.length).filter((i) => i === 0 || values[i] !== values[i - 1]);
  return starts.map((start, n) => [start, starts[n + 1] ?? values.length]);
}

/** The cells of a square for which something holds, as one SVG path, a box for each horizontal run. */
function boxes(size, cell, holds) {
  let path = "";
  for (let q = 0; q < size; q++) {
    for (let kv = 0; kv < size; kv++) {
      if (!holds(q, kv)) continue;
      const start = kv;
      while (kv < size && holds(q, kv)) kv++;
      const wide = round((kv - start) * cell);
      path += `M${round(start * cell)} ${round(q * cell)}h${wide}v${round(cell)}h${-wide}z`;
    }
  }
  return path;
}

/** A mask's cells: what reads backwards, and what looks ahead. */
function maskCells(allowed, cell) {
  const back = boxes(allowed.size, cell, (q, kv) => kv <= q && allowed.get(q, kv));
  const ahead = boxes(allowed.size, cell, (q, kv) => kv > q && allowed.get(q, kv));
  return `<path d="${back}" fill="${BACK}"/><path d="${ahead}" fill="${AHEAD}"/>`;
}

/** Lines across a square, at each change of segment. */
function borderLines(ids, cell, weight = 1.5) {
  const size = round(ids.length * cell);
  const lines = stretches(ids).slice(1).map(([start]) => round(start * cell));
  const path = lines.map((c) => `M${c} 0V${size}M0 ${c}H${size}`).join("");
  return `<path d="${path}" stroke="${PAPER}" stroke-width="${weight}" fill="none"/>`;
}

/** A mask as a small square without words: an icon that is true. */
function maskIcon(allowed, ids, side, alt) {
  const cell = side / Math.max(allowed.size, 1);
  const paper = `<rect width="${side}" height="${side}" fill="${HIDDEN}"/>`;
  return svgDocument(`${paper}${maskCells(allowed, cell)}${borderLines(ids, cell, 0.75)}`, alt, side, side);
}

// -- tokens ----------------------------------------------------------------------------------------

/** What to call a token: without the space before it, a marker in angle quotes, and nothing invisible. */
function tokenLabel(text) {
  const label = text.replace(/^ +| +$/g, "").replace(/^<\|(\w+)\|>$/, "‹$1›") || "␣";
  return label.replaceAll("\n", "↵").replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "�");
}

const LABELS = []; // of each token, once it was asked for; the page has one tokenizer

/** A conversation as pictures name it: a label, a role and a segment for each position. */
function tokenized(session) {
  const [tokens, s] = [session.tokens, session.segments];
  const labels = tokens.map((token) => (LABELS[token] ??= tokenLabel(session.tokenizer.decode([token]))));
  const roles = s.id.map((_, i) => (s.system[i] ? "system" : s.is_query[i] ? "user" : "assistant"));
  return { labels, roles, ids: s.id, length: tokens.length, segments: s, tokens, name: (i) => `${labels[i]} (${i})` };
}

/** Positions as ranges, both ends included: "0..2, 5". */
function ranges(positions) {
  const found = stretches(positions.map((position, n) => position - n));
  const parts = found.map(([a, b]) => (b - a === 1 ? positions[a] : `${positions[a]}..${positions[b - 1]}`));
  return parts.join(", ") || "nothing";
}

/** What one position may look at, in words. */
function describeRow(allowed, dialogue, row) {
  const seen = range(0, dialogue.length).filter((kv) => allowed.get(row, kv));
  return `${dialogue.name(row)} sees ${ranges(seen)} (${seen.length} of ${dialogue.length})`;
}

// -- the sides of a map ----------------------------------------------------------------------------

const STRIP = 6; // thickness of the bars that show the roles
const LONGEST_LABEL = 12;
const shortLabel = (label, most = LONGEST_LABEL) => (label.length <= most ? label : `${label.slice(0, most - 1)}…`);

/** How a square map fits a width: room for labels, the side of a cell, which positions have a label, of what size. */
function mapLayout(total, width, row) {
  const gutter = width < 480 ? 68 : 88;
  const cell = round(Math.min((width - gutter - STRIP - 2) / total, 22));
  const step = Math.max(Math.ceil(8.7 / cell), 1);
  const font = round(Math.min(12, (step * cell) / 0.96));
  const near = (i) => row !== null && i !== row && Math.abs(i - row) * cell < font * 0.96;
  const shown = range(0, total).filter((i) => i === row || (i % step === 0 && !near(i)));
  return { origin: gutter + STRIP, cell, side: cell * total, font, shown, most: LONGEST_LABEL };
}

/** The tokens' names and the roles' bars along both sides of a map. */
function mapSides(dialogue, { cell, font, shown, most }, row) {
  const labels = shown.map((i) => {
    const [middle, label] = [round((i + 0.5) * cell), escape(shortLabel(dialogue.labels[i], most))];
    const bold = i === row ? 'font-weight="700" text-decoration="underline"' : "";
    const common = `dominant-baseline="central" font-size="${font}" fill="${colour(dialogue.roles[i])}" ${bold}`;
    return (
      `<text data-row="${i}" x="${-STRIP - 4}" y="${middle}" text-anchor="end" ${common}>${label}</text>` +
      `<text data-column="${i}" transform="translate(${middle} ${-STRIP - 4}) rotate(-90)" ${common}>${label}</text>`
    );
  });
  const bars = stretches(dialogue.roles).map(([start, stop]) => {
    const [a, length, fill] = [round(start * cell), round((stop - start) * cell), colour(dialogue.roles[start])];
    return (
      `<rect x="${1 - STRIP}" y="${a}" width="${STRIP - 2}" height="${length}" fill="${fill}"/>` +
      `<rect x="${a}" y="${1 - STRIP}" width="${length}" height="${STRIP - 2}" fill="${fill}"/>`
    );
  });
  return bars.join("") + labels.join("");
}

/** The `data-grid` of a map: what a surface needs to light up and to speak about each cell. */
function gridData(dialogue, codes, phrases, cell, row) {
  const runs = stretches(codes).flatMap(([start, stop]) => [codes[start], stop - start]);
  const names = range(0, dialogue.length).map(dialogue.name);
  return `data-grid="${escape(JSON.stringify({ cell, names, phrases, runs, row }))}"`;
}

/** A bar over each row with a sentence as its tooltip. */
function hoverRows(sentences, cell) {
  const side = round(sentences.length * cell);
  const bar = (sentence, y) =>
    `<rect class="mi-row" fill-opacity="0" y="${round(y * cell)}" width="${side}" height="${cell}">` +
    `<title>${escape(sentence)}</title></rect>`;
  return sentences.map(bar).join("");
}

/** A frame round the selected row, ink on paper. */
function rowFrame(row, cell, side) {
  if (row === null) return "";
  const height = Math.max(cell, 3);
  const top = round((row + 0.5) * cell - height / 2 - 2);
  const box = `x="-2" y="${top}" width="${round(side + 4)}" height="${round(height + 4)}" fill="none"`;
  return [[PAPER, 4.5], [INK, 2]]
    .map(([stroke, wide]) => `<rect ${box} stroke="${stroke}" stroke-width="${wide}" pointer-events="none"/>`)
    .join("");
}

/** Swatches with their meaning, in as many lines as they need; and the height of it all. */
function legend(items, width) {
  let [x, y] = [0, 0];
  const parts = items.map(([swatch, meaning]) => {
    const needs = 34 + 6.6 * meaning.length;
    if (x > 0 && x + needs > width) [x, y] = [0, y + 22];
    const part = `<g transform="translate(${round(x)} ${y})">${swatch}${svgText(meaning, 20, 11)}</g>`;
    x += needs;
    return part;
  });
  return { drawn: parts.join(""), height: y + 22 };
}

const swatch = (fill) => `<rect width="13" height="13" rx="2" fill="${fill}" stroke="${FAINT}" stroke-width=".5"/>`;
