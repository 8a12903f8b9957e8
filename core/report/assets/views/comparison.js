/* Comparison: the chosen head in two of the runs on one colour scale, and their difference; then what differs most
 * between the first and the last run by head and by weight, lens and loss of both, and for a series the scores over its
 * course. */

function comparisonView({names, diff}, runs) {
  const grid = attention.grid, last = names.length - 1, heads = diff.heads, layerCount = attention.layers,
        headCount = attention.heads;
  const measures = {
    largest: "largest difference of one weight",
    mean: "mean difference",
    moved: "share of attention that moved",
    js: "Jensen-Shannon divergence of a row (nats)"
  };
  const scoreNames = diff.series ? Object.keys(diff.series[0].scores) : [];
  const charts = []; /* what stands below */
  let pictures = [], readout, titles, hover = null, painted = {};
  limits.checkpoint = limits.baseline = [0, last];
  state.checkpoint = last;

  const nameOf = run =>
    proseText(names[run]).replace(/^\S*\/(?=[^/\s]+\/[^/\s])/, ""); /* of a path the last two parts */
  const weightsOf = run => runs[run].matrix(state.layer, state.head);
  /* Prompts differ in their tokens. */
  const labelIn = run => cell => run && diff.b_tokens && attention.block === 1 && diff.b_tokens[cell] ?
    labelText(diff.b_tokens[cell].text) :
    attention.label(cell);

  function paint() {
    const name = [state.layer, state.head, state.baseline, state.checkpoint, state.curve].join();
    if (painted.name === name) return painted;
    const a = weightsOf(state.baseline), b = weightsOf(state.checkpoint), at = attention.index;
    const apart = a.map((weight, i) => b[i] - weight), most = Math.max(1e-9, largestOf(apart.map(Math.abs)));
    const matrix = (run, pixel) => ({
      rows: grid,
      columns: grid,
      rowLabel: labelIn(run),
      columnLabel: labelIn(run),
      raster: makeRaster(grid, grid, (query, key) => key > query ? null : pixel(at(query, key)))
    });
    painted = {
      name,
      a,
      b,
      apart,
      most,
      matrices: [
        matrix(state.baseline, i => pixelAt(placeOf(a[i]))), matrix(state.checkpoint, i => pixelAt(placeOf(b[i]))),
        matrix(state.checkpoint, i => pixelAt(apart[i] / most, "diverging"))
      ]
    };
    return painted;
  }
  const marked = () => hover || chosenCell();
  const three = index => ({
    label: ["The first side", "The second side", "Their difference"][index] + "; the arrow keys move the choice",
    layout: width => matrixLayout(paint().matrices[index], width, 36),
    draw: (pen, layout, colours) => drawMatrix(pen, paint().matrices[index], layout, colours, marked()),
    at: (x, y, layout) => {
      const cell = matrixCellAt(paint().matrices[index], layout, x, y);
      return cell && cell[1] <= cell[0] ? cell : null;
    },
    hover: what => {
      hover = what;
      for (const picture of pictures) picture.redraw();
      describe();
    },
    choose: chooseCell,
    step: stepCell,
  });

  const headGrid = () => ({
    rows: layerCount,
    columns: headCount,
    rowLabel: String,
    columnLabel: String,
    chosen: [state.layer, state.head],
    scale: "sequential",
    most: Math.max(1e-9, largestOf(heads.map(head => head[state.change]).filter(isNumber))),
    title: measures[state.change],
    value: (layer, head) => (heads.find(each => each.layer === layer && each.head === head) || {})[state.change],
  });

  function describe() {
    const [query, key] = marked(), {a, b, apart} = paint(), at = attention.index(query, key);
    readout.replaceChildren(
      `Layer ${state.layer}, head ${state.head}: query `, tokenElement(labelIn(state.checkpoint)(query)), " → key ",
      tokenElement(labelIn(state.checkpoint)(key)), `: ${weightText(a[at])} and ${weightText(b[at])}, difference `,
      element("strong", {textContent: (apart[at] > 0 ? "+" : "") + weightText(apart[at])}));
    readout.dataset.value = apart[at];
    titles[0].textContent = nameOf(state.baseline);
    titles[1].textContent = nameOf(state.checkpoint);
    titles[2].textContent = `difference, −${weightText(painted.most)} to +${weightText(painted.most)}`;
  }

  /* --- what stands below: the first run and the last --- */

  function addChart(parent, label, chart) {
    charts.push(makeFigure(parent, {
      label,
      layout: width => ({width: Math.min(width, 640), height: 230}),
      draw: (pen, {width}, colours) =>
        drawChart(pen, chart(colours), {x: 58, y: 30, width: width - 110, height: 140}, colours)
    }));
  }
  const highest = values => Math.max(1e-9, largestOf(values.filter(isNumber)));
  function lossPart(body) {
    const rows = diff.loss.by_position || [], a = rows.map(row => row.a), b = rows.map(row => row.b);
    if (!isNumber(diff.loss.a)) return;
    const box = element("div", {className: "figure-box"});
    body.append(element(
      "div", {}, element("h3", {textContent: `Loss: ${fixed(diff.loss.a)} and ${fixed(diff.loss.b)} nats`}), box));
    addChart(
      box, "Loss by position",
      colours => ({
        series:
          [{name: nameOf(0), values: a, colour: colours.accent}, {name: nameOf(last), values: b, colour: colours.mark}],
        least: 0,
        most: highest([...a, ...b]),
        xLabel: i => rows[i] ? labelOf(rows[i].position) : "",
        xRoom: 60,
        yLabel: "loss on the token behind each position (nats)"
      }));
  }
  function lensPart(body) {
    if (!(diff.lens || []).length) return;
    body.append(element(
      "div", {}, element("h3", {textContent: "Lens, layer by layer"}),
      tableElement(
        [
          {name: "layer"}, {name: "KL(a ‖ b)"}, {name: "largest"}, {name: "at", text: true}, {name: "same token"},
          {name: "entropy a"}, {name: "b"}, {name: "loss a"}, {name: "b"}
        ],
        diff.lens.map(
          line =>
            [String(line.layer), fixed(line.kl), fixed(line.kl_largest),
             isNumber(line.position) ? tokenElement(labelOf(line.position)) : "", percent(line.agreement),
             fixed((line.entropy || {}).a), fixed((line.entropy || {}).b), fixed((line.loss || {}).a),
             fixed((line.loss || {}).b)]))));
  }
  function placesPart(body) {
    body.append(element(
      "div", {}, element("h3", {textContent: "Largest differences"}),
      !diff.places.length ? element("p", {className: "note", textContent: "No weight differs."}) :
                            tableElement(
                              [
                                {name: "head", text: true}, {name: "query", text: true}, {name: "key", text: true},
                                {name: "a"}, {name: "b"}, {name: "b − a"}
                              ],
                              diff.places.slice(0, 12).map(
                                place =>
                                  [viewLink(headName(place.layer, place.head), "comparison", {
                                     layer: place.layer,
                                     head: place.head,
                                     query: place.query,
                                     key: place.key,
                                     baseline: 0,
                                     checkpoint: last
                                   }),
                                   tokenElement(`${place.query} ${labelOf(place.query)}`),
                                   tokenElement(`${place.key} ${labelOf(place.key)}`), fixed(place.a), fixed(place.b),
                                   signed(place.b - place.a)]))));
  }
  function seriesPart(body) {
    if (!diff.series) return;
    const box = element("div", {className: "figure-box"}), losses = diff.series.map(each => each.loss);
    const values = key => diff.series.map(each => (each.scores[shownScore()] || {})[key]);
    const shownScore = () => scoreNames.includes(state.score) ? state.score : scoreNames[0];
    body.append(element(
      "div", {}, element("h3", {textContent: "Over the series"}),
      element("div", {className: "controls"}, selectFor("score", "Score", scoreNames.map(name => [name, name]))), box));
    const figure = {
      label: "A score over the series; left and right choose a run",
      layout: width => ({width: Math.min(width, 640), height: 260}),
      draw(pen, {width}, colours) {
        const area = {x: 58, y: 30, width: width - 110, height: 150},
              most = highest([...values("best"), ...values("mean")]), worst = highest(losses);
        const {across} = drawChart(
          pen, {
            series: [
              {name: `${shownScore()}, best head`, values: values("best"), colour: colours.mark},
              {name: "mean of heads", values: values("mean"), colour: colours.accent}, {
                name: `loss ÷ ${worst.toFixed(2)}`,
                values: losses.map(loss => isNumber(loss) ? loss / worst * most : null),
                colour: colours.soft
              }
            ],
            least: 0,
            most,
            xLabel: i => diff.series[i] ? nameOf(i) : "",
            xRoom: 90
          },
          area, colours);
        pen.line(
          across(state.checkpoint), area.y, across(state.checkpoint), area.y + area.height, {stroke: colours.ink});
      },
      at: (x, y, {width}) => clamp(Math.round((x - 58) / (width - 110) * last), 0, last),
      choose: checkpoint => update({checkpoint}),
      step: ([down, right]) => update({checkpoint: state.checkpoint + right + down})
    };
    charts.push(makeFigure(box, figure));
  }

  defineView("comparison", {
    title: "Comparison",
    watch: ["layer", "head", "query", "key", "curve", "baseline", "checkpoint", "change", "score"],
    choice: ["layer", "head", "query", "key"],
    file: () => `scry-comparison-layer${state.layer}-head${state.head}`,
    json: () => diff,
    build(body) {
      const slider = element("input", {type: "range", min: 0, max: last, step: 1}), output = element("output"),
            legend = makeLegend();
      slider.addEventListener("input", () => update({checkpoint: slider.value}));
      bind("checkpoint", () => {
        slider.value = state.checkpoint;
        output.textContent = `${state.checkpoint} ${nameOf(state.checkpoint)}`;
      });
      bind("curve", () => showWeights(legend));
      body.append(element(
        "div", {className: "controls"},
        selectFor("baseline", "Compare", names.map((_, run) => [run, `${run} ${nameOf(run)}`])),
        element("label", {}, "with ", slider, output), curveControl(), legend.element));
      readout = element("p", {className: "readout"});
      readout.setAttribute("aria-live", "polite");
      titles = range(3).map(() => element("h3"));
      const boxes = range(3).map(() => element("div", {className: "figure-box"}));
      body.append(
        readout, element("div", {className: "three"}, ...boxes.map((box, i) => element("div", {}, titles[i], box))));
      pictures = boxes.map((box, i) => makeFigure(box, three(i)));
      const below = element("div", {className: "columns even"}), headBox = element("div", {className: "figure-box"});
      below.append(element(
        "div", {}, element("h3", {textContent: "By head, the first and the last"}),
        element("div", {className: "controls"}, selectFor("change", "Measure", Object.entries(measures))), headBox));
      for (const part of [placesPart, lossPart, lensPart, seriesPart]) part(below);
      body.append(below);
      charts.push(makeFigure(headBox, {
        label: "Differences by head: layers down, heads across; the arrow keys move the choice",
        layout: width => gridLayout(headGrid(), width, 48),
        draw: (pen, layout, colours) => drawGrid(pen, headGrid(), layout, colours),
        at: (x, y, layout) => gridCellAt(headGrid(), layout, x, y),
        choose: ([layer, head]) => update({layer, head}),
        step: ([down, right]) => update({layer: state.layer + down, head: state.head + right})
      }));
    },
    draw() {
      if (!(state.change in measures)) state.change = "largest";
      hover = null;
      paint();
      for (const figure of [...pictures, ...charts]) figure.redraw();
      describe();
    },
    /* The three pictures beside each other. */
    picture() {
      const parts = pictures.map(picture => picture.picture(420)), step = 440;
      return {
        layout: {width: 3 * step, height: Math.max(...parts.map(part => part.layout.height)) + 34},
        draw: (pen, layout, colours) => parts.forEach((part, i) => {
          pen.text(
            i * step + 10, 14, fitText(titles[i].textContent, step - 30, {size: 13}), {size: 13, fill: colours.ink});
          part.draw(movedPen(pen, i * step, 30), part.layout, colours);
        })
      };
    },
    table() {
      const {a, b} = paint(), rows = [];
      for (let query = 0; query < grid; query++)
        for (let key = 0; key <= query; key++) {
          const at = attention.index(query, key);
          rows.push([
            state.layer, state.head, attention.first(query), attention.first(key),
            ...[a[at], b[at], b[at] - a[at]].map(value => Number(value.toPrecision(6)))
          ]);
        }
      return {columns: ["layer", "head", "query", "key", "a", "b", "difference"], rows};
    },
  });
}
openers.push(() => {
  if (data.comparison && attention) comparisonView(data.comparison, compared);
});
