/** What is said and shown, as one plain object; it lives in the address after `#`, so that a view can be shared. */

const VIEWS = ["film", "mask", "attention"];
const LANES = Object.keys(SHIPPED.models);
const [MOST_MESSAGES, MOST_LETTERS] = [40, 600];

const DEFAULTS = {
  say: SHIPPED.opening, // what the reader says, turn by turn; the models answer
  system: "", // a system prompt
  weights: "", // "" = three models, each under its own mask; or one model's weights under all three
  focus: "ism", // the lane whose dialogue the maps show
  view: "film",
  rule: "", // of the mask map; "" = that of the lane
  row: 4, // the token that reads in the maps
  layer: 1,
  head: 0,
  under: "", // the mask of the attention map; "" = that of the lane
  minus: "", // what is taken away from it; "" = nothing
  temperature: 0,
  seed: 1,
  words: 1, // whether the next words are shown
};

/** The state that an address spells; what is not understood is left at its default. */
function readState(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const state = { ...DEFAULTS };
  for (const [key, usual] of Object.entries(DEFAULTS)) {
    if (key === "say" || !given.has(key)) continue;
    const value = given.get(key).slice(0, MOST_LETTERS);
    if (typeof usual === "string") state[key] = value;
    else if (value !== "" && Number.isFinite(Number(value))) state[key] = Number(value);
  }
  if (given.has("say")) {
    const texts = given.getAll("say").map((text) => text.trim().slice(0, MOST_LETTERS));
    state.say = texts.filter(Boolean).slice(0, MOST_MESSAGES);
  }
  if (!VIEWS.includes(state.view)) state.view = DEFAULTS.view;
  if (!LANES.includes(state.focus)) state.focus = DEFAULTS.focus;
  if (!LANES.includes(state.weights)) state.weights = "";
  state.temperature = Math.min(Math.max(state.temperature, 0), 2);
  return state;
}

/** The address of a state: only what differs from the defaults. */
function writeState(state) {
  const spelled = new URLSearchParams();
  for (const [key, usual] of Object.entries(DEFAULTS)) {
    if (key !== "say" && state[key] !== usual) spelled.set(key, state[key]);
  }
  if (JSON.stringify(state.say) !== JSON.stringify(DEFAULTS.say)) {
    for (const text of state.say.length ? state.say : [""]) spelled.append("say", text);
  }
  return `#${spelled}`;
}
