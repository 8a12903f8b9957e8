/* Figures: pictures in the page that follow its width and theme, take pointer and keys, and can be exported.
 *
 * A figure has layout(width) -> {width, height, ...} and draw(pen, layout, palette). Optional: at(x, y, layout) says
 * what lies there (or null); hover(what) and choose(what) are told; step([down, right]) moves the choice. */

function makeFigure(parent, figure) {
  const canvas = element("canvas", {tabIndex: 0, className: "figure"});
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", figure.label);
  parent.append(canvas);
  let layout = null, pointed = null;

  function redraw() {
    const style = getComputedStyle(parent), ratio = window.devicePixelRatio || 1;
    const room = Math.floor(parent.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
    if (!(room > 0)) return;
    layout = figure.layout(room);
    const width = Math.round(layout.width * ratio), height = Math.round(layout.height * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
    canvas.style.width = layout.width + "px";
    canvas.style.height = layout.height + "px";
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, layout.width, layout.height);
    figure.draw(canvasPen(context), layout, palette());
  }

  function whatAt(event) {
    if (!figure.at || !layout) return null;
    const box = canvas.getBoundingClientRect();
    return figure.at(event.clientX - box.left, event.clientY - box.top, layout);
  }
  function point(what) {
    if (JSON.stringify(what) === JSON.stringify(pointed)) return;
    pointed = what;
    if (figure.hover) figure.hover(what);
  }
  canvas.addEventListener("pointermove", event => point(whatAt(event)));
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("click", event => {
    const what = whatAt(event);
    if (what !== null && figure.choose) figure.choose(what);
  });
  canvas.addEventListener("keydown", event => {
    const step = arrow(event);
    if (!step || !figure.step) return;
    event.preventDefault();
    figure.step(step);
  });
  return {canvas, redraw, picture: (width = 1000) => ({layout: figure.layout(width), draw: figure.draw})};
}

/* --- Matrices: rows and columns of cells with labels, as heat maps and grids of scores are
 *
 * A matrix: {rows, columns, raster, rowLabel(i), columnLabel(i), square}. Its layout is kept for hits and marks. */

const labelStyle = {
  size: 12,
  mono: true
};
const labelRoom = 118;

function matrixLayout(matrix, width, most = 64, top = 6) {
  const widest = (count, label) => {
    let longest = 0;
    for (let i = 0; i < count; i++) longest = Math.max(longest, measureText(label(i), labelStyle));
    return Math.min(Math.ceil(longest), labelRoom) + 10;
  };
  const left = widest(matrix.rows, matrix.rowLabel), below = widest(matrix.columns, matrix.columnLabel);
  const cell = Math.min((width - left - 2 - (matrix.right || 0)) / matrix.columns, most);
  return {
    left,
    top,
    cell,
    width,
    height: top + cell * matrix.rows + below + 4,
    side: cell * matrix.columns,
    bottom: top + cell * matrix.rows
  };
}

/* `marked` is [row, column], shown in bold with a frame; every label where there is room, else every n-th. */
function drawMatrix(pen, matrix, layout, colours, marked) {
  const {left, top, cell, side, bottom} = layout, every = Math.ceil(15 / cell);
  pen.rect(left, top, side, bottom - top, {fill: colours.masked});
  pen.image(left, top, side, bottom - top, matrix.raster);
  const labels = (count, label, chosen, place) => {
    for (let i = 0; i < count; i++) {
      const bold = i === chosen, near = chosen !== undefined && Math.abs(i - chosen) < every * 0.8;
      if (!bold && (i % every || (every > 1 && near))) continue;
      place(
        (i + 0.5) * cell, fitText(label(i), labelRoom, labelStyle),
        {...labelStyle, weight: bold ? "bold" : undefined, fill: bold ? colours.ink : colours.soft});
    }
  };
  const [row, column] = marked || [];
  labels(
    matrix.rows, matrix.rowLabel, row,
    (at, text, style) => pen.text(left - 7, top + at, text, {...style, align: "right"}));
  labels(
    matrix.columns, matrix.columnLabel, column,
    (at, text, style) => pen.text(left + at, bottom + 7, text, {...style, align: "right", angle: -90}));
  if (!marked) return;
  pen.rect(left + column * cell, top + row * cell, cell, cell, {stroke: colours.mark, width: 2.5});
}

function matrixCellAt(matrix, layout, x, y) {
  const row = Math.floor((y - layout.top) / layout.cell), column = Math.floor((x - layout.left) / layout.cell);
  return row < 0 || column < 0 || row >= matrix.rows || column >= matrix.columns ? null : [row, column];
}

/* --- Grids: rows and columns of numbers
 *
 * A grid: {rows, columns, value(row, column), most, scale, rowLabel(i), columnLabel(i), title}; values from 0 to
 * `most`, or from -most to most on the diverging scale. Optional: framed(row, column), chosen and pointed at as [row,
 * column]. */

const gridStyle = {
  size: 11.5
};

function gridLayout(grid, width, widest = 62) {
  const left =
    Math.ceil(Math.min(labelRoom, largestOf(range(grid.rows).map(i => measureText(grid.rowLabel(i), gridStyle))))) + 14;
  const tilted = largestOf(range(grid.columns).map(i => measureText(grid.columnLabel(i), gridStyle))) > 18;
  const wide = Math.min((width - left - 8) / grid.columns, widest), high = clamp(wide, 18, 36), top = tilted ? 24 : 44;
  const below = tilted ?
    Math.min(labelRoom, largestOf(range(grid.columns).map(i => measureText(grid.columnLabel(i), gridStyle)))) + 12 :
    4;
  return {left, top, wide, high, tilted, width: left + wide * grid.columns + 8, height: top + high * grid.rows + below};
}

function drawGrid(pen, grid, {left, top, wide, high, tilted}, colours) {
  const bottom = top + grid.rows * high, every = Math.ceil((tilted ? 14 : 22) / wide), gap = wide > 6 ? 1 : 0;
  const tint = chosen =>
    ({...gridStyle, fill: chosen ? colours.ink : colours.soft, weight: chosen ? "bold" : undefined});
  const [chosenRow, chosenColumn] = grid.chosen || [];
  pen.text(left, 11, grid.title, {size: 12, fill: colours.soft});
  for (let column = 0; column < grid.columns; column++) {
    if (column % every && column !== chosenColumn) continue;
    const x = left + (column + 0.5) * wide, style = tint(column === chosenColumn),
          text = fitText(grid.columnLabel(column), labelRoom, gridStyle);
    if (tilted)
      pen.text(x, bottom + 6, text, {...style, align: "right", angle: -90});
    else
      pen.text(x, top - 10, text, {...style, align: "center"});
  }
  for (let row = 0; row < grid.rows; row++) {
    pen.text(
      left - 8, top + (row + 0.5) * high, fitText(grid.rowLabel(row), labelRoom, gridStyle),
      {...tint(row === chosenRow), align: "right"});
    for (let column = 0; column < grid.columns; column++) {
      const value = grid.value(row, column), x = left + column * wide, y = top + row * high;
      const place = isNumber(value) ? clamp(value / (grid.most || 1), -1, 1) : null;
      pen.rect(
        x + gap, y + gap, wide - 2 * gap, high - 2 * gap,
        {fill: place === null ? colours.masked : colourAt(place, grid.scale)});
      if (place === null) continue;
      const ink = inkOn(place, grid.scale);
      if (grid.framed && grid.framed(row, column))
        pen.rect(x + 3, y + 3, wide - 6, high - 6, {stroke: ink, width: 1.5});
      if (wide >= 34)
        pen.text(
          x + wide / 2, y + high / 2, fixed(value, Math.abs(value) < 9.995 ? 2 : 1),
          {size: 11, align: "center", fill: ink});
    }
  }
  const frame = ([row, column], colour) =>
    pen.rect(left + column * wide, top + row * high, wide, high, {stroke: colour, width: 2.5});
  if (grid.chosen) frame(grid.chosen, colours.mark);
  if (grid.pointed) frame(grid.pointed, colours.accent);
}

function gridCellAt(grid, {left, top, wide, high}, x, y) {
  const row = Math.floor((y - top) / high), column = Math.floor((x - left) / wide);
  return row < 0 || column < 0 || row >= grid.rows || column >= grid.columns ? null : [row, column];
}

/* --- Charts: lines over a common axis
 *
 * {series: [{name, values, colour, dashed}], least, most, xLabel(i), yLabel}; gaps where a value is missing. */
function drawChart(pen, chart, box, colours) {
  const {x, y, width, height} = box, count = Math.max(2, ...chart.series.map(series => series.values.length));
  const across = i => x + width * i / (count - 1);
  const up = value => y + height - height * (value - chart.least) / (chart.most - chart.least || 1);
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const value = chart.least + share * (chart.most - chart.least);
    pen.line(x, up(value), x + width, up(value), {stroke: colours.line});
    pen.text(x - 6, up(value), String(Number(value.toPrecision(3))), {size: 11, align: "right", fill: colours.soft});
  }
  if (chart.yLabel) pen.text(x, y - 12, chart.yLabel, {size: 12, fill: colours.soft});
  const every = Math.ceil(count / Math.max(1, Math.floor(width / (chart.xRoom || 40))));
  for (let i = 0; chart.xLabel && i < count; i += every)
    pen.text(
      across(i), y + height + 13, fitText(chart.xLabel(i), (chart.xRoom || 40) - 4, {size: 11}),
      {size: 11, align: "center", fill: colours.soft});
  chart.series.forEach((series, order) => {
    const runs = [[]];
    series.values.forEach((value, i) => isNumber(value) ? runs.at(-1).push([across(i), up(value)]) : runs.push([]));
    for (const run of runs) {
      if (run.length > 1)
        pen.polyline(run, {stroke: series.colour, width: 2});
      else if (run.length)
        pen.rect(run[0][0] - 2, run[0][1] - 2, 4, 4, {fill: series.colour});
    }
    if (chart.series.length > 1) {
      const at = x + order * Math.min(190, width / chart.series.length);
      pen.rect(at, y + height + 28, 14, 3, {fill: series.colour});
      pen.text(at + 19, y + height + 30, fitText(series.name, 160, {size: 11.5}), {size: 11.5, fill: colours.ink});
    }
  });
  return {across, up};
}

/* A table as a picture, for views that are tables on the page. Columns: {name, text}; cells are texts. */
function tablePicture(columns, rows) {
  const style = {size: 12},
        room = columns.map(
          (column, i) =>
            Math.min(
              360,
              Math.max(
                measureText(column.name, style), ...rows.map(row => measureText(String(row[i] ?? "–"), style)))) +
            24);
  const width = room.reduce((sum, wide) => sum + wide, 20), height = 30 + 20 * (rows.length + 1);
  return {
    layout: {width, height},
    draw(pen, _, colours) {
      const line = (cells, y, fill) => {
        let x = 10;
        cells.forEach((cell, i) => {
          const right = !columns[i].text;
          pen.text(
            right ? x + room[i] - 14 : x, y, fitText(String(cell ?? "–"), room[i] - 14, style),
            {...style, fill, align: right ? "right" : "left"});
          x += room[i];
        });
      };
      line(columns.map(column => column.name), 18, colours.soft);
      pen.line(10, 30, width - 10, 30, {stroke: colours.line});
      rows.forEach((row, i) => line(row, 42 + 20 * i, colours.ink));
    },
  };
}
