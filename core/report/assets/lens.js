/* The lens: a table of layers and positions, and the chosen cell in detail. */

const lens = data.lens;
const lensWindow = 96; /* positions in the table at once */

function lensView() {
  const { layer_count: layers, token_count: count, top_count: top } = lens;
  const table = byId("lens-table");
  const shown = Math.min(count, lensWindow);
  let begin = null; /* first position in the table */
  let cells = [];
  const index = (layer, position) => layer * count + position;
  const hasTarget = lens.rank.some(rank => rank >= 0);
  const greatest = values => values.reduce((most, value) => Math.max(most, value ?? 0), 1e-9);

  /* What a cell's colour can stand for: its value, the scale's ends, and where on the scale it lies. */
  const entropyMost = greatest(lens.entropy), klMost = greatest(lens.kl);
  const measures = {
    probability: { name: "probability of the likeliest token", of: i => lens.probability[i * top], place: value => value, ends: ["0", "1"] },
    entropy: { name: "entropy", of: i => lens.entropy[i], place: value => value / entropyMost, ends: ["0", fixed(entropyMost, 2) + " nats"] },
    kl: { name: "KL from the final layer", of: i => lens.kl[i], place: value => value / klMost, ends: ["0", fixed(klMost, 2) + " nats"] },
  };
  if (hasTarget)
    measures.target = { name: "probability of the target", of: i => lens.target_probability[i], place: value => value, ends: ["0", "1"] };

  const layerName = layer => layer === 0 ? "embedding" : layer === layers - 1 ? `${layer} (final)` : String(layer);
  const textOf = (layer, position, k) => lens.texts[lens.top[index(layer, position) * top + k]];

  function makeTable() {
    const heads = [element("th", { textContent: "layer" })];
    for (let position = begin; position < begin + shown; position++) {
      const { label } = data.tokens[position];
      heads.push(element("th", { title: label, scope: "col" }, label, element("small", { textContent: position })));
    }
    cells = [];
    const lines = [];
    for (let layer = 0; layer < layers; layer++) {
      const line = element("tr", {}, element("th", { textContent: layerName(layer), scope: "row" }));
      cells.push([]);
      for (let position = begin; position < begin + shown; position++) {
        const cell = element("td", { textContent: textOf(layer, position, 0).label, tabIndex: -1 });
        cell.title = `${layerName(layer)}, after ${data.tokens[position].label}: ${textOf(layer, position, 0).label} ` +
          percent(lens.probability[index(layer, position) * top]);
        cell.dataset.layer = layer;
        cell.dataset.position = position;
        cells[layer].push(cell);
        line.append(cell);
      }
      lines.push(line);
    }
    table.replaceChildren(element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines));
    const note = byId("lens-note");
    note.hidden = shown === count;
    note.textContent = `Positions ${begin} to ${begin + shown - 1} of ${count}; the table follows the chosen position.`;
    paint();
  }

  function paint() {
    const measure = measures[state.measure];
    cells.forEach((line, layer) => line.forEach((cell, i) => {
      const value = measure.of(index(layer, begin + i));
      const place = value === null ? null : measure.place(value);
      cell.style.backgroundColor = place === null ? "" : colourAt(place);
      cell.style.color = place === null ? "" : inkOn(place);
    }));
    byId("lens-least").textContent = measure.ends[0];
    byId("lens-most").textContent = `${measure.ends[1]}  ${measure.name}`;
  }

  function mark() {
    cells.forEach((line, layer) => line.forEach((cell, i) => {
      const chosen = layer === state.lensLayer && begin + i === state.position;
      cell.classList.toggle("chosen", chosen);
      cell.tabIndex = chosen ? 0 : -1;
    }));
    table.querySelectorAll("thead th").forEach((cell, i) => cell.classList.toggle("here", begin + i - 1 === state.position && i > 0));
    table.querySelectorAll("tbody th").forEach((cell, layer) => cell.classList.toggle("here", layer === state.lensLayer));
  }

  const bar = (label, share) => {
    const fill = element("div", { className: "fill" });
    fill.style.width = `${100 * (share ?? 0)}%`;
    return [element("span", { className: "label", textContent: label, title: label }),
      element("div", { className: "track" }, fill), element("span", { className: "number", textContent: percent(share) })];
  };

  function detail() {
    const { lensLayer: layer, position } = state, i = index(layer, position);
    const pairs = [["entropy", fixed(lens.entropy[i]) + " nats"], ["KL from final", fixed(lens.kl[i]) + " nats"]];
    if (lens.rank[i] >= 0) {
      pairs.push(["target", lens.texts[lens.target[i]].label]);
      pairs.push(["its rank", `${lens.rank[i]} (0 is best)`], ["its probability", percent(lens.target_probability[i])]);
    }
    const bars = element("div", { className: "bars" });
    for (let k = 0; k < top; k++) bars.append(...bar(textOf(layer, position, k).label, lens.probability[i * top + k]));
    const path = element("div", { className: "bars" });
    for (let other = 0; other < layers; other++)
      path.append(...bar(`${other} ${textOf(other, position, 0).label}`, lens.probability[index(other, position) * top]));
    byId("lens-detail").replaceChildren(
      element("div", {}, element("h3", {}, `${layer === 0 ? "Embedding" : "Layer " + layerName(layer)}, after `,
        tokenElement(data.tokens[position].label)), bars),
      element("div", {}, element("h3", { textContent: "Likeliest token by layer, here" }), path),
      element("dl", { className: "pairs" }, ...pairs.flatMap(([name, text]) =>
        [element("dt", { textContent: name }), element("dd", { textContent: text })])));
  }

  /* Scrolls the table, not the page, until the chosen column is seen. */
  function reveal() {
    const cell = cells[state.lensLayer][state.position - begin], box = table.parentElement;
    const left = cell.offsetLeft - cells[0][0].offsetLeft, right = cell.offsetLeft + cell.offsetWidth + 8;
    if (left < box.scrollLeft) box.scrollLeft = left;
    if (right > box.scrollLeft + box.clientWidth) box.scrollLeft = right - box.clientWidth;
  }

  function choose(layer, position, focus) {
    update({ lensLayer: clamp(layer, 0, layers - 1), position: clamp(position, 0, count - 1) });
    if (focus) cells[state.lensLayer][state.position - begin].focus({ preventScroll: true });
  }

  table.addEventListener("click", event => {
    const cell = event.target.closest("td");
    if (cell) choose(Number(cell.dataset.layer), Number(cell.dataset.position), true);
  });
  table.addEventListener("keydown", event => {
    const step = arrow(event);
    if (!step) return;
    event.preventDefault();
    choose(state.lensLayer + step[0], state.position + step[1], true);
  });
  const slider = byId("lens-layer");
  slider.max = layers - 1;
  slider.addEventListener("input", () => choose(Number(slider.value), state.position, false));
  const select = byId("lens-measure");
  for (const [value, { name }] of Object.entries(measures)) select.append(element("option", { value, textContent: name }));
  select.addEventListener("change", () => update({ measure: select.value }));
  drawScale(byId("lens-scale"), place => place);
  byId("lens").hidden = false;

  listeners.push(change => {
    if ("position" in change) {
      const wanted = clamp(state.position - Math.floor(shown / 2), 0, count - shown);
      const inside = begin !== null && state.position >= begin && state.position < begin + shown;
      if (!inside) {
        begin = wanted;
        makeTable();
      }
    }
    if ("measure" in change && begin !== null) paint();
    if ("position" in change || "lensLayer" in change) {
      slider.value = state.lensLayer;
      byId("lens-layer-name").textContent = layerName(state.lensLayer);
      mark();
      detail();
      reveal();
    }
  });
}
