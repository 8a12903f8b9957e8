/* Head view: queries at the left, keys at the right, a line for each weight in the colour of its head. Pointing at a
 * token isolates its lines; choosing it keeps them. Long prompts scroll under the picture, which draws only what is in
 * sight. */

function headsView() {
  const {heads, grid} = attention, row = grid <= 24 ? 27 : 19, top = 6, lineLimit = 4000;
  let box, space, canvas, chips = [], readout, hover = null, pen = null;

  const tokenStyle = {...labelStyle, size: 12.5};
  const longest = largestOf(range(grid).map(cell => measureText(attention.label(cell), tokenStyle)));
  const shownHeads = () => state.shown === "all" ?
    range(heads) :
    state.shown.split(",").filter(Boolean).map(Number).filter(head => head < heads);
  const rowAt = y => Math.floor((y - top) / row);

  /* Which token's lines are isolated: {side: "query" or "key", cell}, or null. */
  const isolated = () => hover || (state.locked ? {side: "query", cell: attention.cell(state.query)} : null);

  /* [{query, key, weight, head}] of what begins or ends in rows first to last; above a threshold that keeps them few
   * enough. */
  function linesIn(first, last) {
    const only = isolated(), lines = [], least = only ? 0.002 : 0.02;
    for (const head of shownHeads()) {
      const matrix = attention.matrix(state.layer, head);
      for (let query = first; query < grid; query++) {
        if (only && only.side === "query" && query !== only.cell) continue;
        const from = attention.index(query, 0), inSight = query <= last;
        for (let key = inSight ? 0 : first; key <= Math.min(query, last); key++) {
          if (only && only.side === "key" && key !== only.cell) continue;
          if (matrix[from + key] >= least) lines.push({query, key, weight: matrix[from + key], head});
        }
      }
    }
    lines.sort((a, b) => a.weight - b.weight);
    const left = Math.max(0, lines.length - lineLimit);
    return {lines: lines.slice(left), least: left ? lines[left].weight : least};
  }

  /* Beside each column of tokens is a lane with a box for each head, for the shares of an isolated token. */
  function layout(width) {
    const wide = Math.min(width, 980), lane = Math.min(heads * 10, 130, wide * 0.12) + 8;
    const label = clamp(longest + 22, 60, Math.max(60, wide * 0.4 - lane));
    return {width: wide, height: top * 2 + grid * row, left: lane + label, right: wide - lane - label, label, lane};
  }

  /* Draws the part of the picture from `offset` on that is `height` high. */
  function drawPart(pen, made, colours, offset, height) {
    const {left, right, label} = made;
    const first = Math.max(0, rowAt(offset)), last = Math.min(grid - 1, rowAt(offset + height)), only = isolated();
    const middle = cell => top + (cell + 0.5) * row - offset;
    const {lines, least} = linesIn(first, last);
    const colour = range(heads).map(head => headColour(head, heads));
    if (only) drawShares(pen, lines, only, made, middle, colour);
    for (const {query, key, weight, head} of lines)
      pen.line(
        left, middle(query), right, middle(key),
        {stroke: colour[head], width: only ? 2 : 1.5, alpha: Math.min(1, 0.08 + 0.92 * placeOf(weight))});
    for (let cell = first; cell <= last; cell++) {
      const query = cell === attention.cell(state.query), mark = only && only.cell === cell;
      const text = fitText(attention.label(cell), label - 16, tokenStyle);
      pen.text(left - 8, middle(cell), text, {
        ...tokenStyle,
        align: "right",
        weight: mark && only.side === "query" ? "bold" : undefined,
        fill: query || (mark && only.side === "query") ? colours.ink : colours.soft
      });
      pen.text(right + 8, middle(cell), text, {
        ...tokenStyle,
        weight: mark && only.side === "key" ? "bold" : undefined,
        fill: mark && only.side === "key" ? colours.ink : colours.soft
      });
      if (query)
        pen.rect(left - label + 2, middle(cell) - row / 2 + 1, label - 4, row - 2, {stroke: colours.mark, width: 1.5});
    }
    return least;
  }

  /* In the lane of the other side: how much each head gives the tokens there. */
  function drawShares(pen, lines, only, {lane, width}, middle, colour) {
    const shown = shownHeads(), wide = (lane - 8) / Math.max(1, shown.length);
    for (const {query, key, weight, head} of lines) {
      const x = (only.side === "query" ? width - lane + 4 : 4) + shown.indexOf(head) * wide;
      pen.rect(
        x, middle(only.side === "query" ? key : query) - row / 2 + 1, wide - 1, row - 2,
        {fill: colour[head], alpha: Math.sqrt(weight)});
    }
  }

  function redraw() {
    const made = layout(box.clientWidth - 14), height = Math.min(made.height, Math.max(360, window.innerHeight - 230)),
          ratio = window.devicePixelRatio || 1;
    box.style.height = height + "px";
    space.style.height = made.height + "px";
    const size = [Math.round(made.width * ratio), Math.round(height * ratio)];
    if (canvas.width !== size[0] || canvas.height !== size[1]) Object.assign(canvas, {width: size[0], height: size[1]});
    Object.assign(canvas.style, {width: made.width + "px", height: height + "px"});
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, made.width, height);
    pen = pen || canvasPen(context);
    describe(drawPart(pen, made, palette(), box.scrollTop, height));
  }
  let waiting = 0;
  const soon = () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(redraw);
  };

  function describe(least) {
    const only = isolated(), shown = shownHeads();
    if (!only) {
      readout.textContent = `${shown.length} of ${heads} heads; weights below ${least.toFixed(3)} have no line. ` +
        "Point at a token to see its lines alone, click to keep them.";
      return;
    }
    const looks = only.side === "query", others = looks ? range(only.cell + 1) : range(grid).slice(only.cell);
    const index = other => looks ? attention.index(only.cell, other) : attention.index(other, only.cell);
    const weight = (head, other) => attention.matrix(state.layer, head)[index(other)];
    const pairs = others.flatMap(other => shown.map(head => ({other, head, weight: weight(head, other)})));
    const named =
      pairs.sort((a, b) => b.weight - a.weight)
        .slice(0, 6)
        .map(
          ({other, head, weight: share},
           i) => [i ? ", " : "", tokenElement(attention.label(other)), ` ${weightText(share)} (head ${head})`]);
    readout.replaceChildren(
      tokenElement(attention.label(only.cell)), looks ? " looks at " : " is looked at by ", ...named.flat());
  }

  function tokenAt(event) {
    const bounds = canvas.getBoundingClientRect(), {left, right, width} = layout(box.clientWidth - 14);
    const x = event.clientX - bounds.left, cell = rowAt(event.clientY - bounds.top + box.scrollTop);
    if (cell < 0 || cell >= grid || (x > left + 12 && x < right - 12) || x > width) return null;
    return {side: x <= left + 12 ? "query" : "key", cell};
  }

  function makeChips(parent) {
    const set = shown => update({shown: shown.length === heads ? "all" : shown.join(",")});
    const button = (text, title, act) => {
      const made = element("button", {type: "button", textContent: text, title});
      made.addEventListener("click", act);
      return made;
    };
    chips = range(heads).map(
      head => button(String(head), `head ${head}: click to show or hide, double click for it alone`, () => {
        const shown = shownHeads();
        set(shown.includes(head) ? shown.filter(other => other !== head) : [...shown, head].sort((a, b) => a - b));
        update({head});
      }));
    chips.forEach((chip, head) => chip.addEventListener("dblclick", () => set([head])));
    parent.append(
      element("span", {className: "chips"}, "Heads ", ...chips),
      button("all", "show every head", () => set(range(heads))),
      button("none", "hide every head", () => update({shown: ""})),
      button("only the chosen", "show the chosen head alone", () => set([state.head])));
  }

  function move([down]) {
    update({query: attention.first(clamp(attention.cell(state.query) + down, 0, grid - 1)), locked: 1});
  }
  /* Scrolls until the chosen query is in sight. */
  function reveal() {
    const y = top + attention.cell(state.query) * row;
    if (y < box.scrollTop) box.scrollTop = y - 10;
    if (y + row > box.scrollTop + box.clientHeight) box.scrollTop = y + row - box.clientHeight + 10;
  }

  defineView("heads-view", {
    title: "Head view",
    watch: ["layer", "head", "query", "shown", "locked", "curve"],
    choice: ["layer", "head", "query"],
    file: () => `scry-heads-layer${state.layer}`,
    build(body) {
      const controls = element("div", {className: "controls"});
      makeChips(controls);
      controls.append(curveControl());
      readout = element("p", {className: "readout"});
      readout.setAttribute("aria-live", "polite");
      canvas = element("canvas", {tabIndex: 0, className: "figure"});
      canvas.setAttribute("role", "img");
      canvas.setAttribute(
        "aria-label", "Lines from queries at the left to keys at the right; up and down choose a query");
      space = element("div", {className: "roller-space"}, canvas);
      box = element("div", {className: "roller"}, space);
      body.append(controls, readout, box);
      box.addEventListener("scroll", soon);
      canvas.addEventListener("pointermove", event => {
        const what = tokenAt(event);
        if (JSON.stringify(what) === JSON.stringify(hover)) return;
        hover = what;
        soon();
      });
      canvas.addEventListener("pointerleave", () => {
        hover = null;
        soon();
      });
      canvas.addEventListener("click", event => {
        const what = tokenAt(event);
        if (!what)
          update({locked: 0});
        else if (what.side === "query")
          update({
            query: attention.first(what.cell),
            locked: state.locked && attention.cell(state.query) === what.cell ? 0 : 1
          });
      });
      canvas.addEventListener("keydown", event => {
        const step = arrow(event);
        if (!step || !step[0]) return;
        event.preventDefault();
        move(step);
      });
    },
    draw(changes) {
      const shown = shownHeads();
      chips.forEach((chip, head) => {
        chip.setAttribute("aria-pressed", shown.includes(head));
        chip.style.backgroundColor = shown.includes(head) ? headColour(head, heads) : "";
        chip.style.color = shown.includes(head) ? inkOver(headPixel(head, heads)) : "";
      });
      redraw();
      if ("query" in changes) reveal();
    },
    picture: () => ({
      layout: layout(900),
      draw: (pen, made, colours) => {
        drawPart(pen, made, colours, 0, made.height);
      }
    }),
    table() {
      const rows = [];
      for (const head of shownHeads()) {
        const matrix = attention.matrix(state.layer, head);
        for (let query = 0; query < grid; query++)
          for (let key = 0; key <= query; key++) {
            const weight = matrix[attention.index(query, key)];
            if (weight >= 0.01)
              rows.push([
                state.layer, head, attention.first(query), labelOf(attention.first(query)), attention.first(key),
                labelOf(attention.first(key)), Number(weight.toPrecision(6))
              ]);
          }
      }
      return {columns: ["layer", "head", "query", "query_token", "key", "key_token", "weight"], rows};
    },
  });
}
openers.push(() => {
  if (attention) headsView();
});
