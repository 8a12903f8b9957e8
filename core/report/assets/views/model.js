/* Model view: every head in small, layers down and heads across; a choice is enlarged beside the grid. */

function modelView() {
  const {layers, heads, grid} = attention;
  let figure, enlarged, readout, title, links, hover = null;

  /* The enlarged head. */
  function bigMatrix() {
    const weights = attention.matrix(state.layer, state.head);
    const pixel = (query, key) => key <= query ? pixelAt(placeOf(weights[attention.index(query, key)])) : null;
    return {
      rows: grid,
      columns: grid,
      rowLabel: attention.label,
      columnLabel: attention.label,
      raster: makeRaster(grid, grid, pixel)
    };
  }
  let big = null, pointed = null;

  function describe() {
    const [query, key] = pointed || chosenCell();
    const weight = attention.matrix(state.layer, state.head)[attention.index(query, key)];
    readout.replaceChildren(
      "query ", tokenElement(attention.label(query)), " → key ", tokenElement(attention.label(key)), ": ",
      element("strong", {textContent: weightText(weight)}), codeError(weight), attention.block > 1 ? " at most" : "");
    readout.dataset.value = weight;
  }

  defineView("model-view", {
    title: "All heads",
    watch: ["layer", "head", "curve", "query", "key"],
    choice: ["layer", "head"],
    build(body) {
      const legend = makeLegend();
      bind("curve", () => showWeights(legend));
      body.append(element("div", {className: "controls"}, curveControl(), legend.element));
      const box = element("div", {className: "figure-box"}), side = element("div", {className: "panel"});
      body.append(element("div", {className: "beside"}, box, side));
      figure = makeFigure(box, {
        label: "All heads: layers down, heads across; the arrow keys move the choice",
        ...headsGrid({widest: 96, pointed: () => hover, marks: true}),
        hover: what => {
          hover = what;
          figure.canvas.title = what ? `layer ${what[0]}, head ${what[1]}` : "";
          figure.redraw();
        },
        choose: ([layer, head]) => update({layer, head}),
        step: ([down, right]) => update({layer: state.layer + down, head: state.head + right}),
      });
      title = element("h3");
      links = element("p", {className: "links"});
      readout = element("p", {className: "readout"});
      readout.setAttribute("aria-live", "polite");
      side.append(title, links);
      enlarged = makeFigure(side, {
        label: "The chosen head, enlarged; the arrow keys move the choice",
        layout: width => matrixLayout(big, width, 40),
        draw: (pen, layout, colours) => drawMatrix(pen, big, layout, colours, pointed || chosenCell()),
        at: (x, y, layout) => {
          const cell = matrixCellAt(big, layout, x, y);
          return cell && cell[1] <= cell[0] ? cell : null;
        },
        hover: what => {
          pointed = what;
          enlarged.redraw();
          describe();
        },
        choose: chooseCell,
        step: stepCell,
      });
      side.append(readout, element("p", {className: "note", textContent: noteOnCodes()}));
      links.append(
        "see it as ", viewLink("lines", "heads-view", {over: "head"}), viewLink("text", "text", {over: "head"}),
        viewLink("heat map", "heatmap", {over: "head", against: "nothing"}),
        viewLink("queries and keys", "neuron", {}));
    },
    draw(changes) {
      if ("layer" in changes || "head" in changes || "curve" in changes || !big) big = bigMatrix();
      title.textContent = `Layer ${state.layer}, head ${state.head}`;
      figure.redraw();
      enlarged.redraw();
      describe();
    },
    picture: () => figure.picture(1100),
    table() {
      const rows = [];
      for (let layer = 0; layer < layers; layer++)
        for (let head = 0; attention.has(layer) && head < heads; head++) {
          const matrix = attention.matrix(layer, head), from = attention.index(grid - 1, 0);
          let key = 0;
          for (let i = 0; i < grid; i++)
            if (matrix[from + i] > matrix[from + key]) key = i;
          rows.push([
            layer, head, attention.first(grid - 1), attention.first(key), labelOf(attention.first(key)),
            Number(matrix[from + key].toPrecision(6))
          ]);
        }
      return {columns: ["layer", "head", "query", "strongest_key", "key_token", "weight"], rows};
    },
  });
}
openers.push(() => {
  if (attention) modelView();
});
