/* Exports: each view's picture as SVG and PNG, and its data as CSV and JSON. */

function download(name, content, type) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], {type}));
  const link = element("a", {href: address, download: name});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function svgText({layout, draw}) {
  const pen = svgPen(), colours = palette();
  pen.rect(0, 0, layout.width, layout.height, {fill: colours.page});
  draw(pen, layout, colours);
  return pen.finish(layout.width, layout.height);
}

/* At twice the size, where a canvas can hold it. */
function pngBlob({layout, draw}) {
  const largest = 16000, ratio = Math.min(2, largest / layout.width, largest / layout.height), colours = palette();
  const canvas =
    element("canvas", {width: Math.round(layout.width * ratio), height: Math.round(layout.height * ratio)});
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = colours.page;
  context.fillRect(0, 0, layout.width, layout.height);
  draw(canvasPen(context), layout, colours);
  return new Promise(done => canvas.toBlob(done, "image/png"));
}

/* RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe in front. */
function csvText({columns, rows}) {
  const cell = value => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map(row => columns.map((_, i) => cell(row[i])).join(",")).join("\r\n") + "\r\n";
}

/* What a view hands out: {columns: [names], rows: [[values]]}. */
const jsonText = ({columns, rows}) =>
  JSON.stringify(rows.map(row => Object.fromEntries(columns.map((name, i) => [name, row[i] ?? null]))), null, 1) + "\n";

const exports = {
  svg: view => download(`${view.file()}.svg`, svgText(view.picture()), "image/svg+xml"),
  png: async view => download(`${view.file()}.png`, await pngBlob(view.picture())),
  csv: view => download(`${view.file()}.csv`, csvText(view.table()), "text/csv"),
  json: view => download(
    `${view.file()}.json`, view.json ? JSON.stringify(view.json(), null, 1) + "\n" : jsonText(view.table()),
    "application/json"),
};

function exportButtons(view) {
  const buttons = Object.keys(exports).map(kind => {
    const button = element("button", {type: "button", textContent: kind.toUpperCase()});
    button.dataset.export = kind;
    button.setAttribute("aria-label", `Export as ${kind.toUpperCase()}`);
    button.addEventListener("click", () => exports[kind](view));
    return button;
  });
  return element("div", {className: "exports"}, element("span", {textContent: "Export"}), ...buttons);
}
