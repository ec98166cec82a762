/** Masks written as text, read by a list of what may stand there; nothing in the text is executed: expressions.py. */

const FLAGS = ["is_query", "system"];
const COUNTS = ["id", "position", "end", "last_query_end"];
const COMPARE = {
  "<": (x, y) => x < y, "<=": (x, y) => x <= y, ">": (x, y) => x > y,
  ">=": (x, y) => x >= y, "==": (x, y) => x === y, "!=": (x, y) => x !== y,
};
const ARITHMETIC = {
  "+": (x, y) => x + y, "-": (x, y) => x - y, "*": (x, y) => x * y,
  "//": (x, y) => Math.floor(x / y), "%": (x, y) => x - y * Math.floor(x / y),
};
const [LONGEST, LARGEST] = [10 ** 4, 10 ** 6]; // letters of a rule, and a number in it
const BINDING = [Object.keys(COMPARE), ["|"], ["&"], ["+", "-"], ["*", "//", "%"]]; // Python's, the loosest first
const SYMBOL = /\s*(\d+|[A-Za-z_]\w*|<=|>=|==|!=|\/\/|[-+*%&|~()[\].,=<>])/y;

/** The mask that a text describes: `causal & (sliding_window(32) | sink(4))`, `(kv <= q) | (s.id[q] == s.id[kv])`. */
function readMask(text) {
  const reader = new MaskReader(text);
  const rule = reader.mask(reader.parse());
  return new Mask(rule, text.trim(), [...reader.reads]);
}

class MaskReader {
  constructor(text) {
    Object.assign(this, { text, reads: new Set(), place: 0, symbols: [] });
    if (text.length > LONGEST) throw new Error(`a rule may have ${LONGEST} letters, this one has ${text.length}`);
    SYMBOL.lastIndex = 0;
    for (let found; (found = SYMBOL.exec(text)); ) this.symbols.push(found[1]);
    if (this.symbols.join("") !== text.replace(/\s+/g, "")) throw this.unreadable(`mask '${text}'`);
  }

  // -- text to a tree: {kind, of: [children], ...} ---------------------------------------------------

  parse() {
    const tree = this.level(0);
    if (this.place < this.symbols.length || !this.symbols.length) throw this.unreadable(`mask '${this.text}'`);
    return tree;
  }

  next(symbol) {
    if (this.symbols[this.place] !== symbol) return false;
    this.place++;
    return true;
  }

  expect(symbol) {
    if (!this.next(symbol)) throw this.unreadable(`mask '${this.text}'`);
  }

  level(depth) {
    if (depth === BINDING.length) return this.unary();
    let left = this.level(depth + 1);
    while (BINDING[depth].includes(this.symbols[this.place])) {
      const sign = this.symbols[this.place++];
      const chained = depth === 0 && left.kind === "compare" && !left.closed;
      left = { kind: depth === 0 ? "compare" : "binary", sign, of: [left, this.level(depth + 1)], chained };
    }
    return left;
  }

  unary() {
    for (const sign of ["~", "-"]) if (this.next(sign)) return { kind: "unary", sign, of: [this.unary()] };
    if (this.next("(")) {
      const inner = this.level(0);
      this.expect(")");
      return { ...inner, closed: true };
    }
    const word = this.symbols[this.place++] ?? "";
    if (/^\d/.test(word)) return { kind: "number", value: Number(word), of: [] };
    if (!/^\w/.test(word)) throw this.unreadable(`mask '${this.text}'`);
    if (["and", "or", "not"].includes(word) || ["and", "or"].includes(this.symbols[this.place])) {
      throw this.unreadable(`mask '${this.text}'`, "write & | ~ where Python says and, or, not");
    }
    if (this.next(".")) return this.field(word);
    return this.next("(") ? this.call(word) : { kind: "name", name: word, of: [] };
  }

  /** `s.id[q]`: a field of the segments at one of the two positions; nothing else may be looked up. */
  field(owner) {
    const name = this.symbols[this.place++] ?? "";
    const [opened, at] = [this.next("["), this.symbols[this.place]];
    if (owner !== "s" || ![...FLAGS, ...COUNTS].includes(name)) {
      throw this.unreadable(`'${owner}.${name}'`, `the fields of s are ${[...FLAGS, ...COUNTS].join(", ")}`);
    }
    if (!opened || !["q", "kv"].includes(at)) {
      throw this.unreadable(`'s.${name}'`, `say whose: s.${name}[q] or s.${name}[kv]`);
    }
    this.place++;
    this.expect("]");
    return { kind: "field", name, at, of: [] };
  }

  call(name) {
    const [values, named] = [[], {}];
    while (!this.next(")")) {
      if (values.length || Object.keys(named).length) this.expect(",");
      if (this.symbols[this.place + 1] === "=") named[this.symbols[(this.place += 2) - 2]] = this.level(0);
      else if (Object.keys(named).length) throw this.unreadable(`'${name}(...)'`, "options by name come last");
      else values.push(this.level(0));
    }
    return { kind: "call", name, values, named, of: name === "abs" ? values : [] };
  }

  // -- a tree to a function --------------------------------------------------------------------------

  mask(node) {
    const { kind, name, sign, of } = node;
    if ((kind === "name" || kind === "call") && Object.hasOwn(MASKS, name)) return this.registered(node);
    if (kind === "field" && FLAGS.includes(name)) return this.lookUp(node);
    if (kind === "compare") return this.compared(node);
    if (kind === "unary" && sign === "~") {
      const rule = this.mask(of[0]);
      return (q, kv, s) => !rule(q, kv, s);
    }
    if (kind === "binary" && "&|".includes(sign)) {
      const [a, b] = of.map((side) => this.mask(side));
      return sign === "&" ? (q, kv, s) => a(q, kv, s) && b(q, kv, s) : (q, kv, s) => a(q, kv, s) || b(q, kv, s);
    }
    if (this.isNumber(node)) {
      throw this.unreadable(`'${this.text}'`, "a number stands where a mask says yes or no: compare it, as in kv <= q");
    }
    if (name === undefined) throw this.unreadable(`mask '${this.text}'`);
    throw new Error(`unknown mask '${name}'; ${this.known}`);
  }

  registered({ name, values = [], named = {} }) {
    const [mask, given] = [MASKS[name], {}];
    const known = Object.keys(mask.options);
    const literal = ({ kind, value, sign, of, name: word }) =>
      kind === "number" ? value : kind === "unary" && sign === "-" ? -of[0].value : { True: true, False: false }[word];
    for (const [option, node] of [...values.map((node, n) => [known[n], node]), ...Object.entries(named)]) {
      if (!known.includes(option)) {
        throw new Error(`mask '${name}' has no such option; its options are ${known.join(", ") || "none"}`);
      }
      given[option] = literal(node);
      if (typeof given[option] !== typeof mask.options[option] || Number.isNaN(given[option])) {
        const wanted = typeof mask.options[option] === "number" ? "a whole number" : "True or False";
        throw new Error(`option '${option}' of mask '${name}' must be ${wanted}`);
      }
    }
    mask.reads.forEach((field) => this.reads.add(field));
    return mask.withOptions(given).rule;
  }

  compared({ sign, of, chained }) {
    const within = (node) => [node, ...node.of.flatMap(within)];
    if (of.some(({ kind, sign: inner }) => kind === "binary" && "&|".includes(inner))) {
      const hint = "beside & and | a comparison needs brackets of its own, as in (kv <= q) | same_query";
      throw this.unreadable(`'${this.text}'`, hint);
    }
    if (chained) throw this.unreadable(`'${this.text}'`, "compare two at a time, as in (0 <= kv) & (kv <= q)");
    if (!of.flatMap(within).some(({ name, at }) => ["q", "kv"].includes(at ?? name))) {
      throw this.unreadable(`'${this.text}'`, "a comparison says nothing of q or kv");
    }
    const flags = ["==", "!="].includes(sign) && !of.some((side) => this.isNumber(side));
    const [compare, [x, y]] = [COMPARE[sign], of.map((side) => (flags ? this.mask(side) : this.number(side)))];
    return (q, kv, s) => compare(x(q, kv, s), y(q, kv, s));
  }

  isNumber(node) {
    try {
      return Boolean(this.number(node));
    } catch {
      return false;
    }
  }

  number(node) {
    const { kind, name, sign, value, of } = node;
    if (kind === "name" && name === "q") return (q) => q;
    if (kind === "name" && name === "kv") return (q, kv) => kv;
    if (kind === "field" && COUNTS.includes(name)) return this.lookUp(node);
    if (kind === "number") {
      if (value > LARGEST) throw this.unreadable(`'${value}'`, `numbers go up to ${LARGEST}`);
      return () => value;
    }
    const [x, y] = of.map((side) => this.number(side));
    if (kind === "unary" && sign === "-") return (q, kv, s) => -x(q, kv, s);
    if (kind === "call" && name === "abs" && of.length === 1) return (q, kv, s) => Math.abs(x(q, kv, s));
    if (kind !== "binary" || !ARITHMETIC[sign]) {
      throw this.unreadable(`'${this.text}'`, "a comparison needs a number on either side");
    }
    if (["//", "%"].includes(sign) && !of[1].value) {
      throw this.unreadable(`'${this.text}'`, "divide by a number that is written there, and not 0");
    }
    const combine = ARITHMETIC[sign];
    return (q, kv, s) => combine(x(q, kv, s), y(q, kv, s));
  }

  lookUp({ name, at }) {
    this.reads.add(name);
    return at === "q" ? (q, kv, s) => s[name][q] : (q, kv, s) => s[name][kv];
  }

  // -- errors ----------------------------------------------------------------------------------------

  get known() {
    return `known masks: ${Object.keys(MASKS).sort().join(", ")}`;
  }

  unreadable(part, hint = `write names or comparisons such as (kv <= q), joined by & | ~ ( ); ${this.known}`) {
    return new Error(`cannot read ${part}; ${hint}`);
  }
}
