/* Influence: what one output position drew on. Each key's weight and rollout, and what changes when the edge to it is
 * cut: by key, by layer and key, and by head. */

function influenceView(influence) {
  const {keys, layers, heads, sinks, position, target} = influence;
  const cuts = {
    logit: "change of the target’s logit when cut",
    log_probability: "change of its log-probability when cut (nats)",
    kl: "KL of the prediction from the cut one (nats)"
  };
  const effects = {weight: "mean attention weight", rollout: "attention rollout", ...cuts};
  const headCount = largestOf(heads.map(head => head.head)) + 1;
  let bars, byLayer, byHead, legend, readout, row, tables, hover = null;

  const isCut = () => state.effect in cuts;
  const cutValue = cut => cut ? cut[state.effect] : null;
  const ofKey = key => isCut() ? cutValue(keys[key].cut) : keys[key][state.effect];
  const ofLayer = (layer, key) => isCut() ? cutValue(layers[layer].cut && layers[layer].cut[key]) :
    state.effect === "weight"             ? layers[layer].weights[key] :
                                            null;
  const ofHead = (layer, head) =>
    isCut() ? cutValue((heads.find(each => each.layer === layer && each.head === head) || {}).cut) : null;
  const scale = () => isCut() && state.effect !== "kl" ? "diverging" : "sequential";
  const mostOf = values => Math.max(1e-9, largestOf(values.filter(isNumber).map(Math.abs)));
  const keyMost = () => mostOf(range(keys.length).map(ofKey));

  /* A bar for each key, up or down from zero. */
  function layout(width) {
    const labels = Math.min(labelRoom, largestOf(keys.map(key => measureText(labelOf(key.position), labelStyle)))) + 10;
    const step = Math.min((width - 70) / keys.length, 60);
    return {width: 70 + step * keys.length, height: 170 + labels, step};
  }
  function draw(pen, {step}, colours) {
    const values = range(keys.length).map(ofKey), most = keyMost(), low = values.some(value => value < 0) ? -most : 0,
          high = values.some(value => value > 0) ? most : 0;
    const top = 20, tall = 130, y = value => top + tall * (high - value) / (high - low || 1),
          every = Math.ceil(14 / step);
    for (const value of new Set([low, 0, high])) {
      pen.line(60, y(value), 60 + step * keys.length, y(value), {stroke: colours.line});
      pen.text(54, y(value), value.toPrecision(3), {size: 11, align: "right", fill: colours.soft});
    }
    values.forEach((value, key) => {
      const x = 60 + key * step, chosen = key === (hover ?? state.key);
      if (isNumber(value)) {
        const wide = step * 0.8, high = Math.max(0.5, Math.abs(y(value) - y(0))), up = Math.min(y(0), y(value));
        const fill = scale() === "diverging" ? colourAt(value / most, "diverging") : colours.bar;
        pen.rect(x + step * 0.1, up, wide, high, {fill, stroke: chosen ? colours.mark : undefined, width: 2});
      }
      if (key % every && !chosen) return;
      pen.text(x + step / 2, top + tall + 10, fitText(labelOf(key), labelRoom, labelStyle), {
        ...labelStyle,
        align: "right",
        angle: -90,
        fill: chosen ? colours.ink : colours.soft,
        weight: chosen ? "bold" : undefined
      });
    });
  }

  const layerGrid = () => ({
    rows: layers.length,
    columns: keys.length,
    rowLabel: String,
    columnLabel: labelOf,
    scale: scale(),
    value: ofLayer,
    most: mostOf(layers.flatMap((_, layer) => range(keys.length).map(key => ofLayer(layer, key)))),
    title: "by layer (down) and key (across)",
    pointed: hover === null ? null : [state.layer, hover],
  });
  const headGrid = () => ({
    rows: layers.length,
    columns: headCount,
    rowLabel: String,
    columnLabel: String,
    scale: scale(),
    value: ofHead,
    most: mostOf(heads.map(head => ofHead(head.layer, head.head))),
    chosen: [state.layer, state.head],
    title: "by head: all keys but the position itself cut",
  });

  function describe() {
    const key = hover ?? Math.min(state.key, position), {weight, rollout, cut} = keys[key];
    readout.replaceChildren(
      "key ", tokenElement(labelOf(key)), ` ${key}: weight `, element("strong", {textContent: fixed(weight, 4)}),
      `, rollout ${fixed(rollout, 4)}`,
      ...(
        cut ?
          [
            "; cut: logit ", element("strong", {textContent: signed(cut.logit, 4)}),
            `, log-probability ${signed(cut.log_probability, 4)}, KL ${fixed(cut.kl, 4)}`
          ] :
          []));
    const value = ofKey(key);
    readout.dataset.value = value;
  }
  function shade() {
    const most = keyMost();
    [...row.children].forEach((token, key) => {
      const value = ofKey(key), place = isNumber(value) ? value / most : 0;
      token.style.backgroundColor = colourAt(place, scale());
      token.style.color = inkOn(place, scale());
      token.className = key === position ? "query" : key === (hover ?? state.key) ? "key" : "";
      token.title = isNumber(value) ? value.toFixed(4) : "not measured";
    });
  }
  function fillTables() {
    const link = each => viewLink(
      headName(each.layer, each.head), "heatmap",
      {layer: each.layer, head: each.head, query: position, over: "head", against: "nothing"});
    const strongest = heads.filter(head => head.cut && isNumber(head.cut.logit))
                        .sort((a, b) => Math.abs(b.cut.logit) - Math.abs(a.cut.logit))
                        .slice(0, 10);
    tables.replaceChildren(
      strongest.length ? tableElement(
                           [
                             {name: "head", text: true}, {name: "cut: logit"}, {name: "log-probability"}, {name: "KL"},
                             {name: "looks most at", text: true}
                           ],
                           strongest.map(head => {
                             const key = head.weights.indexOf(largestOf(head.weights.filter(isNumber)));
                             return [
                               link(head), signed(head.cut.logit), signed(head.cut.log_probability), fixed(head.cut.kl),
                               tokenElement(`${labelOf(key)} ${fixed(head.weights[key], 2)}`)
                             ];
                           })) :
                         "",
      sinks.length ?
        tableElement(
          [
            {name: "sink in head", text: true}, {name: "key", text: true}, {name: "× even share"}, {name: "mean weight"}
          ],
          sinks.map(
            sink =>
              [link(sink), tokenElement(`${sink.key} ${labelOf(sink.key)}`), fixed(sink.ratio, 2),
               fixed(sink.share)])) :
        element("p", {className: "note", textContent: "No sinks."}));
  }
  const point = key => {
    hover = key;
    bars.redraw();
    byLayer.redraw();
    shade();
    describe();
  };

  defineView("influence", {
    title: "Influence",
    watch: ["effect", "key", "layer", "head"],
    json: () => influence,
    build(body) {
      legend = makeLegend();
      readout = element("p", {className: "readout"});
      readout.setAttribute("aria-live", "polite");
      row =
        element("p", {className: "row-text"}, ...keys.map(key => element("bdi", {textContent: labelOf(key.position)})));
      row.addEventListener("click", event => {
        const key = [...row.children].indexOf(event.target);
        if (key >= 0) update({key});
      });
      const box = element("div", {className: "figure-box"}), left = element("div", {className: "figure-box"}),
            right = element("div", {className: "figure-box"});
      tables = element("div", {className: "columns even"});
      body.append(
        element(
          "p", {}, "What position ", element("strong", {textContent: position}), " ", tokenElement(labelOf(position)),
          " drew on for ", tokenElement(labelText(target.text)),
          ` (${percent(target.probability)}, logit ${fixed(target.logit)})`),
        element("div", {className: "controls"}, selectFor("effect", "Show", Object.entries(effects)), legend.element),
        readout, row, box, element("div", {className: "beside"}, left, right), tables);
      bars = makeFigure(box, {
        label: "The chosen measure by key; left and right choose a key",
        layout,
        draw,
        at: (x, y, {step}) => {
          const key = Math.floor((x - 60) / step);
          return key >= 0 && key < keys.length ? key : null;
        },
        hover: point,
        choose: key => update({key}),
        step: ([down, right]) => update({key: clamp(state.key + down + right, 0, position)})
      });
      byLayer = makeFigure(left, {
        label: "The chosen measure by layer and key",
        layout: width => gridLayout(layerGrid(), width, 40),
        draw: (pen, layout, colours) => drawGrid(pen, layerGrid(), layout, colours),
        at: (x, y, layout) => gridCellAt(layerGrid(), layout, x, y),
        choose: ([layer, key]) => update({layer, key}),
        step: ([down, right]) => update({layer: state.layer + down, key: clamp(state.key + right, 0, position)})
      });
      byHead = makeFigure(right, {
        label: "What cutting each head changes",
        layout: width => gridLayout(headGrid(), width, 48),
        draw: (pen, layout, colours) => drawGrid(pen, headGrid(), layout, colours),
        at: (x, y, layout) => gridCellAt(headGrid(), layout, x, y),
        choose: ([layer, head]) => update({layer, head}),
        step: ([down, right]) => update({layer: state.layer + down, head: state.head + right})
      });
      fillTables();
    },
    draw() {
      if (!(state.effect in effects)) state.effect = "logit";
      hover = null;
      const most = keyMost();
      legend.show(
        scale() === "diverging" ? `−${most.toPrecision(3)}` : "0", `${most.toPrecision(3)}  ${effects[state.effect]}`,
        scale());
      for (const figure of [bars, byLayer, byHead]) figure.redraw();
      shade();
      describe();
    },
    picture: () => bars.picture(900),
    table: () => ({
      columns: ["position", "token", "weight", "rollout", "cut_logit", "cut_log_probability", "cut_kl"],
      rows: keys.map(
        ({position: key, weight, rollout, cut}) =>
          [key, labelOf(key), weight, rollout,
           ...(cut ? [cut.logit, cut.log_probability, cut.kl] : [null, null, null])])
    }),
  });
}
openers.push(() => {
  if (data.influence) influenceView(data.influence);
});
