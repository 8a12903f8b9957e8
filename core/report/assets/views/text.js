/* Text view: the prompt as it reads, each token shaded by its attention: what the chosen token looks at, or what looks
 * at it. Pointing at a token shows its attention for a moment; choosing it keeps it. */

function textView() {
  const {grid} = attention, maximum = 6;
  let text, readout, list, hover = null;

  const from = () => state.direction === "from";
  const chosen = () => hover ?? attention.cell(from() ? state.query : state.key);

  /* The weights between the chosen token and every other; NaN where one cannot see the other. */
  function weights(cell = chosen()) {
    const matrix = chosenMatrix();
    return Float64Array.from(
      {length: grid},
      (_, i) => from() ? (i <= cell ? matrix[attention.index(cell, i)] : NaN) :
                         (i >= cell ? matrix[attention.index(i, cell)] : NaN));
  }

  function show() {
    const cell = chosen(), shares = weights();
    [...text.children].forEach((span, i) => {
      const seen = shares[i] >= 0, place = seen ? placeOf(shares[i]) : 0;
      span.style.backgroundColor = seen ? colourAt(place) : "";
      span.style.color = seen ? inkOn(place) : "";
      span.className = (i === cell ? "query" : "") + (seen ? "" : " later");
    });
    const best = range(grid).filter(i => shares[i] >= 0).sort((a, b) => shares[b] - shares[a]).slice(0, maximum);
    readout.replaceChildren(
      `${overName()}: `, tokenElement(attention.label(cell)), attention.block === 1 ? ` ${cell}` : "",
      from() ? " looks at " : " is looked at by ", best.length ? tokenElement(attention.label(best[0])) : "", " ",
      element("strong", {textContent: weightText(shares[best[0]])}));
    readout.dataset.value = shares[best[0]];
    list.replaceChildren(tableElement(
      [{name: "position"}, {name: from() ? "key" : "query", text: true}, {name: "weight"}, {name: "even spread"}],
      best.map(
        i =>
          [String(attention.first(i)), tokenElement(attention.label(i)), weightText(shares[i]),
           evenWeight(from() ? cell : i).toFixed(4)])));
  }

  const choose = cell => update(
    from() ? {query: attention.first(cell), key: Math.min(state.key, attention.first(cell))} :
             {key: attention.first(cell), query: Math.max(state.query, attention.first(cell))});

  /* As a picture: lines of tokens. */
  function layout(width) {
    const style = {size: 14, mono: true}, places = [];
    let x = 16, y = 60;
    for (let i = 0; i < grid; i++) {
      const label = fitText(attention.label(i), width - 60, style), wide = measureText(label, style) + 8;
      if (x + wide > width - 16) {
        x = 16;
        y += 26;
      }
      places.push({x, y, wide, label});
      x += wide + 2;
    }
    return {width, height: y + 30, places, style};
  }
  function draw(pen, {places, style}, colours) {
    const shares = weights(attention.cell(from() ? state.query : state.key)),
          cell = attention.cell(from() ? state.query : state.key);
    pen.text(
      16, 26, `${overName()}: what ${attention.label(cell)} ${from() ? "looks at" : "is looked at by"}`,
      {size: 14, fill: colours.ink});
    places.forEach(({x, y, wide, label}, i) => {
      const seen = shares[i] >= 0, place = seen ? placeOf(shares[i]) : 0;
      if (seen) pen.rect(x, y - 11, wide, 22, {fill: colourAt(place)});
      if (i === cell) pen.rect(x, y - 11, wide, 22, {stroke: colours.mark, width: 2});
      pen.text(x + 4, y, label, {...style, fill: seen ? inkOn(place) : colours.soft});
    });
  }

  defineView("text", {
    title: "Text",
    watch: ["layer", "head", "query", "key", "over", "direction", "curve"],
    choice: ["layer", "head", "query", "key"],
    build(body) {
      const legend = makeLegend();
      bind("curve", () => showWeights(legend));
      body.append(element(
        "div", {className: "controls"}, overControl(),
        selectFor("direction", "Shade", [["from", "what the token looks at"], ["to", "what looks at the token"]]),
        curveControl(), legend.element));
      readout = element("p", {className: "readout"});
      readout.setAttribute("aria-live", "polite");
      text = element("p", {className: "row-text large", tabIndex: 0});
      text.setAttribute("role", "group");
      text.setAttribute("aria-label", "The prompt; the arrow keys choose a token");
      text.append(...range(grid).map(i => element("bdi", {textContent: attention.label(i)})));
      list = element("div", {className: "panel"});
      body.append(element("div", {className: "beside wide-left"}, element("div", {}, readout, text), list));
      const cellOf = event => {
        const cell = [...text.children].indexOf(event.target);
        return cell < 0 ? null : cell;
      };
      text.addEventListener("pointerover", event => {
        hover = cellOf(event);
        show();
      });
      text.addEventListener("pointerleave", () => {
        hover = null;
        show();
      });
      text.addEventListener("click", event => {
        const cell = cellOf(event);
        if (cell !== null) choose(cell);
      });
      text.addEventListener("keydown", event => {
        const step = arrow(event);
        if (!step) return;
        event.preventDefault();
        hover = null;
        choose(clamp(attention.cell(from() ? state.query : state.key) + step[0] + step[1], 0, grid - 1));
      });
    },
    draw: show,
    picture: () => ({layout: layout(900), draw}),
    table() {
      const cell = attention.cell(from() ? state.query : state.key), shares = weights(cell);
      return {
        columns: ["position", "token", "weight"],
        rows: range(grid)
                .filter(i => shares[i] >= 0)
                .map(i => [attention.first(i), labelOf(attention.first(i)), Number(shares[i].toPrecision(6))])
      };
    },
  });
}
openers.push(() => {
  if (attention) textView();
});
