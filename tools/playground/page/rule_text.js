/** Rules as text, rewritten: what turning a segment does to the rule, as mini_ism/widgets/rule_text.py has it. */

/** How each segment reads inside itself: "both ways", "backwards" or "partly". */
function directions(allowed, s) {
  return range(0, s.length ? s.id.at(-1) + 1 : 0).map((segment) => {
    const inside = range(s.id.indexOf(segment), s.id.lastIndexOf(segment) + 1);
    const pairs = inside.flatMap((q) => inside.filter((kv) => kv > q).map((kv) => allowed.get(q, kv)));
    const whole = inside.every((q) => inside.every((kv) => allowed.get(q, kv)));
    return whole ? "both ways" : pairs.some(Boolean) ? "partly" : "backwards";
  });
}

/** Whether two masks agree on the pairs for which something holds. */
function agree(a, b, holds) {
  return a.cells.every((cell, i) => cell === b.cells[i] || !holds(Math.floor(i / a.size), i % a.size));
}

/**
 * The rule with one segment read in another direction, written as plainly as possible.
 *
 * Of several ways to write it, the one with the fewest exceptions is taken, then the shortest; all agree outside the
 * segment's own square on each of the dialogues, of which the first is shown.
 */
function turned(rule, segment, bothWays, dialogues) {
  const wanted = bothWays ? "both ways" : "backwards";
  const square = (s) => (q, kv) => s.id[q] === segment && s.id[kv] === segment;
  const targets = dialogues.map((s) => {
    const target = readMask(rule).dense(s);
    const inside = square(s);
    for (let i = 0; i < target.cells.length; i++) {
      const [q, kv] = [Math.floor(i / target.size), i % target.size];
      if (inside(q, kv) && (bothWays || kv > q)) target.cells[i] = bothWays ? 1 : 0;
    }
    return target;
  });
  const fits = (text) =>
    dialogues.every((s, n) => {
      const found = readMask(text).dense(s);
      const outside = (q, kv) => !square(s)(q, kv);
      return (n > 0 || directions(found, s)[segment] === wanted) && agree(found, targets[n], outside);
    });
  const bases = [rule, bareRule(rule), "causal", "ism", "ism(system_as_query=False)"];
  const texts = bases.map((base) => corrected(base, segment, wanted, dialogues[0], targets[0]));
  const cost = (text) => [text.split("inside(").length, text.length];
  const fitting = [...new Set(texts)].filter((text) => text && fits(text));
  return fitting.sort((a, b) => cost(a)[0] - cost(b)[0] || cost(a)[1] - cost(b)[1])[0] ?? rule;
}

/** A rule without the exceptions that `turned` writes at its end. */
function bareRule(rule) {
  const named = "inside\\(\\d+\\)";
  const both = new RegExp(` \\| ${named}$`);
  const back = new RegExp(` & \\(causal \\| ~(${named}|\\(${named}( \\| ${named})*\\))\\)$`);
  let before;
  do [before, rule] = [rule, rule.replace(both, "").replace(back, "")];
  while (rule !== before);
  return rule;
}

/** `base` with an exception for each segment in which it is not the target; "" if it cannot be had. */
function corrected(base, segment, wanted, s, target) {
  let dense;
  try {
    dense = readMask(base).dense(s);
  } catch {
    return ""; // without its exceptions it leaves a position with nothing to see
  }
  const [now, then] = [directions(dense, s), directions(target, s)];
  const [bothWays, backwards] = [[], []];
  for (const n of now.keys()) {
    const right = agree(dense, target, (q, kv) => s.id[q] === n && s.id[kv] === n);
    if (!right && !(n === segment && now[n] === wanted)) (then[n] === "both ways" ? bothWays : backwards).push(n);
  }
  const { kind, sign, closed } = new MaskReader(base).parse();
  const compared = kind === "compare" && !closed;
  if (backwards.length) {
    const named = backwards.map((n) => `inside(${n})`).join(" | ");
    const loose = compared || (kind === "binary" && sign === "|" && !closed);
    base = `${loose ? `(${base})` : base} & (causal | ~${backwards.length > 1 ? `(${named})` : named})`;
  } else if (bothWays.length && compared) {
    base = `(${base})`;
  }
  return [base, ...bothWays.map((n) => `inside(${n})`)].join(" | ");
}
