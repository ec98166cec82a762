/**
 * The GPT, whose attention mask is an argument: model.py, functional.py, cache.py and the reading of checkpoints.py.
 *
 * Shapes: T tokens of the chunk, S = positions before the chunk + T, C width, H heads, D = C / H, V vocabulary.
 * A matrix [T, C] is a Float32Array of T * C numbers, row after row.
 */

/** `x [T, C]` times the transpose of `weight [R, C]`: `[T, R]`. */
function linear(x, weight, C) {
  const [T, R] = [x.length / C, weight.length / C];
  const y = new Float32Array(T * R);
  for (let t = 0; t < T; t++) {
    for (let r = 0; r < R; r++) y[t * R + r] = dot(x, t * C, weight, r * C, C);
  }
  return y;
}

/** The dot product of `C` numbers from place `a` of `x` and from place `b` of `y`. */
function dot(x, a, y, b, C) {
  // Four sums that wait for none of the others take half as long as one. In a list they would take longer than one.
  let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  const end = a + C;
  for (; a + 3 < end; a += 4, b += 4) {
    s0 += x[a] * y[b];
    s1 += x[a + 1] * y[b + 1];
    s2 += x[a + 2] * y[b + 2];
    s3 += x[a + 3] * y[b + 3];
  }
  for (; a < end; a++, b++) s0 += x[a] * y[b];
  return s0 + s1 + s2 + s3;
}

/** Scale each position's channels to a mean square of 1, then by `weight [C]`. */
function rmsNorm(x, weight) {
  const C = weight.length;
  const y = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += C) {
    let squares = 0;
    for (let c = 0; c < C; c++) squares += x[start + c] ** 2;
    const scale = 1 / (Math.sqrt(squares / C) + 1e-6);
    for (let c = 0; c < C; c++) y[start + c] = x[start + c] * weight[c] * scale;
  }
  return y;
}

/** The cosine and sine of each position's angles, `[context, half]`; channel i rotates together with i + half. */
function rotaryTable(context, half, theta) {
  const angles = new Float32Array(context * half);
  for (let i = 0; i < half; i++) {
    const frequency = Math.fround(theta ** (-i / half));
    for (let place = 0; place < context; place++) angles[place * half + i] = place * frequency;
  }
  return { cos: angles.map(Math.cos), sin: angles.map(Math.sin), half };
}

/** Rotate one head's first channels, which begin at `start` of `x`, by the angles of a position. In place. */
function applyRotary(x, start, { cos, sin, half }, place) {
  for (let i = 0; i < half; i++) {
    const [c, s, first, second] = [cos[place * half + i], sin[place * half + i], x[start + i], x[start + half + i]];
    x[start + i] = first * c - second * s;
    x[start + half + i] = second * c + first * s;
  }
}

/** The softmax of scores in place; a score of minus infinity becomes exactly 0. */
function softmax(scores) {
  let [most, sum] = [-Infinity, 0];
  for (let i = 0; i < scores.length; i++) if (scores[i] > most) most = scores[i];
  for (let i = 0; i < scores.length; i++) sum += scores[i] = Math.exp(scores[i] - most);
  for (let i = 0; i < scores.length; i++) scores[i] /= sum;
  return scores;
}

/** Keys and values `[capacity, C]` of the positions that a model has read, for each layer. */
class KVCache {
  constructor(layers, C, capacity) {
    const room = () => Array.from({ length: layers }, () => new Float32Array(capacity * C));
    Object.assign(this, { keys: room(), values: room(), tokens: [], C });
  }

  get length() {
    return this.tokens.length;
  }

  /** Put a chunk's key and value of one position behind those that are there; they count after `advance`. */
  write(layer, place, key, value) {
    this.keys[layer].set(key, place * this.C);
    this.values[layer].set(value, place * this.C);
  }

  advance(tokens) {
    this.tokens.push(...tokens);
  }

  truncate(length) {
    this.tokens.length = length;
  }
}

class GPT {
  /** From the bytes of a checkpoint (safetensors), whose float16 or float32 numbers are widened to float32. */
  constructor(bytes) {
    const head = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    const { __metadata__: about, ...tensors } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + head)));
    this.config = JSON.parse(about.model);
    this.weights = {};
    for (const [name, { dtype, data_offsets }] of Object.entries(tensors)) {
      const [start, stop] = data_offsets.map((offset) => 8 + head + offset);
      const stored = bytes.slice(start, stop).buffer;
      this.weights[name] = dtype === "F16" ? widen(new Uint16Array(stored)) : new Float32Array(stored);
    }
    const { width, heads, context, rotary_pct, rope_theta } = this.config;
    this.headDim = width / heads;
    this.rotary = rotaryTable(context, Math.floor(Math.floor(rotary_pct * this.headDim) / 2), rope_theta);
  }

  /**
   * Read a chunk of tokens.
   *
   * @param {number[]} tokens the chunk that follows what the cache holds
   * @param {?Uint8Array} mask its rows `[T, S]`, 1 = may attend; null = all may be seen
   * @param {KVCache} cache of the positions before; the chunk is added to it
   * @param {{logitsAt?: number, attentions?: Float32Array[]}} options the first of the chunk's positions whose logits
   *   are wanted, default the last one; and a list for each layer's attention weights `[H, T, S]`
   * @returns {Float32Array} logits `[N, V]`
   */
  compute(tokens, mask, cache, { logitsAt = tokens.length - 1, attentions } = {}) {
    const { layers, width: C } = this.config;
    const weights = (layer, name) => this.weights[`blocks.${layer}.${name}`];
    let x = this.tokenShift(tokens, mask, cache);
    const add = (y) => y.forEach((value, i) => (x[i] += value));
    for (let layer = 0; layer < layers; layer++) {
      const heads = linear(rmsNorm(x, weights(layer, "norm1")), weights(layer, "attention.qkv"), C);
      const y = this.attention(heads, mask, cache, layer, attentions);
      add(linear(y, weights(layer, "attention.out"), C));
      const up = linear(rmsNorm(x, weights(layer, "norm2")), weights(layer, "mlp.up"), C);
      add(linear(up.map((value) => (value > 0 ? value * value : 0)), weights(layer, "mlp.down"), 4 * C));
    }
    cache.advance(tokens);
    x = rmsNorm(x.subarray(logitsAt * C), this.weights.norm).map((value) => value * C ** -0.5);
    return linear(x, this.weights["embed.weight"], C);
  }

  /** The chunk's embeddings `[T, C]`, each with a learned map of those just before it that the mask lets it see. */
  tokenShift(tokens, mask, cache) {
    const { width: C, token_shift: reach } = this.config;
    const [T, start, embed] = [tokens.length, cache.length, this.weights["embed.weight"]];
    const embedding = (token) => embed.subarray(token * C, (token + 1) * C);
    const x = new Float32Array(T * C);
    tokens.forEach((token, t) => x.set(embedding(token), t * C));
    if (!reach) return x;
    const near = new Float32Array(T * reach * C); // the nearest first
    for (let t = 0; t < T; t++) {
      for (let back = 1; back <= Math.min(reach, start + t); back++) {
        const before = start + t - back;
        if (mask && !mask[t * (start + T) + before]) continue;
        near.set(embedding(before < start ? cache.tokens[before] : tokens[before - start]), (t * reach + back - 1) * C);
      }
    }
    linear(near, this.weights["shift.weight"], reach * C).forEach((value, i) => (x[i] += value));
    return x;
  }

  /** Attend from a chunk: queries, keys and values `[T, 3 * C]` to `[T, C]`. The mask alone says who hears whom. */
  attention(qkv, mask, cache, layer, attentions) {
    const { width: C, heads: H } = this.config;
    const [D, T, start] = [this.headDim, qkv.length / (3 * C), cache.length];
    const S = start + T;
    for (let t = 0; t < T; t++) {
      const row = qkv.subarray(3 * t * C, 3 * (t + 1) * C);
      for (let head = 0; head < 2 * H; head++) applyRotary(row, head * D, this.rotary, start + t);
      cache.write(layer, start + t, row.subarray(C, 2 * C), row.subarray(2 * C));
    }
    const [keys, values, y] = [cache.keys[layer], cache.values[layer], new Float32Array(T * C)];
    const kept = attentions && new Float32Array(H * T * S);
    const scores = new Float32Array(S);
    for (let h = 0; h < H; h++) {
      for (let t = 0; t < T; t++) {
        for (let kv = 0; kv < S; kv++) {
          let score = 0;
          for (let d = 0, a = 3 * t * C + h * D, b = kv * C + h * D; d < D; d++) score += qkv[a + d] * keys[b + d];
          scores[kv] = !mask || mask[t * S + kv] ? score / Math.sqrt(D) : -Infinity;
        }
        softmax(scores);
        kept?.set(scores, (h * T + t) * S);
        for (let kv = 0; kv < S; kv++) {
          if (scores[kv]) for (let d = 0; d < D; d++) y[t * C + h * D + d] += scores[kv] * values[kv * C + h * D + d];
        }
      }
    }
    attentions?.push(kept);
    return y;
  }

  newCache() {
    return new KVCache(this.config.layers, this.config.width, this.config.context);
  }

  /** Floating-point operations of a forward with so many (query, key) pairs. */
  flops(tokens, pairs, logits = 1) {
    const { layers, width: C, token_shift, vocab_size } = this.config;
    const perToken = (12 * layers + token_shift) * C ** 2;
    return 2 * (tokens * perToken + pairs * 2 * layers * C + logits * C * vocab_size);
  }

  /** Bytes that the keys and values of so many positions take. */
  kvBytes(positions) {
    return 2 * this.config.layers * this.config.width * positions * 4;
  }
}

/** float16 numbers, given as their bits, as float32. */
function widen(halves) {
  const numbers = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) {
    const exponent = (halves[i] >> 10) & 31;
    const fraction = (halves[i] & 1023) / 1024;
    const size = exponent ? (1 + fraction) * 2 ** (exponent - 15) : fraction * 2 ** -14;
    numbers[i] = halves[i] >> 15 ? -size : size;
  }
  return numbers;
}

/** The bytes that base64 spells. */
function bytesOf(base64) {
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** One dialogue as a model's heads read it under a rule: the mask, and weights `[H, T, T]` by layer. */
function readAttention(model, { tokens, segments }, mask) {
  const [allowed, attentions] = [mask.dense(segments), []];
  const logits = model.compute(tokens, allowed.cells, model.newCache(), { logitsAt: 0, attentions });
  return { allowed, attentions, logits };
}
