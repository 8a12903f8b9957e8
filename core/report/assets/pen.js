/* Pens: what a picture is drawn with, on a canvas or as SVG text, so that what is exported is what is seen.
 *
 * Both have rect, line, polyline, curve, text, image, clip and unclip, in the picture's own units, and measure texts.
 * Styles: fill, stroke, width, alpha; texts: fill, size, weight, align (left, center, right), angle (degrees), mono. */

const fonts = {
  mono: "ui-monospace, 'SF Mono', 'Cascadia Mono', Consolas, 'DejaVu Sans Mono', monospace",
  sans: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif",
};
const fontOf = style => `${style.weight || "normal"} ${style.size || 12}px ${style.mono ? fonts.mono : fonts.sans}`;

const ruler = element("canvas").getContext("2d");
function measureText(text, style = {}) {
  ruler.font = fontOf(style);
  return ruler.measureText(text).width;
}
/* The text, cut with an ellipsis where it is wider than `room`. */
function fitText(text, room, style = {}) {
  if (measureText(text, style) <= room) return text;
  const letters = [...text];
  let low = 0, high = letters.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measureText(letters.slice(0, middle).join("") + "…", style) <= room)
      low = middle;
    else
      high = middle - 1;
  }
  return letters.slice(0, low).join("") + "…";
}

function canvasPen(context) {
  const styled = (style, draw) => {
    context.globalAlpha = style.alpha ?? 1;
    if (style.fill) context.fillStyle = style.fill;
    if (style.stroke) context.strokeStyle = style.stroke;
    context.lineWidth = style.width ?? 1;
    draw();
    context.globalAlpha = 1;
  };
  const path = (style, trace) => styled(style, () => {
    context.beginPath();
    trace();
    context.stroke();
  });
  return {
    rect: (x, y, width, height, style) => styled(
      style,
      () => {
        if (style.fill) context.fillRect(x, y, width, height);
        if (style.stroke) context.strokeRect(x, y, width, height);
      }),
    line: (x1, y1, x2, y2, style) => path(
      style,
      () => {
        context.moveTo(x1, y1);
        context.lineTo(x2, y2);
      }),
    polyline: (points, style) =>
      path(style, () => points.forEach(([x, y], i) => i ? context.lineTo(x, y) : context.moveTo(x, y))),
    curve: (x1, y1, x2, y2, style) => path(
      style,
      () => {
        const middle = (x1 + x2) / 2;
        context.moveTo(x1, y1);
        context.bezierCurveTo(middle, y1, middle, y2, x2, y2);
      }),
    text: (x, y, text, style = {}) => styled(
      style,
      () => {
        context.font = fontOf(style);
        context.textAlign = style.align || "left";
        context.textBaseline = "middle";
        context.direction = "ltr";
        context.save();
        context.translate(x, y);
        context.rotate((style.angle || 0) * Math.PI / 180);
        context.fillText(text, 0, 0);
        context.restore();
      }),
    image: (x, y, width, height, raster) => {
      context.imageSmoothingEnabled = raster.width > width * 1.5;
      context.drawImage(raster, x, y, width, height);
    },
    clip: (x, y, width, height) => {
      context.save();
      context.beginPath();
      context.rect(x, y, width, height);
      context.clip();
    },
    unclip: () => context.restore(),
  };
}

const markup = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
};
/* Text for XML: what XML does not allow at all is left out. */
const escaped = text => String(text)
                          .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "")
                          .replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd")
                          .replace(/[&<>"']/g, letter => markup[letter]);

function svgPen() {
  const parts = [];
  let clips = 0;
  const number = value => String(Math.round(value * 100) / 100);
  const paint = style => (style.fill ? ` fill="${escaped(style.fill)}"` : ' fill="none"') +
    (style.stroke ? ` stroke="${escaped(style.stroke)}" stroke-width="${number(style.width ?? 1)}"` : "") +
    (style.alpha !== undefined && style.alpha < 1 ? ` opacity="${number(style.alpha)}"` : "");
  const anchors = {left: "start", center: "middle", right: "end"};
  const box = (x, y, width, height) =>
    `x="${number(x)}" y="${number(y)}" width="${number(width)}" height="${number(height)}"`;
  const path = (points, style) => parts.push(`<path d="${points}"${paint({...style, fill: null})}/>`);
  return {
    rect: (x, y, width, height, style) => parts.push(`<rect ${box(x, y, width, height)}${paint(style)}/>`),
    line: (x1, y1, x2, y2, style) => path(`M${number(x1)} ${number(y1)}L${number(x2)} ${number(y2)}`, style),
    polyline: (points, style) => path("M" + points.map(([x, y]) => `${number(x)} ${number(y)}`).join("L"), style),
    curve: (x1, y1, x2, y2, style) => {
      const middle = number((x1 + x2) / 2);
      path(
        `M${number(x1)} ${number(y1)}C${middle} ${number(y1)} ${middle} ${number(y2)} ${number(x2)} ${number(y2)}`,
        style);
    },
    text: (x, y, text, style = {}) => {
      const at = `x="${number(x)}" y="${number(y)}"`, anchor = anchors[style.align || "left"], size = style.size || 12;
      parts.push(
        `<text ${at} dominant-baseline="central" text-anchor="${anchor}" xml:space="preserve"` +
        ` font-family="${escaped(style.mono ? fonts.mono : fonts.sans)}" font-size="${size}"` +
        (style.weight ? ` font-weight="${style.weight}"` : "") +
        (style.angle ? ` transform="rotate(${style.angle} ${number(x)} ${number(y)})"` : "") +
        `${paint(style)}>${escaped(text)}</text>`);
    },
    image: (x, y, width, height, raster) => {
      const pixels = raster.toDataURL("image/png"), how = 'preserveAspectRatio="none" image-rendering="pixelated"';
      parts.push(`<image ${box(x, y, width, height)} ${how} href="${pixels}"/>`);
    },
    clip: (x, y, width, height) => parts.push(
      `<clipPath id="clip${++clips}"><rect ${box(x, y, width, height)}/></clipPath><g clip-path="url(#clip${clips})">`),
    unclip: () => parts.push("</g>"),
    finish: (width, height) => '<?xml version="1.0" encoding="UTF-8"?>\n' +
      `<svg xmlns="http://www.w3.org/2000/svg" width="${number(width)}" height="${number(height)}" ` +
      `viewBox="0 0 ${number(width)} ${number(height)}">\n${parts.join("\n")}\n</svg>\n`,
  };
}

/* A pen that draws elsewhere. */
function movedPen(pen, right, down) {
  const moved = {...pen};
  for (const name of ["rect", "text", "image", "clip"])
    moved[name] = (x, y, ...rest) => pen[name](x + right, y + down, ...rest);
  for (const name of ["line", "curve"])
    moved[name] = (x1, y1, x2, y2, style) => pen[name](x1 + right, y1 + down, x2 + right, y2 + down, style);
  moved.polyline = (points, style) => pen.polyline(points.map(([x, y]) => [x + right, y + down]), style);
  return moved;
}

/* A picture of one pixel per cell; `pixel(row, column)` gives [red, green, blue], or null where nothing is. */
function makeRaster(rows, columns, pixel) {
  const raster = element("canvas", {width: columns, height: rows}), context = raster.getContext("2d");
  const image = context.createImageData(columns, rows), bytes = image.data;
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at += 4) {
      const colour = pixel(row, column);
      if (!colour) continue;
      bytes[at] = colour[0];
      bytes[at + 1] = colour[1];
      bytes[at + 2] = colour[2];
      bytes[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return raster;
}
