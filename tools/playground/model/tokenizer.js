/** Text to tokens and back, and how a dialogue is written: tokenizer.py and dialogue.py. */

const [SYSTEM, USER, ASSISTANT, END, PAD] = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"];
const FRAMES = { system: [[SYSTEM], []], user: [[USER], [ASSISTANT]], assistant: [[], [END]] }; // before, after a text
const NEVER_WRITTEN = [SYSTEM, USER, ASSISTANT, PAD]; // markers that no answer holds
const QUOTES = { "‘": "'", "’": "'", "“": '"', "”": '"' };

class Tokenizer {
  /** From a rank file, lines of `base64(token) rank`, and its description. Bytes are letters 0 to 255 of a string. */
  constructor(ranks, about) {
    this.bytes = ranks.trim().split("\n").map((line) => atob(line.split(" ")[0]));
    this.ranks = new Map(this.bytes.map((token, rank) => [token, rank]));
    this.specials = about.specials;
    for (const [marker, id] of Object.entries(this.specials)) this.bytes[id] = marker;
    this.vocabSize = about.vocab_size;
    const space = (letter) => `\\${letter}{White_Space}`; // what \s means to Python; JavaScript's has other members
    this.pattern = new RegExp(about.pattern.replaceAll("\\s", space("p")).replaceAll("\\S", space("P")), "gu");
  }

  /** The tokens of a text; one that spells a marker stays text. */
  encode(text) {
    return [...text.matchAll(this.pattern)].flatMap(([word]) => this.bytePairMerge(new TextEncoder().encode(word)));
  }

  /** Join the pair of lowest rank, the leftmost first, until none is left to be joined. */
  bytePairMerge(bytes) {
    const parts = Array.from(bytes, (byte) => String.fromCharCode(byte));
    for (;;) {
      let [least, place] = [Infinity, -1];
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = this.ranks.get(parts[i] + parts[i + 1]) ?? Infinity;
        if (rank < least) [least, place] = [rank, i];
      }
      if (place < 0) return parts.map((part) => this.ranks.get(part));
      parts.splice(place, 2, parts[place] + parts[place + 1]);
    }
  }

  /** What somebody typed, as it is tokenised: typed.py. */
  normalised(text) {
    const spaced = text.normalize("NFC").replace(/((?!\n)\p{White_Space})+/gu, " ").trim();
    const plain = (found) => (this.encode(found).length === 1 ? found : (QUOTES[found] ?? found.trim()));
    const typed = spaced.replace(/[‘’“”]| [?!.,;:](?=\p{White_Space}|$)/gu, plain);
    const small = typed.toLowerCase();
    const isLoud = typed === typed.toUpperCase() && this.encode(small).length < this.encode(typed).length;
    return isLoud ? small : typed;
  }

  /** The bytes of one token, which may be a part of a character. */
  decodeSingleTokenBytes(token) {
    return Uint8Array.from(this.bytes[token], (letter) => letter.charCodeAt(0));
  }

  decode(tokens) {
    const bytes = tokens.flatMap((token) => [...this.decodeSingleTokenBytes(token)]);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  }

  /** The tokens of one message. The assistant's marker belongs to the query: it is the first to predict the answer. */
  encodeMessage({ role, content }) {
    const [before, after] = FRAMES[role].map((markers) => markers.map((marker) => this.specials[marker]));
    return [...before, ...this.encode(` ${role === "assistant" ? content : this.normalised(content)}`), ...after];
  }
}
