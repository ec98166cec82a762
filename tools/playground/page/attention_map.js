/** Attention as colours: one head's weights as a map, and all heads as thumbnails, on a square-root scale. */

const THUMB = 68;
const CLEAR = 255; // the palette's number for 'transparent'
const TICKS = { weights: [0, 0.1, 0.5, 1], differences: [-1, -0.25, 0, 0.25, 1] };
const kindOf = (signed) => (signed ? "differences" : "weights");

/** Where a value stands on the scale, 0 to 1: half of a row may lie on one token, and the rest on fifty. */
function rootScale(value, signed) {
  const root = Math.sign(value) * Math.sqrt(Math.abs(value));
  return Math.min(Math.max(signed ? (root + 1) / 2 : root, 0), 1);
}

const bigEndian = (number) => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255);
const CRC = Uint32Array.from(range(0, 256), (byte) => {
  return range(0, 8).reduce((crc) => (crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1), byte);
});

function pngChunk(kind, content) {
  const body = [...kind].map((letter) => letter.charCodeAt(0)).concat(content);
  const crc = body.reduce((sum, byte) => CRC[(sum ^ byte) & 255] ^ (sum >>> 8), 0xffffffff) ^ 0xffffffff;
  return [...bigEndian(content.length), ...body, ...bigEndian(crc)];
}

/** Numbers of a palette's colours, row by row, as a PNG in a `data:` link (stored, so that no canvas is needed). */
function pngLink(pixels, width, signed) {
  const colours = [...atob(SHIPPED.palettes[kindOf(signed)])].map((letter) => letter.charCodeAt(0));
  const rows = range(0, pixels.length / width).flatMap((y) => [0, ...pixels.slice(y * width, (y + 1) * width)]);
  const stored = range(0, rows.length, 65535).flatMap((start) => {
    const part = rows.slice(start, start + 65535);
    const [low, high] = [part.length & 255, part.length >> 8];
    return [start + 65535 >= rows.length ? 1 : 0, low, high, low ^ 255, high ^ 255, ...part];
  });
  let [a, b] = [1, 0];
  for (const byte of rows) [a, b] = [(a + byte) % 65521, (b + a + byte) % 65521];
  const file = [
    ...[137, 80, 78, 71, 13, 10, 26, 10],
    ...pngChunk("IHDR", [...bigEndian(width), ...bigEndian(pixels.length / width), 8, 3, 0, 0, 0]),
    ...pngChunk("PLTE", [...colours, 0, 0, 0]),
    ...pngChunk("tRNS", [...new Array(CLEAR).fill(255), 0]),
    ...pngChunk("IDAT", [0x78, 1, ...stored, b >> 8, b & 255, a >> 8, a & 255]),
    ...pngChunk("IEND", []),
  ];
  let letters = "";
  for (const byte of file) letters += String.fromCharCode(byte);
  return `data:image/png;base64,${btoa(letters)}`;
}

/** A square of values as a sharp SVG image; nothing is painted where `shown` says no. */
function pixelImage(values, shown, size, side, signed) {
  const pixels = range(0, size * size).map((i) => {
    return shown(Math.floor(i / size), i % size) ? Math.round(rootScale(values[i], signed) * (CLEAR - 1)) : CLEAR;
  });
  return imageElement(pngLink(pixels, size, signed), side, side);
}

function imageElement(link, width, height) {
  const look = 'preserveAspectRatio="none" style="image-rendering:pixelated"';
  return `<image width="${round(width)}" height="${round(height)}" ${look} href="${link}"/>`;
}

/** The border between what a mask shows and what it hides. */
function outline(allowed, cell, dashed) {
  const size = allowed.size;
  const may = (q, kv) => q >= 0 && kv >= 0 && q < size && kv < size && allowed.get(q, kv);
  let path = "";
  for (let i = 0; i <= size; i++) {
    for (const across of [true, false]) {
      const edge = (j) => j < size && (across ? may(i - 1, j) !== may(i, j) : may(j, i - 1) !== may(j, i));
      for (let j = 0; j < size; j++) {
        if (!edge(j)) continue;
        const [start, fixed] = [round(j * cell), round(i * cell)];
        while (edge(j)) j++;
        path += across ? `M${start} ${fixed}H${round(j * cell)}` : `M${fixed} ${start}V${round(j * cell)}`;
      }
    }
  }
  const dash = dashed ? 'stroke-dasharray="5 3"' : "";
  return [[PAPER, 3.5], [INK, 1.5]]
    .map(([stroke, wide]) => `<path d="${path}" fill="none" stroke="${stroke}" stroke-width="${wide}" ${dash}/>`)
    .join("");
}

const share = (value, signed) => {
  const text = `${signed && value > 0 ? "+" : ""}${(value * 100).toFixed(0)}%`;
  return text.replace("-", "−");
};

/** Where one row looks, or what a swap moved in it, in words. */
function describeAttention(values, dialogue, row, signed) {
  const shares = Array.from(values);
  const largest = range(0, shares.length).sort((a, b) => Math.abs(shares[b]) - Math.abs(shares[a])).slice(0, 3);
  const worth = largest.filter((i) => Math.abs(shares[i]) >= 0.005);
  const named = worth.map((i) => `${dialogue.name(i)} ${share(shares[i], signed)}`).join(", ");
  if (!signed) return `${dialogue.name(row)} looks at ${named}; ${share(sum(shares.slice(row + 1)))} of it lies ahead`;
  const moved = sum(shares.map(Math.abs)) / 2;
  if (moved < 0.005) return `${dialogue.name(row)} looks where it looks under the other mask`;
  return `${dialogue.name(row)} moves ${share(moved)} of its attention: ${named}`;
}

/** One head: `values [T * T]`; with `other`, the mask of what was taken away, they are differences. */
function attentionMap(values, allowed, other, dialogue, row, width, title) {
  const [total, signed] = [dialogue.length, Boolean(other)];
  const layout = mapLayout(total, width, row);
  const { origin, cell, side } = layout;
  const seen = (q, kv) => allowed.get(q, kv) || (signed && other.get(q, kv));
  const rowOf = (y) => values.subarray(y * total, (y + 1) * total);
  const sentences = range(0, total).map((y) => describeAttention(rowOf(y), dialogue, y, signed));
  const phrases = ["{row} does not see {column}: hidden"];
  const known = new Map();
  const codes = Array.from(values, (value, i) => {
    const [q, kv] = [Math.floor(i / total), i % total];
    if (!seen(q, kv)) return 0;
    const phrase = `{row} reads {column}: ${share(value, signed)}${kv > q ? ", ahead" : ""}`;
    if (!known.has(phrase)) known.set(phrase, phrases.push(phrase) - 1);
    return known.get(phrase);
  });
  const body = [
    `<g transform="translate(${origin} ${origin})" ${gridData(dialogue, codes, phrases, cell, row)}>`,
    `<rect width="${round(side)}" height="${round(side)}" fill="${HIDDEN}"/>`,
    pixelImage(values, seen, total, side, signed),
    outline(allowed, cell, false),
    signed ? outline(other, cell, true) : "",
    hoverRows(sentences, cell),
    mapSides(dialogue, layout, row),
    rowFrame(row, cell, side),
    `<g transform="translate(0 ${round(side + 16)})">${colourScale(signed)}</g></g>`,
  ];
  const wide = Math.max(origin + side + 4, Math.min(width, origin + 260));
  return svgDocument(body.join(""), `${title}: ${sentences[row]}`, wide, origin + side + 84);
}

function colourScale(signed) {
  const steps = range(0, 64).map((i) => Math.round((i / 63) * (CLEAR - 1)));
  const ticks = TICKS[kindOf(signed)].map((tick) => {
    return svgText(share(tick, signed), rootScale(tick, signed) * 220, 25, { more: 'text-anchor="middle"' });
  });
  const what = signed ? "more or less attention than under the other mask" : "share of the row's attention";
  const lines = signed ? "line: the mask's outline; dashed: the other's" : "line: the mask's outline";
  const bar = imageElement(pngLink(steps, 64, signed), 220, 10);
  return `${bar}${ticks.join("")}${svgText(what, 0, 45)}${svgText(lines, 0, 62)}`;
}

/** All heads as thumbnails: a row for each layer, a column for each head. `weights` by layer, each `[H * T * T]`. */
function attentionHeads(weights, heads, shown, total, chosen, signed, title) {
  const [between, caption] = [12, 24];
  const parts = weights.flatMap((layer, n) =>
    range(0, heads).map((h) => {
      const here = n === chosen.layer && h === chosen.head;
      const frame = here ? `stroke="${INK}" stroke-width="3"` : `stroke="${FAINT}" stroke-width=".6"`;
      const values = layer.subarray(h * total * total, (h + 1) * total * total);
      const name = `${n + 1}.${h + 1}`;
      const bold = here ? 'font-weight="700"' : "";
      return (
        `<g data-pick="head" data-layer="${n}" data-head="${h}" ${here ? 'aria-current="true"' : ""} ` +
        `transform="translate(${h * (THUMB + between) + 3} ${n * (THUMB + caption) + 3})">` +
        `<title>Layer ${n + 1}, head ${h + 1}</title><rect width="${THUMB}" height="${THUMB}" fill="${HIDDEN}"/>` +
        thumbnail(values, shown, total, signed) +
        `<rect width="${THUMB}" height="${THUMB}" fill="none" ${frame}/>` +
        `${svgText(name, THUMB / 2, THUMB + 15, { more: `text-anchor="middle" ${bold}` })}</g>`
      );
    }),
  );
  const width = heads * (THUMB + between) - between + 6;
  return svgDocument(parts.join(""), title, width, weights.length * (THUMB + caption));
}

/** A small picture of a large matrix: each pixel is the value of greatest size in its block. */
function thumbnail(values, shown, total, signed) {
  const block = Math.ceil(total / THUMB);
  const size = Math.ceil(total / block);
  const small = new Float32Array(size * size);
  const seen = new Uint8Array(size * size);
  for (let q = 0; q < total; q++) {
    for (let kv = 0; kv < total; kv++) {
      if (!shown(q, kv)) continue;
      const [place, value] = [Math.floor(q / block) * size + Math.floor(kv / block), values[q * total + kv]];
      seen[place] = 1;
      if (Math.abs(value) > Math.abs(small[place])) small[place] = value;
    }
  }
  return pixelImage(small, (q, kv) => seen[q * size + kv], size, THUMB, signed);
}
