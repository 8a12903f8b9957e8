/* The lens: what each layer would predict at each position. A table of layers and positions; the chosen cell in detail,
 * and the candidates of the cell under the pointer beside it. */

function lensView(lens) {
  const title = lens.tuned ? "Tuned lens" : "Lens";
  const {layer_count: layers, token_count: count, top_count: top} = lens;
  const shown = Math.min(count, 96); /* positions in the table at once */
  let table, note, detail, popup, legend;
  let begin = null; /* first position in the table */
  let cells = [];
  const index = (layer, position) => layer * count + position;
  const greatest = values => values.reduce((most, value) => Math.max(most, value ?? 0), 1e-9);

  /* What a cell's colour can stand for: its value, the scale's ends, and where on the scale it lies. */
  const entropyMost = greatest(lens.entropy), klMost = greatest(lens.kl);
  const measures = {
    probability: {
      name: "probability of the likeliest token",
      of: i => lens.probability[i * top],
      place: value => value,
      most: "1"
    },
    entropy: {
      name: "entropy",
      of: i => lens.entropy[i],
      place: value => value / entropyMost,
      most: fixed(entropyMost, 2) + " nats"
    },
    kl: {
      name: "KL from the final layer",
      of: i => lens.kl[i],
      place: value => value / klMost,
      most: fixed(klMost, 2) + " nats"
    },
  };
  if (lens.rank.some(rank => rank >= 0))
    measures.target =
      {name: "probability of the target", of: i => lens.target_probability[i], place: value => value, most: "1"};
  const measure = () => measures[state.measure] || measures.probability;

  const layerName = layer => layer === 0 ? "embedding" : layer === layers - 1 ? `${layer} (final)` : String(layer);
  const textOf = (layer, position, k) => lens.texts[lens.top[index(layer, position) * top + k]];
  const placeAt = i => isNumber(measure().of(i)) ? measure().place(measure().of(i)) : null;

  function makeTable() {
    const headings = [element("th", {textContent: "layer"})];
    for (let position = begin; position < begin + shown; position++)
      headings.push(element(
        "th", {title: labelOf(position), scope: "col"}, element("bdi", {textContent: labelOf(position)}),
        element("small", {textContent: position})));
    cells = [];
    const lines = [];
    for (let layer = 0; layer < layers; layer++) {
      const line = element("tr", {}, element("th", {textContent: layerName(layer), scope: "row"}));
      cells.push([]);
      for (let position = begin; position < begin + shown; position++) {
        const cell = element("td", {tabIndex: -1}, element("bdi", {textContent: textOf(layer, position, 0).label}));
        Object.assign(cell.dataset, {layer, position});
        cells[layer].push(cell);
        line.append(cell);
      }
      lines.push(line);
    }
    table.replaceChildren(element("thead", {}, element("tr", {}, ...headings)), element("tbody", {}, ...lines));
    note.hidden = shown === count;
    note.textContent = `Positions ${begin} to ${begin + shown - 1} of ${count}; the table follows the chosen position.`;
  }

  function paint() {
    cells.forEach((line, layer) => line.forEach((cell, i) => {
      const place = placeAt(index(layer, begin + i));
      cell.style.backgroundColor = place === null ? "" : colourAt(place);
      cell.style.color = place === null ? "" : inkOn(place);
    }));
    legend.show("0", `${measure().most}  ${measure().name}`);
  }

  function mark() {
    cells.forEach((line, layer) => line.forEach((cell, i) => {
      const chosen = layer === state.lensLayer && begin + i === state.position;
      cell.classList.toggle("chosen", chosen);
      cell.tabIndex = chosen ? 0 : -1;
    }));
    table.querySelectorAll("thead th")
      .forEach((cell, i) => cell.classList.toggle("here", i > 0 && begin + i - 1 === state.position));
    table.querySelectorAll("tbody th")
      .forEach((cell, layer) => cell.classList.toggle("here", layer === state.lensLayer));
  }

  const bar = (label, share) => {
    const fill = element("div", {className: "fill"});
    fill.style.width = `${100 * (share ?? 0)}%`;
    return [
      element("bdi", {className: "label", textContent: label, title: label}),
      element("div", {className: "track"}, fill), element("span", {className: "number", textContent: percent(share)})
    ];
  };
  function candidateBars(layer, position) {
    const bars = element("div", {className: "bars"});
    for (let k = 0; k < top; k++)
      bars.append(...bar(textOf(layer, position, k).label, lens.probability[index(layer, position) * top + k]));
    return bars;
  }

  function showDetail() {
    const {lensLayer: layer, position} = state, i = index(layer, position);
    const pairs = [["entropy", fixed(lens.entropy[i]) + " nats"], ["KL from final", fixed(lens.kl[i]) + " nats"]];
    if (lens.rank[i] >= 0) {
      pairs.push(["target", lens.texts[lens.target[i]].label]);
      pairs.push(["its rank", `${lens.rank[i]} (0 is best)`], ["its probability", percent(lens.target_probability[i])]);
    }
    const path = element("div", {className: "bars"});
    for (let other = 0; other < layers; other++)
      path.append(
        ...bar(`${other} ${textOf(other, position, 0).label}`, lens.probability[index(other, position) * top]));
    detail.replaceChildren(
      element(
        "div", {},
        element(
          "h3", {}, `${layer === 0 ? "Embedding" : "Layer " + layerName(layer)}, after `,
          tokenElement(labelOf(position))),
        candidateBars(layer, position)),
      element("div", {}, element("h3", {textContent: "Likeliest token by layer, here"}), path),
      element(
        "dl", {className: "pairs"},
        ...pairs.flatMap(([name, text]) => [element("dt", {textContent: name}), element("dd", {textContent: text})])));
  }

  /* The candidates of the cell under the pointer. */
  function showPopup(cell) {
    popup.hidden = !cell;
    if (!cell) return;
    const layer = Number(cell.dataset.layer), position = Number(cell.dataset.position), i = index(layer, position);
    popup.replaceChildren(
      element("h3", {}, `${layerName(layer)}, after `, tokenElement(labelOf(position))), candidateBars(layer, position),
      element(
        "p", {className: "note", textContent: `entropy ${fixed(lens.entropy[i])}, KL ${fixed(lens.kl[i])} nats`}));
    const at = cell.getBoundingClientRect(), box = popup.getBoundingClientRect();
    popup.style.left = clamp(at.left, 8, window.innerWidth - box.width - 8) + "px";
    popup.style.top =
      (at.bottom + box.height + 12 < window.innerHeight ? at.bottom + 6 : Math.max(6, at.top - box.height - 6)) + "px";
  }

  /* Scrolls the table, not the page, until the chosen column is seen. */
  function reveal() {
    const cell = cells[state.lensLayer][state.position - begin], box = table.parentElement;
    const left = cell.offsetLeft - cells[0][0].offsetLeft, right = cell.offsetLeft + cell.offsetWidth + 8;
    if (left < box.scrollLeft) box.scrollLeft = left;
    if (right > box.scrollLeft + box.clientWidth) box.scrollLeft = right - box.clientWidth;
  }
  function choose(lensLayer, position) {
    update({lensLayer, position});
    cells[state.lensLayer][state.position - begin].focus({preventScroll: true});
  }

  function layout(width) {
    const cell = {wide: 78, high: 24}, wide = 90 + shown * cell.wide;
    return {width: Math.max(wide, 500), height: 62 + layers * cell.high, cell};
  }
  function drawPicture(pen, {cell}, colours) {
    const style = {size: 12, mono: true};
    pen.text(10, 14, `${title}; colour: ${measure().name}, 0 to ${measure().most}`, {size: 12, fill: colours.soft});
    for (let i = 0; i < shown; i++)
      pen.text(
        90 + (i + 0.5) * cell.wide, 40, fitText(labelOf(begin + i), cell.wide - 8, style),
        {...style, align: "center", fill: colours.soft});
    for (let layer = 0; layer < layers; layer++) {
      const y = 54 + layer * cell.high;
      pen.text(82, y + cell.high / 2, layerName(layer), {size: 12, align: "right", fill: colours.soft});
      for (let i = 0; i < shown; i++) {
        const place = placeAt(index(layer, begin + i)), x = 90 + i * cell.wide;
        if (place !== null) pen.rect(x, y, cell.wide - 2, cell.high - 2, {fill: colourAt(place)});
        pen.text(
          x + cell.wide / 2 - 1, y + cell.high / 2 - 1,
          fitText(textOf(layer, begin + i, 0).label, cell.wide - 10, style),
          {...style, align: "center", fill: place === null ? colours.ink : inkOn(place)});
      }
    }
  }

  defineView("lens", {
    title,
    watch: ["position", "lensLayer", "measure"],
    build(body) {
      const slider = element("input", {type: "range", min: 0, max: layers - 1, step: 1}), name = element("output");
      slider.addEventListener("input", () => update({lensLayer: slider.value}));
      bind("lensLayer", () => {
        slider.value = state.lensLayer;
        name.textContent = layerName(state.lensLayer);
      });
      legend = makeLegend();
      table = element("table", {className: "lens-table"});
      note = element("p", {className: "note"});
      detail = element("div", {className: "panel lens-detail"});
      detail.setAttribute("aria-live", "polite");
      popup = element("div", {className: "panel popup", hidden: true});
      body.append(
        element(
          "div", {className: "controls"}, element("label", {}, "Layer ", slider, name),
          selectFor("measure", "Colour by", Object.entries(measures).map(([value, {name}]) => [value, name])),
          legend.element),
        element("div", {className: "scroll"}, table), note, detail, popup);
      const cellOf = event => event.target.closest("td");
      table.addEventListener("click", event => {
        const cell = cellOf(event);
        if (cell) choose(Number(cell.dataset.layer), Number(cell.dataset.position));
      });
      table.addEventListener("pointerover", event => showPopup(cellOf(event)));
      table.addEventListener("pointerleave", () => showPopup(null));
      table.addEventListener("keydown", event => {
        const step = arrow(event);
        if (!step) return;
        event.preventDefault();
        choose(state.lensLayer + step[0], state.position + step[1]);
      });
    },
    draw(changes) {
      const inside = begin !== null && state.position >= begin && state.position < begin + shown;
      if (!inside) {
        begin = clamp(state.position - Math.floor(shown / 2), 0, count - shown);
        makeTable();
      }
      if (!inside || "measure" in changes) paint();
      mark();
      showDetail();
      reveal();
    },
    picture: () => ({layout: layout(), draw: drawPicture}),
    table() {
      const rows = [];
      for (let layer = 0; layer < layers; layer++)
        for (let position = 0; position < count; position++) {
          const i = index(layer, position);
          for (let k = 0; k < top; k++)
            rows.push([
              layer, position, labelOf(position), k, textOf(layer, position, k).id, textOf(layer, position, k).text,
              lens.probability[i * top + k], lens.entropy[i], lens.kl[i]
            ]);
        }
      return {
        columns: ["layer", "position", "token", "place", "id", "candidate", "probability", "entropy", "kl"],
        rows
      };
    },
  });
}
openers.push(() => {
  if (data.lens) lensView(data.lens);
});
