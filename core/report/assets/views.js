/* Views: each file in views/ defines one, for the section of the same id. One is shown at a time; it is built when it
 * is first opened and draws again when something that it watches changes.
 *
 * defineView(id, {title, watch: [names], choice: [names], build(body), draw(changes), picture(), table(), json()}):
 * choice names the controls of the common bar that it uses; picture() is {layout, draw} as figures have it,
 * table() {columns, rows}; json() only where rows do not say it all. */

const views = new Map();
const openers = []; /* called before the first view is shown, in the order of the files: each defines its view where the
                       report has what it shows */

function defineView(id, view) {
  view.file = view.file || (() => `scry-${id}`);
  views.set(id, {id, built: false, stale: true, ...view});
}

/* Changes that every view draws anew for. */
const always = ["theme", "size"];

function showView(changes) {
  const view = views.get(state.view), section = byId(view.id);
  if (!view.built) {
    view.built = true;
    const body = element("div", {className: "view"});
    view.build(body);
    section.append(body);
    section.querySelector("h2").after(exportButtons(view));
    view.stale = true;
  }
  if (view.stale || [...always, ...view.watch].some(name => name in changes))
    view.draw(view.stale ? {...state, size: true} : changes);
  view.stale = false;
}

function switchView() {
  for (const view of views.values()) {
    byId(view.id).hidden = view.id !== state.view;
    if (view.id === state.view)
      view.link.setAttribute("aria-current", "page");
    else
      view.link.removeAttribute("aria-current");
  }
  showChoice(views.get(state.view));
  const title = views.get(state.view).title;
  document.title = document.title.replace(/^(.* · )?/, state.view === "overview" ? "" : title + " · ");
}

function startViews() {
  byId("views").append(...[...views.values()].map(view => {
    view.link = element("a", {href: "#" + view.id, textContent: view.title});
    return view.link;
  }));
  byId("views").addEventListener("click", event => { /* the choice goes along */
                                                     const link = event.target.closest("a");
                                                     if (!link) return;
                                                     event.preventDefault();
                                                     openView(link.getAttribute("href").slice(1));
  });
  subscribe(changes => {
    if (!views.has(state.view)) state.view = "overview";
    for (const view of views.values())
      if (view.id !== state.view && [...always, ...view.watch].some(name => name in changes)) view.stale = true;
    if ("view" in changes) switchView();
    updateChoice(changes);
    showView(changes);
  });
  let width = 0;
  new ResizeObserver(() => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    for (const view of views.values()) view.stale = true;
    showView({size: true});
  }).observe(document.body);
}

/* Opens a view with a choice made, and shows its top. */
function openView(view, changes = {}) {
  update({view, ...changes});
  if (byId(view).getBoundingClientRect().top < 0) byId(view).scrollIntoView();
}

/* A link inside the page: a button that reads like one. */
function viewLink(text, view, changes) {
  const button = element("button", {type: "button", className: "link", textContent: text});
  button.addEventListener("click", () => openView(views.has(view) ? view : "overview", changes));
  return button;
}

/* --- Controls that are bound to the state --- */

const bound = []; /* {name, show()} */
function bind(name, show) {
  bound.push({name, show});
  show();
}
function updateChoice(changes) {
  for (const {name, show} of bound)
    if (name in changes) show();
}

/* A select; options are [value, text] pairs. */
function selectFor(name, label, options) {
  const select =
    element("select", {}, ...options.map(([value, text]) => element("option", {value, textContent: text})));
  select.addEventListener("change", () => update({[name]: select.value}));
  bind(name, () => {
    select.value = state[name];
  });
  return element("label", {}, label, select);
}

/* A number with buttons that step it. */
function numberFor(name, label) {
  const field = element("input", {type: "number", min: limits[name][0], max: limits[name][1], step: 1});
  const step = (by, text, title) => {
    const button = element("button", {type: "button", textContent: text, title, tabIndex: -1});
    button.addEventListener("click", () => update({[name]: state[name] + by}));
    return button;
  };
  field.addEventListener("change", () => {
    update({[name]: field.value});
    field.value = state[name];
  });
  bind(name, () => {
    field.value = state[name];
  });
  const made = element(
    "label", {}, label,
    element("span", {className: "stepper"}, step(-1, "‹", "one less"), field, step(1, "›", "one more")));
  return made;
}

const tokenOptions = () => data.tokens.map((token, position) => [position, `${position}  ${token.label}`]);
const curveControl = () =>
  selectFor("curve", "Colour", [["linear", "by weight"], ["root", "by √weight (shows small weights)"]]);
const overControl = () => selectFor(
  "over", "Attention of",
  [["head", "the chosen head"], ["layer", "its layer, mean of heads"], ["all", "all heads, mean"]]);

const choices = {
  layer: () => numberFor("layer", "Layer"),
  head: () => numberFor("head", "Head"),
  query: () => selectFor("query", "From", tokenOptions()),
  key: () => selectFor("key", "to", tokenOptions()),
};
const choiceMade = {};
function showChoice(view) {
  const bar = byId("choice"), wanted = view.choice || [];
  for (const name of wanted) {
    if (!choiceMade[name]) choiceMade[name] = choices[name]();
  }
  bar.replaceChildren(...wanted.map(name => choiceMade[name]));
  bar.hidden = !wanted.length;
}
