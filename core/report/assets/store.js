/* What is chosen: one state for the whole page. Views say what they watch and draw again when it changes; the address
 * keeps whatever differs from the start, so that a link leads to the same picture. */

const state = {
  view: "overview",
  layer: 0,
  head: 0,
  query: 0,
  key: 0,
  theme: "system",
  curve: "linear", /* how weights become colours: linear or root */
  over: "head", /* whose attention: of the chosen head, the mean of its layer, or of all heads */
  shown: "all", /* heads of the head view: "all", or "0,3,5" */
  direction: "from", /* the text view: what a token looks at, or what looks at it */
  locked: 0, /* the head view: 1 where the chosen token alone is shown */
  against: "nothing", /* what the heat map subtracts */
  otherLayer: 0,
  otherHead: 0,
  zoom: 0, /* cells on the heat map's side; 0: all */
  lensLayer: 0,
  position: 0,
  measure: "probability",
  score: "previous",
  order: "layer",
  step: 0,
  effect: "logit",
  checkpoint: 0,
  baseline: 0,
  change: "largest",
  patchWay: "denoise",
  patchMetric: "effect",
  patchStatistic: "mean", /* of many pairs: their mean or standard deviation */
  patchKind: "resid_pre",
  patchPosition: 0,
};

/* [least, most] of numbers; views add theirs. */
const limits = {
  query: [0, tokenCount - 1],
  key: [0, tokenCount - 1],
  position: [0, tokenCount - 1],
  locked: [0, 1]
};
const start = {}; /* the state that an address without details means */
const subscribers = [];

/* Called with the changes, {name: value}. */
const subscribe = listener => subscribers.push(listener);

function allowed(name, value) {
  if (typeof state[name] !== "number") return String(value);
  const number = Math.round(Number(value)) || 0;
  return limits[name] ? clamp(number, ...limits[name]) : number;
}

function update(changes) {
  const real = {};
  for (const [name, value] of Object.entries(changes)) {
    const taken = allowed(name, value);
    if (taken !== state[name]) real[name] = state[name] = taken;
  }
  if (state.key > state.query && ("query" in real || "key" in real)) { /* later tokens are not seen */
    if ("key" in real)
      real.query = state.query = state.key;
    else
      real.key = state.key = state.query;
  }
  if (!Object.keys(real).length) return;
  for (const listener of subscribers) listener(real);
  writeAddress();
}

/* "#heatmap?layer=3&head=5" */
function readAddress() {
  const [view, details = ""] = location.hash.slice(1).split("?");
  const asked = {};
  for (const [name, value] of new URLSearchParams(details))
    if (name in state && name !== "view") asked[name] = value;
  if (view) asked.view = view;
  return asked;
}

/* Not while a choice moves quickly: browsers refuse more than some twenty changes a second. */
let writing = 0;
function writeAddress() {
  clearTimeout(writing);
  writing = setTimeout(() => {
    const details = new URLSearchParams();
    for (const [name, value] of Object.entries(state))
      if (name !== "view" && value !== start[name]) details.set(name, value);
    const text = details.toString();
    history.replaceState(null, "", "#" + state.view + (text ? "?" + text : ""));
  }, 200);
}
window.addEventListener("hashchange", () => update(readAddress()));
