/* Attention: a picture of every head, one enlarged, and scores. Codes are a head's lower triangle, row by row. */

const attention = data.attention;

function decodeLayer(layer) {
  const text = attention.codes[layer];
  if (text === null) return null;
  const bytes = Uint8Array.from(atob(text), character => character.charCodeAt(0));
  if (attention.levels <= 255) return bytes;
  return Uint16Array.from({ length: bytes.length / 2 }, (_, i) => bytes[2 * i] | bytes[2 * i + 1] << 8);
}

function attentionView() {
  const { layer_count: layers, head_count: heads, grid, block, levels } = attention;
  const triangle = grid * (grid + 1) / 2;
  const decoded = attention.codes.map((_, layer) => decodeLayer(layer));
  const buttons = [];
  const canvas = byId("head");
  let hover = null;
  let frame = null; /* where the enlarged head's cells lie in its canvas */

  function weight(layer, head, query, key) {
    const code = decoded[layer][head * triangle + query * (query + 1) / 2 + key] / levels;
    return code * code;
  }
  const place = value => state.curve === "root" ? Math.sqrt(value) : value;
  const first = cell => cell * block;
  const last = cell => Math.min(cell * block + block, data.tokens.length) - 1;
  const label = cell => block === 1 ? data.tokens[cell].label : `${first(cell)}–${last(cell)} ${data.tokens[first(cell)].label}`;

  /* One pixel per cell; masked cells stay transparent. */
  function paint(target, layer, head) {
    const context = target.getContext("2d");
    const image = context.createImageData(grid, grid);
    for (let query = 0; query < grid; query++) {
      for (let key = 0; key <= query; key++) {
        const colour = colours[colourIndex(place(weight(layer, head, query, key)))];
        image.data.set([colour[0], colour[1], colour[2], 255], 4 * (query * grid + key));
      }
    }
    context.putImageData(image, 0, 0);
  }

  function makeHeads() {
    const box = byId("heads");
    const room = box.parentElement.clientWidth - 48; // beside the layers' names
    const size = clamp(Math.floor(room / heads) - 5, 26, 76);
    box.style.gridTemplateColumns = `max-content repeat(${heads}, ${size}px)`;
    box.append(element("span", { className: "name layer", textContent: "layer" }));
    for (let head = 0; head < heads; head++)
      box.append(element("span", { className: "name", textContent: (head ? "" : "head ") + head }));
    for (let layer = 0; layer < layers; layer++) {
      box.append(element("span", { className: "name layer", textContent: layer }));
      buttons.push([]);
      for (let head = 0; head < heads; head++) {
        if (!decoded[layer]) {
          box.append(element("span", { className: "name missing", textContent: "–", title: "not captured" }));
          continue;
        }
        const picture = element("canvas", { width: grid, height: grid, className: grid <= size ? "sharp" : "" });
        const button = element("button", { type: "button", title: `layer ${layer}, head ${head}`, tabIndex: -1 }, picture);
        button.setAttribute("aria-label", `Layer ${layer}, head ${head}`);
        button.addEventListener("click", () => update({ layer, head }));
        buttons[layer][head] = button;
        box.append(button);
      }
    }
    box.addEventListener("keydown", event => {
      const step = arrow(event);
      if (!step) return;
      event.preventDefault();
      const layer = clamp(state.layer + step[0], 0, layers - 1), head = clamp(state.head + step[1], 0, heads - 1);
      if (!buttons[layer][head]) return;
      update({ layer, head });
      buttons[layer][head].focus({ preventScroll: true });
    });
  }

  const each = visit => buttons.forEach((line, layer) => line.forEach((button, head) => visit(button, layer, head)));

  function drawHead() {
    const style = getComputedStyle(document.documentElement);
    const colour = name => style.getPropertyValue(name).trim();
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth || 560;
    const context = canvas.getContext("2d");
    const font = "12px " + colour("--mono");
    context.font = font;
    let longest = 0;
    for (let i = 0; i < grid; i++) longest = Math.max(longest, context.measureText(label(i)).width);
    const gutter = Math.min(Math.ceil(longest), 116) + 10;
    const cell = Math.min((width - gutter - 2) / grid, 64);
    const side = cell * grid;
    frame = { left: gutter, top: 8, cell };
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round((side + gutter + 10) * ratio);
    canvas.style.height = side + gutter + 10 + "px";
    context.scale(ratio, ratio);
    context.font = font;

    const small = element("canvas", { width: grid, height: grid });
    paint(small, state.layer, state.head);
    context.fillStyle = colour("--masked");
    context.fillRect(frame.left, frame.top, side, side);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, frame.left, frame.top, side, side);

    const [query, key] = hover || [state.query, state.key];
    const every = Math.ceil(15 / cell);
    const shown = (cells, chosen) => cells === chosen || cells % every === 0 && Math.abs(cells - chosen) >= every * 0.8;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (let i = 0; i < grid; i++) {
      const middle = (i + 0.5) * cell;
      context.fillStyle = colour(i === query ? "--ink" : "--soft");
      if (every === 1 || shown(i, query)) drawLabel(context, label(i), frame.left - 7, frame.top + middle, 0, i === query, font);
      context.fillStyle = colour(i === key ? "--ink" : "--soft");
      if (every === 1 || shown(i, key))
        drawLabel(context, label(i), frame.left + middle, frame.top + side + 7, -Math.PI / 2, i === key, font);
    }
    context.strokeStyle = colour("--mark");
    context.lineWidth = 1.5;
    context.strokeRect(frame.left - 0.5, frame.top + query * cell - 0.5, (query + 1) * cell + 1, cell + 1);
    context.lineWidth = 2.5;
    context.strokeRect(frame.left + key * cell, frame.top + query * cell, cell, cell);
  }

  function drawLabel(context, text, x, y, angle, bold, font) {
    let cut = text;
    context.font = bold ? "bold " + font : font;
    while (cut.length > 1 && context.measureText(cut).width > 116) cut = [...cut].slice(0, -2).join("") + "…";
    context.save();
    context.translate(x, y);
    context.rotate(angle);
    context.fillText(cut, 0, 0);
    context.restore();
  }

  function describe() {
    const [query, key] = hover || [state.query, state.key];
    const value = weight(state.layer, state.head, query, key);
    byId("readout").replaceChildren(
      "query ", tokenElement(label(query)), ` ${block === 1 ? query : ""} → key `, tokenElement(label(key)),
      ` ${block === 1 ? key : ""}: `, element("strong", { textContent: value.toFixed(4) }), block > 1 ? " at most" : "");
    const row = byId("row");
    row.replaceChildren(...Array.from({ length: grid }, (_, i) => {
      const share = i <= query ? weight(state.layer, state.head, query, i) : 0;
      const text = element("span", { textContent: label(i), title: i <= query ? share.toFixed(4) : "later: not seen" });
      if (i <= query) {
        text.style.backgroundColor = colourAt(place(share));
        text.style.color = inkOn(place(share));
      }
      text.className = i === query ? "query" : i > query ? "later" : "";
      return text;
    }));
    row.scrollTop = row.children[query].offsetTop - row.clientHeight / 2;
  }

  function showHead() {
    const scores = attention.scores[state.layer * heads + state.head], none = attention.null_scores;
    byId("head-name").textContent = `Layer ${state.layer}, head ${state.head}`;
    byId("head-scores").replaceChildren(
      element("thead", {}, element("tr", {}, element("th"), ...scoreNames.map(name => element("th", { textContent: name })))),
      element("tbody", {},
        element("tr", {}, element("th", { textContent: "this head" }), ...scoreCells(scores)),
        element("tr", {}, element("th", { textContent: "null (even)" }), ...scoreCells(none))));
    each((button, layer, head) => {
      const chosen = layer === state.layer && head === state.head;
      button.classList.toggle("chosen", chosen);
      button.tabIndex = chosen ? 0 : -1;
      button.setAttribute("aria-pressed", chosen);
    });
  }

  function cellAt(event) {
    const box = canvas.getBoundingClientRect();
    const query = Math.floor((event.clientY - box.top - frame.top) / frame.cell);
    const key = Math.floor((event.clientX - box.left - frame.left) / frame.cell);
    if (query < 0 || key < 0 || query >= grid || key > query) return null;
    return [query, key];
  }

  function pointAt(cell) {
    if (String(cell) === String(hover)) return;
    hover = cell;
    drawHead();
    describe();
  }

  canvas.addEventListener("pointermove", event => pointAt(cellAt(event)));
  canvas.addEventListener("pointerleave", () => pointAt(null));
  canvas.addEventListener("click", event => {
    const cell = cellAt(event);
    if (cell) update({ query: cell[0], key: cell[1] });
  });
  canvas.addEventListener("keydown", event => {
    const step = arrow(event);
    if (!step) return;
    event.preventDefault();
    hover = null;
    const query = clamp(state.query + step[0], 0, grid - 1);
    update({ query, key: clamp(state.key + step[1], 0, query) });
  });
  byId("row").addEventListener("click", event => {
    const query = [...byId("row").children].indexOf(event.target);
    if (query >= 0) update({ query, key: Math.min(state.key, query) });
  });
  byId("attention-curve").addEventListener("change", event => update({ curve: event.target.value }));
  window.addEventListener("resize", drawHead);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawHead);

  listeners.push(change => {
    if ("curve" in change) {
      each((button, layer, head) => paint(button.firstChild, layer, head));
      drawScale(byId("attention-scale"), place);
    }
    if ("layer" in change || "head" in change) showHead();
    if (["curve", "layer", "head", "query", "key"].some(name => name in change)) {
      drawHead();
      describe();
    }
  });

  byId("attention").hidden = false;
  makeHeads();
  byId("attention-note").textContent =
    (block > 1 ? `For this length, each cell stands for ${block} × ${block} positions and shows the largest weight among them. ` : "") +
    `Weights are kept as squares of ${levels > 255 ? 16 : 8}-bit numbers: a weight w is exact to √w / ${levels}.`;
  scoresView(heads);
}

/* --- Scores of all heads --------------------------------------------------------------------------------------- */

const scoreNames = ["previous", "self", "first", "entropy", "max"];
const scoreCells = scores => scoreNames.map(name => element("td", { textContent: scores ? fixed(scores[name]) : "–" }));

function scoresView(heads) {
  const lines = attention.scores.map((scores, i) => ({ layer: Math.floor(i / heads), head: i % heads, scores })).filter(line => line.scores);
  let order = "layer";

  function fill() {
    const sorted = [...lines].sort((a, b) => order === "layer"
      ? a.layer - b.layer || a.head - b.head
      : (b.scores[order] ?? -1) - (a.scores[order] ?? -1));
    const heading = (name, title) => {
      const button = element("button", { type: "button", textContent: title });
      button.addEventListener("click", () => { order = name; fill(); });
      const cell = element("th", {}, button);
      if (name === order) cell.setAttribute("aria-sort", name === "layer" ? "ascending" : "descending");
      return cell;
    };
    byId("scores-table").replaceChildren(
      element("thead", {}, element("tr", {}, heading("layer", "layer.head"), ...scoreNames.map(name => heading(name, name)))),
      element("tbody", {},
        element("tr", { className: "chosen" }, element("th", { textContent: "null (even)" }), ...scoreCells(attention.null_scores)),
        ...sorted.map(({ layer, head, scores }) =>
          element("tr", {}, element("th", {}, chooser(layer, head)), ...scoreCells(scores)))));
  }
  function chooser(layer, head) {
    const button = element("button", { type: "button", textContent: `${layer}.${head}`, title: "show this head" });
    button.addEventListener("click", () => update({ layer, head }));
    return button;
  }
  fill();
}
