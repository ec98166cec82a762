/**
 * The playground's model and engine, asked the questions of tests/test_playground.py: `node FILE MODEL DATA QUESTIONS`.
 *
 * QUESTIONS is a JSON file; the answers go to standard output as JSON, and logits to `QUESTIONS.logits` as float32.
 */

function answers(questions) {
  const tokenizer = new Tokenizer(SHIPPED.tokenizer.ranks, SHIPPED.tokenizer.about);
  const models = {};
  for (const [name, weights] of Object.entries(SHIPPED.models)) {
    models[name] = new GPT(bytesOf(weights));
  }
  const logits = [];
  const rows = (all, first) => all.subarray(first * tokenizer.vocabSize);

  /** Scores of every token of the last answer and of its end, in one forward without a cache. */
  const uncached = (model, mask, messages) => {
    const pieces = messages.map((message) => tokenizer.encodeMessage(message));
    const [tokens, last] = [pieces.flat(), pieces.at(-1).length];
    const segments = segmentsOf(messages.map(({ role }, n) => [role, pieces[n].length]));
    const allowed = readMask(mask).dense(segments).cells;
    const all = models[model].compute(tokens, allowed, models[model].newCache(), { logitsAt: 0 });
    return rows(all, tokens.length - last - 1).slice(0, last * tokenizer.vocabSize);
  };

  /** The same for every answer, by an engine that hears the dialogue message by message and token by token. */
  const cached = (model, mask, messages) => {
    const session = new ChatSession(models[model], tokenizer, readMask(mask));
    for (const message of messages) {
      if (message.role !== "assistant") {
        session.say(message.role, message.content);
        continue;
      }
      logits.push(session.compute("prefill"));
      const piece = tokenizer.encodeMessage(message);
      session.messages.push(message);
      session.pieces.push([]);
      piece.forEach((token, place) => {
        session.pieces.at(-1).push(token);
        const next = session.compute("decode");
        if (place + 1 < piece.length) logits.push(next);
      });
    }
  };

  /** A conversation: its replies, why they ended, and what was computed, without times. */
  const talked = (model, mask, texts, back) => {
    const session = new ChatSession(models[model], tokenizer, readMask(mask));
    const replies = texts.map((text) => {
      const { text: answer, tokens, stopped } = session.send(text, { maxNewTokens: 40, stopLoops: true });
      return [answer, tokens, stopped];
    });
    if (back !== undefined) session.truncate(back);
    return { replies, trace: session.trace.map((e) => [e.turn, e.phase, e.start, e.stop, e.flops, e.kvBytes]) };
  };

  const kept = (rule, before, after) => {
    try {
      return reusable(readMask(rule), segmentsOf(before), segmentsOf(after));
    } catch (error) {
      return String(error.message).split(";")[0];
    }
  };

  const refused = (rule) => {
    try {
      readMask(rule);
      return null;
    } catch (error) {
      return error.message;
    }
  };

  for (const [model, mask, messages] of questions.uncached) logits.push(uncached(model, mask, messages));
  for (const [model, mask, messages] of questions.cached) cached(model, mask, messages);
  const said = {
    tokens: questions.texts.map((text) => tokenizer.encode(text)),
    decoded: questions.texts.map((text) => tokenizer.decode(tokenizer.encode(text))),
    typed: questions.typed.map((text) => tokenizer.normalised(text)),
    talks: questions.talks.map((talk) => talked(...talk)),
    reusable: questions.reusable.map((question) => kept(...question)),
    refused: questions.refused.map(refused),
    loops: questions.loops.map(loopStart),
    drawn: questions.drawn.map(([scores, temperature, seed, count]) => {
      const sampler = new Sampler(tokenizer, temperature, seed);
      return Array.from({ length: count }, () => sampler.pick(scores));
    }),
  };
  return { said, logits };
}

if (typeof process !== "undefined") {
  const fs = require("node:fs");
  const [model, data, file] = process.argv.slice(2);
  const scripts = [data, model].map((path) => fs.readFileSync(path, "utf8")).join("\n");
  const ask = new Function(`${scripts}\nreturn ${answers};`)();
  const { said, logits } = ask(JSON.parse(fs.readFileSync(file, "utf8")));
  const bytes = logits.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength));
  fs.writeFileSync(`${file}.logits`, Buffer.concat(bytes));
  console.log(JSON.stringify(said));
}
