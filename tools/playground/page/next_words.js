/** What a model thought could come next: an answer's tokens, and for one of them the likeliest words as bars. */

const BARS = { width: 300, label: 92, number: 48, row: 20, bar: 12, most: 6 };

function percent(share, digits = 0) {
  const least = 10 ** -(digits + 2);
  if (share > 0 && share < least / 2) return `< ${(least * 100).toFixed(digits)}%`;
  if (share < 1 && share >= 1 - least / 2) return `> ${((1 - least) * 100).toFixed(digits)}%`;
  return `${(share * 100).toFixed(digits)}%`;
}

/** A token's label, with a hyphen before it if it goes on with a word. */
function partLabel(tokenizer, token) {
  const text = tokenizer.decode([token]);
  return `${/^[\p{L}\p{N}]/u.test(text) ? "-" : ""}${tokenLabel(text)}`;
}

/**
 * An answer's tokens in a line, one of them chosen, and under it what could have stood in its place.
 *
 * @param {{token: number, logits: Float32Array}[]} places the answer so far; with its end, if it has ended
 */
function nextWordBars(tokenizer, places, chosen, title) {
  const odds = softmax(Float64Array.from(places[chosen].logits));
  const ranked = range(0, odds.length).sort((a, b) => odds[b] - odds[a]).slice(0, BARS.most);
  const written = places[chosen].token;
  const shown = ranked.includes(written) ? ranked : [...ranked, written];
  const labels = places.map(({ token }) => partLabel(tokenizer, token));
  const before = labels.slice(0, chosen).join(" ").replaceAll(" -", "");
  const quoted = before.length > 24 ? `…${before.slice(-24)}` : before;
  const where = before ? `after “${quoted}”` : "at the beginning";
  const rows = shown.map((token) => [partLabel(tokenizer, token), odds[token], token === written]);
  rows.push(["all others", Math.max(1 - sum(shown.map((token) => odds[token])), 0), false]);
  const told = rows.map(([label, share]) => `${label} ${percent(share)}`).join(", ");
  const alt = `${title}. Next word ${where}: ${told}; ${partLabel(tokenizer, written)} was written`;
  const tokens = labels.map((label, n) => {
    const mark = `data-pick="token" data-token="${n}" aria-current="${n === chosen}"`;
    return `<span class="word" ${mark} title="${escape(label)}">${escape(label)}</span>`;
  });
  const bars = svgDocument(rows.map(bar).join(""), alt, BARS.width, BARS.row * rows.length + 4, "bars");
  return `<div data-drag="answer">${tokens.join("")}</div><p class="small">Next word ${escape(where)}</p>${bars}`;
}

function bar([label, share, picked], number) {
  const top = number * BARS.row + 4;
  const more = `text-anchor="end" ${picked ? 'font-weight="700"' : ""}`;
  const room = BARS.width - BARS.label - BARS.number;
  const mark = picked ? `<path d="M1 ${top + 1}v10l7 -5z" fill="${INK}"/>` : "";
  const rect = (width, fill) =>
    `<rect x="${BARS.label}" y="${top}" width="${round(width)}" height="${BARS.bar}" rx="2" fill="${fill}"/>`;
  return (
    `<g><title>${escape(`${label}: ${percent(share, 2)}`)}</title>${mark}` +
    svgText(shortLabel(label), BARS.label - 6, top + 10, { more }) +
    rect(room, HIDDEN) + rect(share * room, colour(picked ? "decoded" : "reused")) +
    `${svgText(percent(share), BARS.width, top + 10, { more })}</g>`
  );
}
