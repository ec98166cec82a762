/** One conversation over one KV cache: planner.py, sampling.py, replies.py, trace.py and chat.py. */

/** Knows the mask of the positions computed so far, and plans what a longer or changed dialogue needs. */
class Planner {
  constructor(mask, capacity) {
    Object.assign(this, { mask, length: 0, allowed: new Dense(capacity), asked: {} });
  }

  /** The latest plan's mask of the positions from `start` on, rows `[stop - start, stop]`. */
  rows(start, stop) {
    const { cells, size } = this.allowed;
    const rows = new Uint8Array((stop - start) * stop);
    for (let q = start; q < stop; q++) rows.set(cells.subarray(q * size, q * size + stop), (q - start) * stop);
    return rows;
  }

  /** How many of the computed positions are still right, and whether all others see the whole dialogue. */
  plan(s) {
    const [stop, held] = [s.length, this.length];
    // A pair's answer changes only with what the rule reads at its two positions: old answers stand if that does.
    const stands = 0 < held && held <= stop && this.mask.reads.every((field) => this.unchanged(s[field], field, held));
    const allowed = stands ? this.grown(s, held) : this.mask.dense(s);
    this.keep(unchangedPrefix(this.allowed, allowed, held));
    for (let q = 0; q < stop; q++) {
      this.allowed.cells.set(allowed.cells.subarray(q * stop, (q + 1) * stop), q * this.allowed.size);
    }
    this.asked = Object.fromEntries(this.mask.reads.map((field) => [field, s[field]]));
    return { kept: this.length, stop, seesAll: !allowed.cells.includes(0, this.length * stop) };
  }

  unchanged(now, field, held) {
    const before = this.asked[field];
    for (let i = 0; i < held; i++) if (now[i] !== before[i]) return false;
    return true;
  }

  /** The matrix of a dialogue whose first positions answer as before: only new rows and columns are asked for. */
  grown(s, held) {
    const allowed = new Dense(s.length);
    for (let q = 0; q < s.length; q++) {
      const before = q * this.allowed.size;
      if (q < held) allowed.cells.set(this.allowed.cells.subarray(before, before + held), q * s.length);
      for (let kv = q < held ? held : 0; kv < s.length; kv++) if (this.mask.rule(q, kv, s)) allowed.set(q, kv, 1);
      this.mask.checkRow(allowed.cells.indexOf(1, q * s.length), q, s.length);
    }
    return allowed;
  }

  keep(length) {
    this.length = Math.min(this.length, length);
  }

  /** Forget what was computed past so many positions, and whatever saw any of it. */
  keepRight(length) {
    if (length < this.length) this.keep(lastBorder(this.allowed, this.length, length));
  }
}

/** Picks a token from scores: the likeliest, or one drawn with a seed; never one that no answer holds. */
class Sampler {
  constructor(tokenizer, temperature = 0, seed = 0) {
    this.forbidden = new Set(NEVER_WRITTEN.map((marker) => tokenizer.specials[marker]));
    Object.assign(this, { temperature, state: seed >>> 0 });
  }

  pick(logits) {
    const scores = Float64Array.from(logits, (score, token) => (this.forbidden.has(token) ? -Infinity : score));
    const best = scores.indexOf(scores.reduce((a, b) => Math.max(a, b), -Infinity));
    if (!Number.isFinite(scores[best])) throw new Error("the model's scores are not finite: its weights are damaged");
    if (this.temperature === 0) return best;
    let left = this.random();
    const odds = softmax(scores.map((score) => (score - scores[best]) / this.temperature));
    const drawn = odds.findIndex((share) => (left -= share) < 0);
    return drawn < 0 ? best : drawn;
  }

  /** The next number from 0 to 1 of a generator that is the same on every machine (mulberry32). */
  random() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}

const [LONGEST_PERIOD, COPIES] = [8, 4];

/** Where the second copy begins, if tokens end in four copies of the same few; null if they do not. */
function loopStart(tokens) {
  for (let period = 1; period <= LONGEST_PERIOD; period++) {
    const start = tokens.length - COPIES * period;
    if (start < 0) return null;
    if (tokens.slice(start, -period).every((token, i) => token === tokens[start + i + period])) return start + period;
  }
  return null;
}

/** An answer as it is written: its tokens, the scores they were picked from, and what may be shown of its text. */
class AnswerWriter {
  constructor(tokenizer, longest, stopLoops) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true }); // a character may be several tokens
    Object.assign(this, { tokenizer, longest, stopLoops, decoder, tokens: [], logits: [], text: "" });
  }

  add(token) {
    this.text += this.decoder.decode(this.tokenizer.decodeSingleTokenBytes(token), { stream: true });
    this.tokens.push(token);
    return this.text.replace(/^ /, "");
  }

  /** Why the answer must not go on, if it must not. */
  full(room) {
    if (this.stopLoops && loopStart(this.tokens) !== null) return "loop";
    if (room === 1) return "context"; // for the end marker
    return this.tokens.length >= this.longest ? "length" : null;
  }

  reply(stopped) {
    const text = this.tokenizer.decode(this.tokens).replace(/^ /, "");
    return { text, tokens: this.tokens, logits: this.logits, stopped };
  }
}

const SHORTEST_ANSWER = 2; // one token, and the end
const SHORTEST_TURN = 3 + SHORTEST_ANSWER; // two markers and a token between them

class ChatSession {
  constructor(model, tokenizer, mask, system = "") {
    const [cache, planner] = [model.newCache(), new Planner(mask, model.config.context)];
    Object.assign(this, { model, tokenizer, mask, cache, planner, trace: [], messages: [], pieces: [], reply: null });
    if (system) this.say("system", system);
    if (this.room < SHORTEST_TURN) throw new RangeError("the system prompt leaves no room for a turn");
  }

  say(role, content) {
    this.pieces.push(this.tokenizer.encodeMessage({ role, content })); // the tokens of each message
    this.messages.push({ role, content });
  }

  get tokens() {
    return this.pieces.flat();
  }

  get segments() {
    return segmentsOf(this.messages.map(({ role }, n) => [role, this.pieces[n].length]));
  }

  get turn() {
    return this.messages.filter(({ role }) => role === "user").length;
  }

  get room() {
    return this.model.config.context - this.pieces.reduce((sum, { length }) => sum + length, 0);
  }

  /** Say something and wait for the whole reply. */
  send(text, options) {
    for (const _ of this.stream(text, options));
    return this.reply;
  }

  /** Say something and get, with each token, the text so far. Left half-way, it keeps what was written. */
  *stream(text, { maxNewTokens = 64, temperature = 0, seed = 0, stopLoops = false } = {}) {
    const needed = this.tokenizer.encodeMessage({ role: "user", content: text }).length + SHORTEST_ANSWER;
    if (needed > this.room) {
      const left = `${this.room} of ${this.model.config.context} are left`;
      throw new RangeError(`the message needs ${needed} positions, and ${left}: make it shorter, or start over`);
    }
    const sampler = new Sampler(this.tokenizer, temperature, seed);
    const writer = new AnswerWriter(this.tokenizer, maxNewTokens, stopLoops);
    let [stopped, end] = ["interrupted", this.tokenizer.specials[END]];
    this.say("user", text);
    this.messages.push({ role: "assistant", content: "" });
    this.pieces.push(writer.tokens); // grows as the answer does
    try {
      writer.logits.push(this.compute("prefill"));
      for (let token; (token = sampler.pick(writer.logits.at(-1))) !== end; ) {
        const written = writer.add(token);
        yield { token, text: written, logits: writer.logits.at(-1) };
        const full = writer.full(this.room);
        if (full) {
          stopped = full;
          break;
        }
        writer.logits.push(this.compute("decode"));
      }
      if (stopped === "interrupted") stopped = "end";
    } finally {
      if (writer.tokens.length || stopped === "end") {
        this.reply = writer.reply(stopped);
        this.messages.at(-1).content = this.reply.text;
        this.pieces[this.pieces.length - 1] = [...writer.tokens, end];
        this.compute("decode"); // the end is read at once, so that the next turn starts with its query
      } else {
        this.truncate(this.turn - 1);
      }
    }
  }

  /** Go back to the end of an earlier turn. */
  truncate(turns) {
    const kept = 2 * turns + (this.messages[0]?.role === "system" ? 1 : 0);
    this.messages.length = this.pieces.length = kept;
    if (kept) this.revise();
    else this.discard(0);
  }

  /** Read all tokens that are not in the cache yet; the last one's logits `[V]`. */
  compute(phase) {
    const begin = performance.now();
    const { kept, stop, seesAll } = this.revise();
    if (phase === "prefill" && kept) this.note("reuse", 0, kept);
    const chunk = this.tokens.slice(kept);
    const logits = this.model.compute(chunk, seesAll ? null : this.planner.rows(kept, stop), this.cache);
    this.planner.length = stop;
    this.note(phase, kept, stop, performance.now() - begin, this.model.flops(stop - kept, (stop - kept) * stop));
    return logits;
  }

  /** Throw away what the cache holds and the conversation, as it is, cannot use; what is left to be computed. */
  revise() {
    const tokens = this.tokens;
    const differs = this.cache.tokens.findIndex((token, i) => token !== tokens[i]); // compared, never trusted
    this.planner.keepRight(differs < 0 ? this.cache.length : differs);
    const plan = this.planner.plan(this.segments);
    this.discard(this.planner.length);
    return plan;
  }

  discard(length) {
    const held = this.cache.length;
    this.planner.keep(length);
    this.cache.truncate(Math.min(length, held));
    if (held > length) this.note("discard", length, held);
  }

  note(phase, start, stop, milliseconds = 0, flops = 0) {
    const kvBytes = this.model.kvBytes(this.cache.length);
    this.trace.push({ turn: this.turn, phase, start, stop, milliseconds, flops, kvBytes });
  }
}

/** A trace summed up by turn. */
function turnCosts(trace) {
  return [...new Set(trace.map(({ turn }) => turn))].sort((a, b) => a - b).map((turn) => {
    const events = trace.filter((event) => event.turn === turn);
    const sum = (value, wanted) =>
      events.reduce((total, event) => total + (!wanted || event.phase === wanted ? value(event) : 0), 0);
    const positions = ({ start, stop }) => stop - start;
    return {
      turn,
      reused: sum(positions, "reuse"),
      discarded: sum(positions, "discard"),
      prefilled: sum(positions, "prefill"),
      decoded: sum(positions, "decode"),
      firstToken: sum((event) => event.milliseconds, "prefill"),
      milliseconds: sum((event) => event.milliseconds),
      flops: sum((event) => event.flops),
      kvBytes: events.at(-1).kvBytes,
    };
  });
}
