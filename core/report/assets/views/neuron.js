/* Queries and keys: how one weight comes about. The entries of the query and of the key, their products, whose sum is
 * the dot product; scaled (and capped) it is the score, and the softmax over the row's scores is the weight. */

function neuronView(neurons) {
  const {size, softcap} = neurons, bandHeight = 54, gap = 30, left = 70, rowHeight = 20, most = 24;
  let figure, chart, readout, missing, hover = null;

  /* Arrays by their text, decoded when they are first needed. */
  const opened = new Map();
  function open(text, Kind) {
    if (!opened.has(text))
      opened.set(text, new Kind(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer));
    return opened.get(text);
  }
  function vector({codes, steps}, position) {
    const step = open(steps, Float32Array)[position],
          from = open(codes, Int16Array).subarray(position * size, (position + 1) * size);
    return Float64Array.from(from, code => code * step);
  }

  /* What the chosen head reads; null where it was not kept. */
  function chosenHead() {
    const layer = neurons.layers[state.layer], query = layer.queries.find(each => each.head === state.head);
    return query ? {layer, query, keys: layer.keys.find(each => each.head === query.key_head)} : null;
  }
  /* Everything about one pair. */
  function pair(query = state.query, key = state.key) {
    const head = chosenHead(), q = vector(head.query, query), k = vector(head.keys, key);
    const products = q.map((value, i) => value * k[i]), dot = products.reduce((sum, value) => sum + value, 0);
    const scaled = dot * head.layer.scale, lse = open(head.query.lse, Float32Array)[query],
          score = softcap ? softcap * Math.tanh(scaled / softcap) : scaled;
    return {q, k, products, dot, scale: head.layer.scale, score, lse, weight: Math.exp(score - lse)};
  }
  /* The keys of the row, the heaviest first where there are many. Keys behind a window have no weight in the map. */
  function rowOfKeys() {
    const all = range(state.query + 1).map(key => ({key, ...pair(state.query, key)}));
    const visible = all.filter(({key, weight}) => key === state.key || seen(key, weight));
    if (visible.length <= most) return visible;
    return visible.sort((a, b) => b.weight - a.weight)
      .filter((each, i) => i < most - 1 || each.key === state.key)
      .slice(0, most)
      .sort((a, b) => a.key - b.key);
  }
  const mapWeight = key =>
    attention.matrix(state.layer, state.head)[attention.index(attention.cell(state.query), attention.cell(key))];
  const seen = (key, weight) => attention.block > 1 || weight < 0.01 || mapWeight(key) > 0;

  /* Three bands of bars: q, k and q × k. */
  function layout(width) {
    return {
      width: Math.min(width, 900),
      height: 3 * (bandHeight + gap) + 10,
      step: (Math.min(width, 900) - left - 10) / size
    };
  }
  function draw(pen, {step, width}, colours) {
    const {q, k, products, dot} = pair();
    [["q", q], ["k", k], ["q × k", products]].forEach(([name, values], band) => {
      const middle = 24 + band * (bandHeight + gap) + bandHeight / 2,
            tallest = Math.max(1e-9, largestOf(values.map(Math.abs)));
      pen.text(left - 12, middle, name, {size: 13, align: "right", fill: colours.ink, weight: "bold"});
      pen.text(left, middle - bandHeight / 2 - 9, `± ${tallest.toPrecision(3)}`, {size: 10.5, fill: colours.soft});
      if (band === 2)
        pen.text(
          width - 10, middle - bandHeight / 2 - 9, `sum ${dot.toFixed(3)}`,
          {size: 12, align: "right", fill: colours.ink});
      pen.line(left, middle, left + size * step, middle, {stroke: colours.line});
      values.forEach((value, i) => {
        const height = bandHeight / 2 * Math.abs(value) / tallest;
        pen.rect(
          left + i * step, value > 0 ? middle - height : middle, Math.max(step - (step > 3 ? 1 : 0), 0.5),
          Math.max(height, 0.3),
          {fill: colourAt(Math.sign(value) * (0.35 + 0.65 * Math.abs(value) / tallest), "diverging")});
      });
      if (hover !== null)
        pen.rect(
          left + hover * step - 0.5, middle - bandHeight / 2 - 2, step, bandHeight + 4,
          {stroke: colours.mark, width: 1.5});
    });
  }

  /* The softmax: a line for each key with its score and its weight. */
  function chartLayout(width) {
    const rows = rowOfKeys();
    return {width: Math.min(width, 620), height: 30 + rows.length * rowHeight, rows};
  }
  function drawRow(pen, {width, rows}, colours) {
    const label = 140, scoreAt = label + 60, bar = scoreAt + 20, room = width - bar - 68;
    [["key", label - 8, "right"], ["score", scoreAt, "right"], ["weight = e^(score − lse)", bar, "left"]].forEach(
      ([text, x, align]) => pen.text(x, 12, text, {size: 11.5, align, fill: colours.soft}));
    rows.forEach(({key, score, weight}, i) => {
      const y = 34 + i * rowHeight, chosen = key === state.key, fill = chosen ? colours.ink : colours.soft;
      pen.text(
        label - 8, y, fitText(`${key} ${labelOf(key)}`, label - 14, labelStyle),
        {...labelStyle, align: "right", fill, weight: chosen ? "bold" : undefined});
      pen.text(scoreAt, y, score.toFixed(2), {size: 12, align: "right", fill});
      pen.rect(bar, y - 6, Math.max(0.5, room * Math.min(1, weight)), 12, {fill: chosen ? colours.mark : colours.bar});
      pen.text(bar + room * Math.min(1, weight) + 6, y, weight.toFixed(4), {size: 11.5, fill});
    });
  }

  function describe() {
    const {q, k, products, dot, scale, score, lse, weight} = pair();
    const pointed = hover === null ?
      [] :
      [`; entry ${hover}: ${q[hover].toFixed(3)} × ${k[hover].toFixed(3)} = ${products[hover].toFixed(3)}`];
    readout.replaceChildren(
      "q·k = ", element("strong", {textContent: dot.toFixed(3)}), ` × scale ${scale.toFixed(4)}`,
      softcap ? `, capped at ${softcap}` : "", " = score ", element("strong", {textContent: score.toFixed(3)}),
      `; lse of the row ${fixed(lse)}; weight `, element("strong", {textContent: weight.toFixed(4)}),
      ` (${weightText(mapWeight(state.key))} in the map)`, ...pointed);
    readout.dataset.value = weight;
  }

  defineView("neuron", {
    title: "Queries and keys",
    watch: ["layer", "head", "query", "key"],
    choice: ["layer", "head", "query", "key"],
    file: () => `scry-neuron-layer${state.layer}-head${state.head}-${state.query}-${state.key}`,
    build(body) {
      missing = element("p", {className: "note"});
      readout = element("p", {className: "readout"});
      readout.setAttribute("aria-live", "polite");
      const box = element("div", {className: "figure-box"}), side = element("div", {className: "panel"});
      body.append(missing, readout, element("div", {className: "beside"}, box, side));
      side.append(element("h3", {textContent: "The softmax over the row"}));
      figure = makeFigure(box, {
        label: "Entries of the query, of the key, and their products",
        layout,
        draw,
        at: (x, y, {step}) => {
          const i = Math.floor((x - left) / step);
          return i >= 0 && i < size ? i : null;
        },
        hover: what => {
          hover = what;
          figure.redraw();
          describe();
        },
        step: stepCell,
      });
      chart = makeFigure(side, {
        label: "Scores and weights of the row's keys; up and down choose a key",
        layout: chartLayout,
        draw: drawRow,
        at: (x, y, {rows}) => {
          const i = Math.floor((y - 24) / rowHeight);
          return rows[i] ? rows[i].key : null;
        },
        choose: key => update({key}),
        step: ([down, right]) => update({key: clamp(state.key + down + right, 0, state.query)}),
      });
    },
    draw() {
      const kept = chosenHead() !== null;
      for (const part of [readout, figure.canvas, chart.canvas]) part.hidden = !kept;
      missing.hidden = kept;
      if (!kept) {
        const heads =
          neurons.layers[state.layer].queries.map(({head}) => viewLink(headName(state.layer, head), "neuron", {head}));
        missing.replaceChildren(
          `Head ${headName(state.layer, state.head)} is not in this file, which keeps those that look hardest: `,
          ...heads.flatMap((link, i) => [i ? ", " : "", link]));
        return;
      }
      figure.redraw();
      chart.redraw();
      describe();
    },
    picture: () => chosenHead() ? figure.picture(900) : tablePicture([{name: "not in this file", text: true}], []),
    table() {
      if (!chosenHead()) return {columns: ["entry", "query", "key", "product"], rows: []};
      const {q, k, products} = pair();
      return {
        columns: ["entry", "query", "key", "product"],
        rows: range(size).map(i => [i, ...[q[i], k[i], products[i]].map(value => Number(value.toPrecision(6)))])
      };
    },
  });
}
openers.push(() => {
  if (data.neurons && attention) neuronView(data.neurons);
});
