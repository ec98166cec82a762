/** What each token is, who may read whom, and what a cache may keep of it: segments.py, mask.py, masks.py, reuse.py. */

/** The segments of a dialogue, as arrays `[T]`; a rule looks fields up at q and at kv. */
class Segments {
  constructor(id, is_query, system) {
    Object.assign(this, { id, is_query, system, length: id.length });
    this.position = id.map((_, place) => place);
    this.end = id.map((_, place) => place + 1); // one past the segment's last position
    for (let i = this.length - 2; i >= 0; i--) if (id[i] === id[i + 1]) this.end[i] = this.end[i + 1];
    this.last_query_end = new Array(this.length).fill(is_query.lastIndexOf(true) + 1);
  }
}

/** Segments from the role and the token count of each message. */
function segmentsOf(layout) {
  const perToken = (value) => layout.flatMap(([role, count], n) => new Array(count).fill(value(role, n)));
  return new Segments(
    perToken((role, n) => n),
    perToken((role) => role !== "assistant"),
    perToken((role) => role === "system"),
  );
}

/** A square matrix of yes and no: may `q` attend to `kv`? */
class Dense {
  constructor(size) {
    Object.assign(this, { size, cells: new Uint8Array(size * size) });
  }

  get(q, kv) {
    return this.cells[q * this.size + kv];
  }

  set(q, kv, value) {
    this.cells[q * this.size + kv] = value;
  }
}

/** A rule `(q, kv, s) -> true if q may attend to kv`, with the fields of the segments that it reads at q and at kv. */
class Mask {
  constructor(rule, name, reads, options = {}) {
    Object.assign(this, { rule: (q, kv, s) => rule(q, kv, s, options), plain: rule, name, reads, options });
  }

  withOptions(options) {
    return new Mask(this.plain, this.name, this.reads, { ...this.options, ...options });
  }

  /** The rule as a matrix. */
  dense(s) {
    const allowed = new Dense(s.length);
    for (let q = 0; q < s.length; q++) {
      for (let kv = 0; kv < s.length; kv++) if (this.rule(q, kv, s)) allowed.set(q, kv, 1);
      this.checkRow(allowed.cells.indexOf(1, q * s.length), q, s.length);
    }
    return allowed;
  }

  /** No softmax may run over nothing: `found` must be a cell of row q. */
  checkRow(found, q, length) {
    if (found >= q * length && found < (q + 1) * length) return;
    const remedy = "let each position see itself at least, as in (your rule) | (q == kv)";
    throw new RangeError(`the rule leaves position ${q} with nothing to attend to; ${remedy}`);
  }
}

const sameQuery = (q, kv, s) => s.is_query[q] && s.id[q] === s.id[kv];
const MASKS = {};
for (const [name, reads, rule, options] of [
  ["causal", [], (q, kv) => kv <= q],
  ["prefix", ["last_query_end"], (q, kv, s) => kv <= q || kv < s.last_query_end[q]],
  [
    "ism",
    ["id", "is_query", "system", "position"],
    (q, kv, s, { sink, system_as_query }) =>
      kv <= q || (sameQuery(q, kv, s) && !(sink && s.position[q] === 0) && !(s.system[q] && !system_as_query)),
    { sink: false, system_as_query: true },
  ],
  ["bidirectional", [], () => true],
  ["same_query", ["id", "is_query"], sameQuery],
  ["mas", ["id", "is_query"], (q, kv, s) => kv <= q || sameQuery(q, kv, s)],
  ["same_segment", ["id"], (q, kv, s) => s.id[q] === s.id[kv]],
  ["inside", ["id"], (q, kv, s, { n }) => s.id[q] === n && s.id[kv] === n, { n: 0 }],
  ["same_document", [], () => true], // there is one dialogue
  ["sliding_window", [], (q, kv, s, { n }) => Math.abs(q - kv) < n, { n: 32 }],
  ["sink", ["position"], (q, kv, s, { n }) => s.position[kv] < n, { n: 4 }],
]) {
  MASKS[name] = new Mask(rule, name, reads, options);
}

/** How many keys and values computed for dialogue `old` are still right in dialogue `now`. */
function reusable(mask, old, now) {
  return unchangedPrefix(mask.dense(old), mask.dense(now));
}

/** The longest prefix whose rows are the same in both matrices and see nothing outside it. */
function unchangedPrefix(before, after, held = before.size) {
  const common = Math.min(held, after.size);
  let unchanged = 0;
  while (unchanged < common && sameRow(before, after, unchanged, held, common)) unchanged++;
  return lastBorder(after, common, unchanged);
}

function sameRow(before, after, q, held, common) {
  for (let kv = 0; kv < common; kv++) if (before.get(q, kv) !== after.get(q, kv)) return false;
  for (let kv = common; kv < held; kv++) if (before.get(q, kv)) return false;
  for (let kv = common; kv < after.size; kv++) if (after.get(q, kv)) return false;
  return true;
}

/** The last place, up to `most`, where the first `size` positions may be cut: nobody before it sees it or beyond. */
function lastBorder(dense, size, most) {
  let [reach, border] = [0, 0];
  for (let cut = 1; cut <= most; cut++) {
    for (let kv = size - 1; kv >= reach; kv--) if (dense.get(cut - 1, kv)) reach = kv + 1;
    if (reach <= cut) border = cut;
  }
  return border;
}
