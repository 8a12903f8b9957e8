/* Every head in small, layers down and heads across, each the picture of its weights. For the model view, and for the
 * overview's glance. */

/* Layout, drawing and hits for a figure whose heads are at most `widest` pixels on a side. `pointed()` gives the
 * [layer, head] under the pointer, or null; without `marks` the choice has no frame. */
function headsGrid({widest, pointed, marks}) {
  const {layers, heads, grid, size} = attention, gap = 5, left = 34, top = 22;
  let thumbnails = {name: ""};

  /* A head's picture of at most `side` pixels, each the largest weight of the cells that it covers. */
  function thumbnail(layer, head, side) {
    const codes = attention.codes[layer].subarray(head * size, (head + 1) * size), pixels = Math.min(side, grid);
    const most = new Int32Array(pixels * pixels).fill(-1);
    for (let query = 0, at = 0; query < grid; query++) {
      const line = Math.floor(query * pixels / grid) * pixels;
      for (let key = 0; key <= query; key++, at++) {
        const place = line + Math.floor(key * pixels / grid);
        if (codes[at] > most[place]) most[place] = codes[at];
      }
    }
    return makeRaster(pixels, pixels, (row, column) => {
      const code = most[row * pixels + column];
      return code < 0 ? null : pixelAt(placeOf(attention.values[code]));
    });
  }
  function pictures(side) {
    const name = `${side} ${state.curve}`;
    if (thumbnails.name !== name)
      thumbnails = {
        name,
        rasters: range(layers).map(
          layer => attention.has(layer) ? range(heads).map(head => thumbnail(layer, head, side)) : null)
      };
    return thumbnails.rasters;
  }

  function layout(width) {
    const side = clamp(Math.floor((width - left - 6) / heads) - gap, Math.min(20, widest), widest);
    return {side, step: side + gap, width: left + heads * (side + gap) + 4, height: top + layers * (side + gap) + 4};
  }
  function draw(pen, {side, step}, colours) {
    const rasters = pictures(side * Math.min(2, window.devicePixelRatio || 1));
    for (let head = 0; head < heads; head++)
      pen.text(
        left + head * step + side / 2, 10, String(head),
        {size: 11.5, align: "center", fill: marks && head === state.head ? colours.ink : colours.soft});
    for (let layer = 0; layer < layers; layer++) {
      const y = top + layer * step;
      pen.text(
        left - 9, y + side / 2, String(layer),
        {size: 11.5, align: "right", fill: marks && layer === state.layer ? colours.ink : colours.soft});
      for (let head = 0; head < heads; head++) {
        const x = left + head * step, chosen = marks && layer === state.layer && head === state.head;
        pen.rect(x, y, side, side, {fill: colours.masked});
        if (rasters[layer])
          pen.image(x, y, side, side, rasters[layer][head]);
        else
          pen.text(x + side / 2, y + side / 2, "–", {align: "center", fill: colours.soft});
        if (chosen) pen.rect(x - 1, y - 1, side + 2, side + 2, {stroke: colours.mark, width: 2.5});
      }
    }
    const under = pointed();
    if (under)
      pen.rect(
        left + under[1] * step - 1, top + under[0] * step - 1, side + 2, side + 2, {stroke: colours.accent, width: 2});
  }
  function at(x, y, {step}) {
    const layer = Math.floor((y - top) / step), head = Math.floor((x - left) / step);
    return layer < 0 || head < 0 || layer >= layers || head >= heads || !attention.has(layer) ? null : [layer, head];
  }
  return {layout, draw, at};
}
