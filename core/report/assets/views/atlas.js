/* Head atlas: what each head does. A grid of layers and heads for one score, and the table of all scores, sortable,
 * each beside its nulls; below, induction where the report has it. */

const certainties = ["none", "weak", "clear", "strong"];
const kindOf = name => data.heads.kinds.find(kind => kind.name === name) || {};

function atlasView({heads, kinds, probe, random, token_count: count}) {
  const layerCount = Math.max(...heads.map(head => head.layer)) + 1,
        headCount = Math.max(...heads.map(head => head.head)) + 1;
  let figure, legend, table, about, induction, hover = null;

  const headAt = (layer, head) => heads.find(each => each.layer === layer && each.head === head);
  const valueOf = head => head.scores[state.score] ? head.scores[state.score].value : null;
  const highest = () => Math.max(1e-9, largestOf(heads.map(valueOf).filter(isNumber)));
  const scaleEnd = () => ["sink", "distance"].includes(state.score) ? highest() : 1;

  function grid() {
    return {
      rows: layerCount,
      columns: headCount,
      rowLabel: String,
      columnLabel: String,
      most: scaleEnd(),
      scale: "sequential",
      title: `${state.score}, 0 to ${scaleEnd().toPrecision(3)}, layers down, heads across; a frame: clear or strong`,
      value: (layer, head) => valueOf(headAt(layer, head)),
      framed: (layer, head) => certainties.indexOf(headAt(layer, head).scores[state.score].certainty) >= 2,
      chosen: [state.layer, state.head],
      pointed: hover,
    };
  }

  function describe() {
    const kind = kindOf(state.score), head = headAt(...(hover || [state.layer, state.head]));
    about.replaceChildren(
      element("strong", {textContent: state.score}), `: ${kind.about}. An even spread gives ${fixed(kind.uniform)}`,
      random ? `, random weights ${fixed(kind.random_mean)} on average and ${fixed(kind.random_largest)} at most` : "",
      ". ");
    if (!head) return;
    const score = head.scores[state.score];
    about.append(
      `Head ${headName(head.layer, head.head)}: `, element("strong", {textContent: fixed(score.value, 4)}),
      score.certainty ? `, ${score.certainty === "none" ? "not surely more" : score.certainty}` : "",
      isNumber(score.distance) ? `, ${score.distance} back` : "",
      isNumber(score.key) && labelOf(score.key) ? `, on key ${score.key} ${labelOf(score.key)}` : "",
      head.kind ? `; surest as ${head.kind} (${head.certainty})` : "; nothing stands out");
    about.dataset.value = score.value;
  }

  /* --- the table --- */

  const sortValue = (head, order) => order === "layer"       ? -(head.layer * headCount + head.head) :
    order === "kind"                                         ? (head.kind ? certainties.indexOf(head.certainty) : -1) :
    head.scores[order] && isNumber(head.scores[order].value) ? head.scores[order].value :
                                                               -Infinity;
  function fill() {
    const names = kinds.map(kind => kind.name),
          order = names.includes(state.order) || state.order === "kind" ? state.order : "layer";
    const heading = (name, text, title) => {
      const button = element("button", {type: "button", textContent: text, title: title || ""});
      button.addEventListener("click", () => update({order: name, ...(names.includes(name) ? {score: name} : {})}));
      const cell = element("th", {scope: "col"}, button);
      if (name === order) cell.setAttribute("aria-sort", name === "layer" ? "ascending" : "descending");
      return cell;
    };
    const line = (name, cells, className) => element(
      "tr", {className}, element("th", {scope: "row"}, name),
      ...cells.map(cell => element("td", {}, ...[].concat(cell))));
    const nulls = key => kinds.map(kind => fixed(kind[key]));
    const cellOf = (head, name) => {
      const score = head.scores[name];
      if (!score || !isNumber(score.value)) return "–";
      const sure = certainties.indexOf(score.certainty);
      return element("span", {
        className: `certainty ${score.certainty || ""}`,
        title: sure > 0 ? score.certainty : "",
        textContent: fixed(score.value)
      });
    };
    const sorted = [...heads].sort((a, b) => sortValue(b, order) - sortValue(a, order));
    table.replaceChildren(
      element(
        "thead", {},
        element(
          "tr", {}, heading("layer", "head"), heading("kind", "surest as"),
          ...kinds.map(kind => heading(kind.name, kind.name, kind.about)))),
      element(
        "tbody", {}, line("even spread", ["", ...nulls("uniform")], "null"),
        ...(
          random ?
            [
              line("random, mean", ["", ...nulls("random_mean")], "null"),
              line("random, largest", ["", ...nulls("random_largest")], "null")
            ] :
            []),
        ...sorted.map(head => {
          const made = line(
            viewLink(
              headName(head.layer, head.head), "heatmap",
              {layer: head.layer, head: head.head, over: "head", against: "nothing"}),
            [head.kind ? `${head.kind} (${head.certainty})` : "–", ...kinds.map(kind => cellOf(head, kind.name))],
            head.layer === state.layer && head.head === state.head ? "chosen" : "");
          Object.assign(made.dataset, {layer: head.layer, head: head.head});
          return made;
        })));
  }

  defineView("atlas", {
    title: "Head atlas",
    watch: ["layer", "head", "score", "order"],
    choice: attention ? ["layer", "head"] : [],
    file: () => `scry-atlas-${state.score}`,
    json: () => data.heads,
    build(body) {
      legend = makeLegend();
      about = element("p", {className: "readout"});
      about.setAttribute("aria-live", "polite");
      table = element("table", {className: "numbers sortable"});
      const box = element("div", {className: "figure-box"});
      body.append(
        element(
          "div", {className: "controls"}, selectFor("score", "Score", kinds.map(kind => [kind.name, kind.name])),
          legend.element),
        about, box, element("p", {
          className: "note",
          textContent: `Over the prompt’s ${count} tokens` +
            (probe ? `; induction and duplicate from ${probe.seeds} × ${probe.length} random tokens said twice` :
                     "; without the probe of random tokens") +
            (random ? `; random weights drawn ${random.seeds} time${random.seeds === 1 ? "" : "s"}` :
                      "; without random weights") +
            ". Bold: clear or strong. A heading sorts; a head’s name opens its heat map."
        }),
        element("div", {className: "scroll tall"}, table));
      figure = makeFigure(box, {
        label: "The chosen score of every head: layers down, heads across; the arrow keys move the choice",
        layout: width => gridLayout(grid(), Math.min(width, 900)),
        draw: (pen, layout, colours) => drawGrid(pen, grid(), layout, colours),
        at: (x, y, layout) => gridCellAt(grid(), layout, x, y),
        hover: what => {
          hover = what;
          figure.redraw();
          describe();
        },
        choose: ([layer, head]) => update({layer, head}),
        step: ([down, right]) => update({layer: state.layer + down, head: state.head + right}),
      });
      induction = data.induction ? inductionPart(body, data.induction) : null;
    },
    draw() {
      if (!kinds.some(kind => kind.name === state.score)) state.score = kinds[0].name;
      legend.show("0", `${scaleEnd().toPrecision(3)}  ${state.score}`);
      figure.redraw();
      describe();
      fill();
      if (induction) induction.redraw();
    },
    picture: () => figure.picture(900),
    table: () => ({
      columns: ["layer", "head", "kind", "certainty", ...kinds.map(kind => kind.name)],
      rows: heads.map(
        head =>
          [head.layer, head.head, head.kind, head.certainty,
           ...kinds.map(kind => head.scores[kind.name] ? head.scores[kind.name].value : null)]),
    }),
  });
}

/* Induction: loss by position over random tokens said twice, the heads that look where induction looks, and who feeds
 * them. */
function inductionPart(body, induction) {
  const {loss} = induction, losses = loss.by_position || [], box = element("div", {className: "figure-box"});
  body.append(
    element("h3", {textContent: "Induction"}), element("p", {
      className: "note",
      textContent: `${induction.length} random tokens said twice, ${induction.seeds} times: ` +
        `loss ${fixed(loss.first)} ± ${fixed(loss.first_spread)} nats the first time, ` +
        `${fixed(loss.second)} ± ${fixed(loss.second_spread)} the second.`
    }),
    box);
  const chart = makeFigure(box, {
    label: "Loss by position",
    layout: width => ({width: Math.min(width, 900), height: 240}),
    draw: (pen, {width}, colours) => drawChart(
      pen, {
        series: [{name: "loss", values: losses, colour: colours.bar}],
        least: 0,
        most: Math.max(1e-9, largestOf(losses.filter(isNumber))),
        xLabel: String,
        yLabel: "loss (nats) by position"
      },
      {x: 56, y: 34, width: width - 80, height: 160}, colours),
  });
  const best = [...induction.heads].sort((a, b) => (b.induction ?? -1) - (a.induction ?? -1)).slice(0, 8);
  body.append(element(
    "div", {className: "columns even"},
    tableElement(
      [
        {name: "head", text: true}, {name: "induction"}, {name: "± spread"}, {name: "duplicate"}, {name: "previous"},
        {name: "certainty", text: true}
      ],
      best.map(
        head =>
          [viewLink(headName(head.layer, head.head), "heatmap", {layer: head.layer, head: head.head, over: "head"}),
           fixed(head.induction), fixed(head.induction_spread), fixed(head.duplicate), fixed(head.previous),
           head.certainty || "–"])),
    (induction.feeders || []).length ?
      tableElement(
        [
          {name: "head", text: true}, {name: "fed by", text: true}, {name: "K-composition"}, {name: "null"},
          {name: "its previous"}
        ],
        induction.feeders.slice(0, 10).map(
          each =>
            [headName(each.layer, each.head), headName(each.from_layer, each.from_head), fixed(each.k_composition),
             fixed(each.null), fixed(each.previous)])) :
      ""));
  return chart;
}
openers.push(() => {
  if (data.heads) atlasView(data.heads);
});
