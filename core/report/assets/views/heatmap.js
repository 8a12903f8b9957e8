/* Heat map: one head (or the mean of several) cell by cell, with marginals: how much each key receives beside what an
 * even spread would give it, and how concentrated each row is. Differences are shown on a signed scale with 0 in the
 * middle. */

function heatMapView() {
  const grid = attention.grid, marginal = 46;
  let figure, readout, row, legend, hover = null, painted = {}, matrix, other;

  /* What is subtracted, by name: a function of (query, key), or null. */
  const subtrahends = {
    nothing: () => null,
    even: () => query => evenWeight(query),
    layer: () => attention.matrix(state.layer, state.head, "layer"),
    all: () => attention.matrix(state.layer, state.head, "all"),
    head: () => attention.matrix(state.otherLayer, state.otherHead),
  };
  const againstNames = [
    ["nothing", "nothing"], ["even", "an even spread"], ["layer", "the mean of its layer"],
    ["all", "the mean of all heads"], ["head", "another head"]
  ];

  function valueAt(query, key) {
    const weight = matrix[attention.index(query, key)];
    if (!other) return weight;
    return weight - (typeof other === "function" ? other(query) : other[attention.index(query, key)]);
  }

  /* The cells in sight: all, or a window around the choice. */
  function sight() {
    const count = state.zoom ? Math.min(state.zoom, grid) : grid,
          middle = value => attention.cell(value) - Math.floor(count / 2);
    return {count, top: clamp(middle(state.query), 0, grid - count), left: clamp(middle(state.key), 0, grid - count)};
  }

  function prepare() {
    matrix = chosenMatrix();
    other = subtrahends[state.against]();
    const {count, top, left} = sight();
    const name = [overName(), state.against, state.otherLayer, state.otherHead, state.curve, count, top, left].join();
    if (painted.name === name) return painted;
    let most = 1;
    if (other) {
      most = 1e-9;
      for (let query = 0; query < grid; query++)
        for (let key = 0; key <= query; key++) most = Math.max(most, Math.abs(valueAt(query, key)));
    }
    const received = new Float64Array(grid), null_ = new Float64Array(grid), peak = new Float64Array(grid);
    for (let query = 0; query < grid; query++)
      for (let key = 0; key <= query; key++) {
        const weight = matrix[attention.index(query, key)];
        received[key] += weight;
        null_[key] += evenWeight(query);
        peak[query] = Math.max(peak[query], weight);
      }
    const raster = makeRaster(count, count, (i, j) => {
      const query = top + i, key = left + j;
      if (key > query) return null;
      const value = valueAt(query, key);
      return other ? pixelAt(value / most, "diverging") : pixelAt(placeOf(value));
    });
    painted = {
      name,
      most,
      count,
      top,
      left,
      received,
      null_,
      peak,
      matrix: {
        rows: count,
        columns: count,
        raster,
        right: marginal + 36,
        rowLabel: i => attention.label(top + i),
        columnLabel: i => attention.label(left + i)
      },
    };
    return painted;
  }

  function layout(width) {
    const {matrix, count} = prepare(), most = Math.max(10, (Math.max(480, window.innerHeight - 340)) / count);
    const made = matrixLayout(matrix, width, Math.min(most, 64), marginal + 24);
    return {...made, width: Math.min(width, made.left + made.side + marginal + 36)};
  }

  function shownCell() {
    const {top, left, count} = painted, [query, key] = hover || chosenCell();
    const inside = query >= top && key >= left && query < top + count && key < left + count;
    return {query, key, marked: inside ? [query - top, key - left] : undefined};
  }

  function draw(pen, layout, colours) {
    const {matrix: cells, received, null_, peak, count, top, left} = prepare(), {cell} = layout;
    drawMatrix(pen, cells, layout, colours, shownCell().marked);
    /* Above: mass that each key receives, divided by its null; the line is at 1. */
    const ratios = range(count).map(i => received[left + i] / null_[left + i]), tallest = Math.max(2, ...ratios);
    const base = layout.top - 6, height = value => marginal * value / tallest;
    ratios.forEach(
      (ratio, i) => pen.rect(
        layout.left + i * cell, base - height(ratio), Math.max(cell - (cell > 4 ? 1 : 0), 0.5), height(ratio),
        {fill: colours.bar}));
    pen.line(layout.left, base - height(1), layout.left + layout.side, base - height(1), {stroke: colours.mark});
    pen.text(
      layout.left, base - marginal - 9, `received mass ÷ even spread, up to ${tallest.toFixed(1)} (line: 1)`,
      {size: 11, fill: colours.soft});
    /* At the right: each row's largest weight. */
    const edge = layout.left + layout.side + 8;
    for (let i = 0; i < count; i++)
      pen.rect(
        edge, layout.top + i * cell, marginal * peak[top + i], Math.max(cell - (cell > 4 ? 1 : 0), 0.5),
        {fill: colours.bar});
    pen.line(edge + marginal, layout.top, edge + marginal, layout.bottom, {stroke: colours.line});
    pen.text(
      edge + marginal, layout.top - marginal - 15, "row’s largest", {size: 11, align: "right", fill: colours.soft});
  }

  function describe() {
    const {query, key} = shownCell(), value = valueAt(query, key), {received, null_, peak} = painted;
    const cells = attention.block === 1;
    readout.replaceChildren(
      "query ", tokenElement(attention.label(query)), cells ? ` ${query}` : "", " → key ",
      tokenElement(attention.label(key)), cells ? ` ${key}` : "", ": ",
      element("strong", {textContent: (other && value > 0 ? "+" : "") + weightText(value)}),
      other ? "" : codeError(value), cells ? "" : " at most",
      `; this key receives ${(received[key] / null_[key]).toFixed(2)} times its even share; `,
      `this row’s largest weight is ${weightText(peak[query])}`);
    readout.dataset.value = value;
    showRow(row, query, key => matrix[attention.index(query, key)], key);
  }

  defineView("heatmap", {
    title: "Heat map",
    watch: ["layer", "head", "query", "key", "curve", "over", "against", "otherLayer", "otherHead", "zoom"],
    choice: ["layer", "head", "query", "key"],
    file: () => `scry-heatmap-${state.over === "head" ? `layer${state.layer}-head${state.head}` : state.over}`,
    build(body) {
      legend = makeLegend();
      const another =
        element("span", {className: "pair"}, numberFor("otherLayer", "layer"), numberFor("otherHead", "head"));
      bind("against", () => {
        another.hidden = state.against !== "head";
      });
      const sizes = [8, 16, 32, 64, 128].filter(size => size < grid);
      body.append(element(
        "div", {className: "controls"}, overControl(), selectFor("against", "less", againstNames), another,
        curveControl(),
        selectFor("zoom", "Show", [[0, "all positions"], ...sizes.map(size => [size, `${size} around the choice`])]),
        legend.element));
      const box = element("div", {className: "figure-box"}), side = element("div", {className: "panel"});
      body.append(element("div", {className: "beside"}, box, side));
      readout = element("p", {className: "readout"});
      readout.setAttribute("aria-live", "polite");
      row = element("p", {className: "row-text"});
      row.addEventListener("click", event => chooseFromRow(event, row));
      side.append(element("h3", {textContent: "This row"}), readout, row);
      side.append(element("p", {className: "note", textContent: noteOnCodes()}));
      figure = makeFigure(box, {
        label: "Heat map: rows are queries, columns are keys; the arrow keys move the choice",
        layout,
        draw,
        at: (x, y, layout) => {
          const cell = matrixCellAt(painted.matrix, layout, x, y),
                found = cell && [cell[0] + painted.top, cell[1] + painted.left];
          return found && found[1] <= found[0] ? found : null;
        },
        hover: what => {
          hover = what;
          figure.redraw();
          describe();
        },
        choose: chooseCell,
        step: stepCell,
      });
    },
    draw() {
      hover = null;
      prepare();
      if (other)
        legend.show((-painted.most).toFixed(2), `+${painted.most.toFixed(2)}  difference of weights`, "diverging");
      else
        showWeights(legend);
      figure.redraw();
      describe();
    },
    picture: () => figure.picture(900),
    table() {
      prepare();
      const rows = [];
      for (let query = 0; query < grid; query++)
        for (let key = 0; key <= query; key++)
          rows.push([
            attention.first(query), labelOf(attention.first(query)), attention.first(key),
            labelOf(attention.first(key)), Number(valueAt(query, key).toPrecision(6))
          ]);
      return {columns: ["query", "query_token", "key", "key_token", other ? "difference" : "weight"], rows};
    },
  });
}

/* A row of attention as text: each token shaded by its weight. Used by several views. */
function showRow(row, query, weightOf, key) {
  const grid = attention.grid;
  if (row.childElementCount !== grid)
    row.replaceChildren(...range(grid).map(i => element("bdi", {textContent: attention.label(i)})));
  for (let i = 0; i < grid; i++) {
    const cell = row.children[i], seen = i <= query, weight = seen ? weightOf(i) : 0, place = placeOf(weight);
    cell.style.backgroundColor = seen ? colourAt(place) : "";
    cell.style.color = seen ? inkOn(place) : "";
    cell.className = (i === query ? "query" : seen ? "" : "later") + (i === key ? " key" : "");
    cell.title = seen ? `${attention.label(i)}: ${weightText(weight)}` : "later: not seen";
  }
  row.scrollTop = row.children[query].offsetTop - row.clientHeight / 2;
}
function chooseFromRow(event, row) {
  const cell = [...row.children].indexOf(event.target);
  if (cell >= 0) update({query: attention.first(cell), key: Math.min(state.key, attention.first(cell))});
}

const noteOnCodes = () =>
  (attention.block > 1 ? `Each cell is the largest weight of ${attention.block} × ${attention.block} positions. ` :
                         "") +
  `A weight w is kept to within √w / ${attention.levels}.`;

openers.push(() => {
  if (attention) heatMapView();
});
