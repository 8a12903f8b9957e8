/* Starts the page: opens the data, chooses what is worth seeing first, goes where the address asks, and says when it is
 * ready. Then keys and theme. */

window.scry = {
  state,
  update,
  data
};

function setTheme() {
  resolved = null;
  document.documentElement.dataset.theme = state.theme;
  byId("theme").textContent = `${themeSigns[state.theme]} ${state.theme}`;
}
const themeSigns = {
  system: "◐",
  light: "☀",
  dark: "☾"
};
const nextTheme = () => update({theme: {system: "light", light: "dark", dark: "system"}[state.theme]});

/* Where to look first: where the last token looks hardest. */
function chooseFirst() {
  const last = Math.max(0, tokenCount - 1); /* a page of many prompts has no tokens */
  Object.assign(state, {query: last, position: last});
  if (attention) {
    limits.layer = limits.otherLayer = [0, attention.layers - 1];
    limits.head = limits.otherHead = [0, attention.heads - 1];
    const look = data.attention.look || {layer: attention.codes.findIndex(Boolean), head: 0, key: 0};
    Object.assign(state, {layer: look.layer, head: look.head, key: look.key});
    if (tokenCount > 48)
      Object.assign(state, {curve: "root", shown: String(look.head)}); /* many tokens: small weights, many lines */
  }
  if (data.lens) {
    limits.lensLayer = [0, data.lens.layer_count - 1];
    state.lensLayer = data.lens.layer_count - 1;
  }
  Object.assign(start, state);
}

const keys = {
  "[": () => stepView(-1),
  "]": () => stepView(1),
  l: () => update({layer: state.layer + 1}),
  L: () => update({layer: state.layer - 1}),
  h: () => update({head: state.head + 1}),
  H: () => update({head: state.head - 1}),
  n: () => update({query: state.query + 1, position: state.position + 1}),
  p: () => update({query: state.query - 1, position: state.position - 1}),
  t: nextTheme,
  Escape: () => update({locked: 0}),
};
function stepView(by) {
  const ids = [...views.keys()], at = ids.indexOf(state.view);
  openView(ids[(at + by + ids.length) % ids.length]);
}
document.addEventListener("keydown", event => {
  const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey || (typing && event.key !== "Escape") || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

async function startPage() {
  attention = typeof DecompressionStream === "undefined" ? null : await openAttention(data.attention);
  if (attention && data.comparison)
    compared = await Promise.all(data.comparison.attention.map(object => object ? openAttention(object) : attention));
  openers.forEach(open => open());
  chooseFirst();
  const asked = readAddress();
  for (const [name, value] of Object.entries(asked)) state[name] = allowed(name, value);
  if (state.key > state.query) state.key = state.query;
  setTheme();
  startViews();
  if (!asked.view && data.comparison && views.has("comparison")) state.view = "comparison";
  if (!asked.view && patchWays().length && !data.attention) state.view = "patching";
  if (!views.has(state.view)) state.view = "overview";
  switchView();
  showView({});
  subscribe(changes => {
    if ("theme" in changes) setTheme();
  });
  byId("theme").addEventListener("click", nextTheme);
  darkSystem.addEventListener("change", () => {
    setTheme();
    for (const view of views.values()) view.stale = true;
    showView({theme: true});
  });
  byId("tools").hidden = false;
  document.documentElement.dataset.ready = "1";
}
startPage();
