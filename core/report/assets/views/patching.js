/* Patching: what each activation of one prompt's run makes of the other's prediction, by layer and position and by
 * layer and head, in both directions; computed, estimated, or both; of a pair of prompts, or means over many pairs
 * (patching_pairs.js). */

const patchEnough = 0.5; /* effects from here on are spoken of */
const patchOfHeads = new Set(["z", "q", "k", "v", "pattern"]);

const patchWayNames = {
  denoise: "clean into corrupt: what restores",
  noise: "corrupt into clean: what breaks"
};

/* A grid that knows where its cells lie. */
const patchGrid = grid => ({
  ...grid,
  heads: patchOfHeads.has(grid.kind),
  at: (layer, head, position) => (layer * grid.head_count + head) * grid.position_count + position,
});

/* A direction of the result, its baseline's positions named by both prompts' tokens. */
function patchWay(patching, direction) {
  const noise = direction.direction === "noise", own = patching[noise ? "clean" : "corrupt"].tokens,
        others = patching[noise ? "corrupt" : "clean"].tokens;
  const labels = direction.matches.map((match, position) => {
    const here = labelText(own[position].text), there = match === null ? "–" : labelText(others[match].text);
    if (here === there) return here;
    return noise ? `${here} | ${there}` : `${there} | ${here}`;
  });
  return {
    ...direction,
    noise,
    labels,
    name: direction.direction,
    title: patchWayNames[direction.direction],
    grids: direction.grids.map(patchGrid)
  };
}

/* The ways in which a page's patching can be seen: directions, and of many pairs prompts of one length. */
function patchWays() {
  if (data.patching) return data.patching.directions.map(direction => patchWay(data.patching, direction));
  return data.patching_pairs ? patchMeanWays(data.patching_pairs) : [];
}

/* The positions where the stream alone makes half of the difference, each with its runs of layers, [first, last]. */
function patchPlaces({labels}, grid) {
  return labels
    .map((label, position) => {
      const runs = [];
      for (const layer of range(grid.layer_count)) {
        if (!(grid.effect[grid.at(layer, 0, position)] >= patchEnough)) continue;
        if (runs.length && runs.at(-1)[1] === layer - 1)
          runs.at(-1)[1] = layer;
        else
          runs.push([layer, layer]);
      }
      return {label, position, runs};
    })
    .filter(place => place.runs.length);
}

/* "... at ␣Eiffel | ␣Brandenburg in layers 0 to 2, ␣in in layer 5.", as texts and elements. */
function patchStory(way) {
  const stream = way.grids.find(grid => grid.kind === "resid_pre");
  if (!stream || !stream.effect) return [];
  const places = patchPlaces(way, stream);
  const what = (way.pair_count ? `In the mean over ${patchCount(way.pair_count)}, the ` : "The ") +
    (way.noise ? "corrupt residual stream, put into the clean run, breaks" :
                 "clean residual stream, put into the corrupt run, restores");
  if (!way.defined) return ["Both runs have the same difference of logits: effects are not defined."];
  if (!places.length) return [what + " half of the difference at no single position."];
  return [
    what + " at least half of the difference at ",
    ...places.flatMap(
      ({label, position, runs}, i) =>
        [i ? ", " : "", tokenElement(label), way.pair_count ? ` (position ${position})` : "",
         ` in ${runs.length > 1 || runs[0][0] < runs[0][1] ? "layers" : "layer"} ` +
           runs.map(([first, last]) => first < last ? `${first} to ${last}` : first).join(" and ")]),
    "."
  ];
}

function patchingView(all) {
  const ways = Object.fromEntries(all.map(each => [each.name, each])), first = all[0];
  const means = Boolean(first.pair_count); /* each number a mean, beside which stands how far pairs spread */
  const metrics = Object.fromEntries(Object
                                       .entries({
                                         effect: "effect: 0 nothing, 1 as the other run",
                                         logit_difference: "difference of the two logits",
                                         probability: "probability of the answer",
                                         kl: "KL from the other run (nats)",
                                         estimate: "effect, estimated from one gradient"
                                       })
                                       .filter(([name]) => name in first.grids[0]));
  /* The metrics that share a scale: an estimate stands for an effect. */
  const effects = ["effect", "estimate"], alikeOf = name => effects.includes(name) ? effects : [name];
  const titles = {
    resid_pre: "residual stream before the layer",
    resid_mid: "residual stream between attention and MLP",
    attn_out: "output of attention",
    mlp_out: "output of the MLP",
    z: "heads’ outputs (z)",
    q: "queries",
    k: "keys",
    v: "values",
    pattern: "patterns"
  };
  const byPosition = first.grids.some(({kind, position_count: count}) => count > 1 && patchOfHeads.has(kind));
  const figures = new Map();
  let legend, readout, story, hover = null;
  state.patchPosition = first.first_difference;
  limits.patchPosition = [0, Math.max(1, ...all.map(each => each.labels.length)) - 1];
  limits.layer = limits.layer || [0, Math.max(...first.grids.map(grid => grid.layer_count)) - 1];
  limits.head = limits.head || [0, Math.max(...first.grids.map(grid => grid.head_count)) - 1];

  const way = () => ways[state.patchWay];
  const gridOf = kind => way().grids.find(grid => grid.kind === kind);
  const headPosition = grid => Math.min(state.patchPosition, grid.position_count - 1);
  /* A cell is [layer, place]: the place is a head's number or a position. */
  const indexOf = (grid, [layer, place]) =>
    grid.heads ? grid.at(layer, place, headPosition(grid)) : grid.at(layer, 0, place);
  const spreads = () => means && state.patchStatistic === "deviation";
  const valuesOf = (grid, metric) => (spreads() ? grid.deviations : grid)[metric];
  const scale = () => spreads() || ["probability", "kl"].includes(state.patchMetric) ? "sequential" : "diverging";
  const largest = {}; /* of each direction and metric, once it was asked for */
  function most() {
    if (state.patchMetric === "probability" && !spreads()) return 1;
    const name = `${state.patchWay} ${state.patchMetric} ${spreads()}`, alike = alikeOf(state.patchMetric);
    const values = way().grids.flatMap(grid => alike.flatMap(each => valuesOf(grid, each) || []));
    return largest[name] ??=
             Math.max(alike.length > 1 && !spreads() ? 1 : 1e-9, largestOf(values.filter(isNumber).map(Math.abs)));
  }
  function chosen() {
    const grid = gridOf(state.patchKind), places = grid.heads ? grid.head_count : grid.position_count;
    const place = grid.heads ? state.head : state.patchPosition;
    return [clamp(state.layer, 0, grid.layer_count - 1), clamp(place, 0, places - 1)];
  }

  const drawn = kind => {
    const grid = gridOf(kind), values = valuesOf(grid, state.patchMetric);
    return {
      rows: grid.layer_count,
      columns: grid.heads ? grid.head_count : grid.position_count,
      rowLabel: String,
      columnLabel: grid.heads ? String : place => way().labels[place],
      value: (layer, place) => values[indexOf(grid, [layer, place])],
      scale: scale(),
      most: most(),
      title: titles[kind],
      chosen: kind === state.patchKind ? chosen() : undefined,
      pointed: hover && hover.kind === kind ? hover.cell : undefined
    };
  };
  const figureOf = kind => ({
    label: `${titles[kind]}: layers down, ${
      gridOf(kind).heads ? "heads" : "positions"} across; the arrow keys move the choice`,
    layout: width => gridLayout(drawn(kind), width, gridOf(kind).heads ? 44 : 62),
    draw: (pen, layout, colours) => drawGrid(pen, drawn(kind), layout, colours),
    at: (x, y, layout) => gridCellAt(drawn(kind), layout, x, y),
    hover: cell => {
      hover = cell && {kind, cell};
      figures.get(kind).redraw();
      describe();
    },
    choose: cell => choose(kind, cell),
    step: ([down, right]) => {
      const [layer, place] = kind === state.patchKind ? chosen() : [0, 0], {rows, columns} = drawn(kind);
      choose(kind, [clamp(layer + down, 0, rows - 1), clamp(place + right, 0, columns - 1)]);
    }
  });
  const choose = (kind, [layer, place]) =>
    update({patchKind: kind, layer, [gridOf(kind).heads ? "head" : "patchPosition"]: place});

  function describe() {
    const {kind, cell} = hover || {kind: state.patchKind, cell: chosen()}, grid = gridOf(kind), i = indexOf(grid, cell);
    const where = grid.heads ?
      [
        `, head ${cell[1]}`,
        ...(grid.position_count > 1 ? [" at ", tokenElement(way().labels[headPosition(grid)])] : [])
      ] :
      [", position ", tokenElement(way().labels[cell[1]]), ` ${cell[1]}`];
    const number = name => grid[name][i];
    const spread = name => {
      if (!means || !isNumber(grid.deviations[name][i])) return "";
      return " ± " + (name === "probability" ? percent : value => fixed(value, 4))(grid.deviations[name][i]);
    };
    const words = {
      effect: () => ["effect ", element("strong", {textContent: fixed(number("effect"), 4)})],
      logit_difference: () => [`difference ${signed(number("logit_difference"))}`],
      probability: () => [`probability ${percent(number("probability"))}`],
      kl: () => [`KL ${fixed(number("kl"), 4)}`],
      estimate: () => ["estimate ", element("strong", {textContent: fixed(number("estimate"), 4)})]
    };
    const known = Object.keys(metrics).filter(name => isNumber(number(name)));
    readout.replaceChildren(
      `${titles[kind]}, layer ${cell[0]}`, ...where, ": ",
      ...(
        known.length ? known.flatMap((name, order) => [order ? ", " : "", ...words[name](), spread(name)]) :
                       ["not patched: no position of the other prompt matches"]),
      known.length && means ? ` (mean ± standard deviation of ${patchCount(grid.counts[known[0]][i])})` : "",
      agreementText(grid));
    readout.dataset.value = valuesOf(grid, state.patchMetric)[i];
  }

  /* How far a grid's estimates are off, where it has both. */
  function agreementText({agreement}) {
    if (!agreement) return "";
    const {count, mean, largest: most, correlation} = agreement;
    return `. Of this grid's ${count} cells, estimates are off by ${fixed(mean, 4)} in the mean, ${
      fixed(most, 4)} at most; correlation ${isNumber(correlation) ? fixed(correlation, 4) : "undefined"}`;
  }

  /* A prompt as text, tokens that the other one does not have at their place in boxes. */
  function promptText(tokens, others) {
    return element(
      "span", {},
      ...tokens.map(
        ({text}, i) => others[i] && others[i].text === text ? element("bdi", {textContent: proseText(text)}) :
                                                              tokenElement(labelText(text))));
  }
  function prompts() {
    if (means) return patchPairsTable(data.patching_pairs);
    const {clean, corrupt} = data.patching,
                  [answer, wrong] = [clean.answer, clean.wrong].map(each => labelText(each.text));
    const row = (name, side, other) =>
      [name, promptText(side.tokens, other.tokens), percent(side.answer.probability), percent(side.wrong.probability),
       signed(side.logit_difference)];
    return tableElement(
      [
        {name: "", text: true}, {name: "prompt", text: true}, {name: answer}, {name: wrong},
        {name: "difference of logits"}
      ],
      [row("clean", clean, corrupt), row("corrupt", corrupt, clean)], {className: "numbers checks"});
  }

  const shownKinds = heads => first.grids.filter(grid => grid.heads === heads).map(grid => grid.kind);

  defineView("patching", {
    title: "Patching",
    watch: ["patchWay", "patchMetric", "patchStatistic", "patchKind", "patchPosition", "layer", "head"],
    file: () => `scry-patching-${state.patchWay}`,
    json: () => data.patching || data.patching_pairs,
    build(body) {
      settle();
      legend = makeLegend();
      readout = element("p", {className: "readout"});
      readout.setAttribute("aria-live", "polite");
      story = element("p", {className: "prose"});
      const controls = element(
        "div", {className: "controls"}, selectFor("patchWay", "Put", all.map(({name, title}) => [name, title])),
        selectFor("patchMetric", "Show", Object.entries(metrics)));
      if (means)
        controls.append(
          selectFor("patchStatistic", "as", [["mean", "mean over pairs"], ["deviation", "standard deviation"]]));
      if (byPosition)
        controls.append(selectFor("patchPosition", "Heads at", first.labels.map((label, i) => [i, `${i}  ${label}`])));
      controls.append(legend.element);
      const groups = [[false, "columns even"], [true, "three"]].map(
        ([heads, className]) => element("div", {className}, ...shownKinds(heads).map(kind => {
          const box = element("div", {className: "figure-box"});
          figures.set(kind, makeFigure(box, figureOf(kind)));
          return box;
        })));
      body.append(element("div", {className: "scroll"}, prompts()), story, controls, readout, ...groups);
    },
    draw() {
      settle();
      hover = null;
      const text = Number(most().toPrecision(3));
      const what = (spreads() ? "standard deviation of " : "") + metrics[state.patchMetric];
      legend.show(scale() === "diverging" ? `−${text}` : "0", `${text}  ${what}`, scale());
      story.replaceChildren(...patchStory(way()));
      for (const figure of figures.values()) figure.redraw();
      describe();
    },
    /* The grids beneath each other, two beside each other. */
    picture() {
      const step = 520, parts = [...figures.values()].map(figure => figure.picture(step - 20)), places = [];
      let height = 0;
      for (let i = 0; i < parts.length; i += 2) {
        places.push(height, height);
        height += Math.max(...parts.slice(i, i + 2).map(part => part.layout.height)) + 24;
      }
      return {
        layout: {width: 2 * step, height},
        draw: (pen, layout, colours) =>
          parts.forEach((part, i) => part.draw(movedPen(pen, i % 2 * step, places[i] + 8), part.layout, colours))
      };
    },
    table: () => ({
      columns: ["direction", "kind", "layer", "head", "position", "token", ...Object.keys(metrics).flatMap(columnsOf)],
      rows: way().grids.flatMap(
        grid => range(grid.layer_count)
                  .flatMap(layer => range(grid.head_count).flatMap(head => range(grid.position_count).map(position => {
                    const at = grid.at(layer, head, position), one = grid.heads && grid.position_count === 1;
                    return [
                      state.patchWay, grid.kind, layer, grid.heads ? head : null, one ? null : position,
                      one ? null : way().labels[position],
                      ...Object.keys(metrics).flatMap(name => cellsOf(grid, name).map(values => values[at]))
                    ];
                  }))))
    }),
  });

  /* In a table a metric of many pairs has three columns. */
  function columnsOf(name) {
    return means ? [name, `${name}_deviation`, `${name}_pairs`] : [name];
  }
  function cellsOf(grid, name) {
    return means ? [grid[name], grid.deviations[name], grid.counts[name]] : [grid[name]];
  }

  /* An address may ask for what this report does not have. */
  function settle() {
    if (!(state.patchWay in ways)) state.patchWay = first.name;
    if (!(state.patchMetric in metrics)) state.patchMetric = Object.keys(metrics)[0];
    if (!gridOf(state.patchKind)) state.patchKind = first.grids[0].kind;
  }
}
openers.push(() => {
  const ways = patchWays();
  if (ways.length) patchingView(ways);
});
