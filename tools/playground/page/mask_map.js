/** A mask on a dialogue: as a map, and one row of it written over the dialogue. */

const READS = "{row} reads {column}";
const MASK_PHRASES = ["{row} does not see {column}: hidden", `${READS}: back`, `${READS}: ahead`];

function maskMap(allowed, dialogue, row, width, title) {
  const total = dialogue.length;
  const layout = mapLayout(total, width, row);
  const { origin, cell, side } = layout;
  const codes = Array.from(allowed.cells, (may, i) => (may ? (i % total > Math.floor(i / total) ? 2 : 1) : 0));
  const ahead = codes.filter((code) => code === 2).length;
  const alt =
    `${title}: ${sum([...allowed.cells])} of ${total ** 2} pairs are visible, ${ahead} look ahead; ` +
    describeRow(allowed, dialogue, row);
  const fine = range(1, total).map((i) => `M${round(i * cell)} 0V${round(side)}M0 ${round(i * cell)}H${round(side)}`);
  const roles = [...new Set(dialogue.roles)].map((role) => [swatch(colour(role)), role]);
  const meaning = legend(
    [[swatch(BACK), "reads back"], [swatch(AHEAD), "looks ahead"], [swatch(HIDDEN), "hidden"], ...roles],
    Math.max(side, 230),
  );
  const seen = range(0, total).map((y) => describeRow(allowed, dialogue, y));
  const body = [
    `<g transform="translate(${origin} ${origin})" ${gridData(dialogue, codes, MASK_PHRASES, cell, row)}>`,
    `<rect width="${round(side)}" height="${round(side)}" fill="${HIDDEN}"/>`,
    maskCells(allowed, cell),
    cell >= 9 ? `<path d="${fine.join("")}" stroke="${PAPER}" stroke-width=".5" opacity=".55" fill="none"/>` : "",
    borderLines(dialogue.ids, cell),
    hoverRows(seen, cell),
    mapSides(dialogue, layout, row),
    rowFrame(row, cell, side),
    `<g transform="translate(0 ${round(side + 16)})">${meaning.drawn}</g></g>`,
  ];
  const wide = Math.max(origin + side + 4, Math.min(width, origin + 240));
  return svgDocument(body.join(""), alt, wide, origin + side + 16 + meaning.height);
}

/** The tokens in a line, each marked by whether position `row` may look at it. */
function rowStrip(allowed, dialogue, row) {
  const tokens = range(0, dialogue.length).map((i) => {
    const kind = !allowed.get(row, i) ? "hidden" : i > row ? "ahead" : "back";
    const ink = kind === "hidden" ? "" : `style="color:${colour(dialogue.roles[i])}"`;
    const mark = `data-pick="token" data-token="${i}" ${i === row ? 'aria-current="true"' : ""}`;
    const tip = escape(`${dialogue.name(i)}: ${i === row ? "the reader" : kind}`);
    return `<span class="seen ${kind}" ${mark} title="${tip}" ${ink}>${escape(dialogue.labels[i])}</span>`;
  });
  const alt = escape(describeRow(allowed, dialogue, row));
  return `<div class="row-strip" role="img" aria-label="${alt}">${tokens.join(" ")}</div>`;
}
