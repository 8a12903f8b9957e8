/* Colours: the page's own by name, the scales for quantities, and one for each head. Pictures take them as CSS text. */

const parseScale = text => text.match(/.{6}/g).map(hex => [0, 2, 4].map(at => parseInt(hex.slice(at, at + 2), 16)));
const scales = {
  sequential: parseScale(data.colours),
  diverging: parseScale(data.colours_signed)
};

/* The pixel at a place of a scale: 0 to 1, or -1 to 1 on the diverging one. */
function pixelAt(place, scale = "sequential") {
  const share = scale === "diverging" ? (place + 1) / 2 : place;
  return scales[scale][clamp(Math.round(share * 255) || 0, 0, 255)];
}
const css = pixel => `rgb(${pixel.join(",")})`;
const colourAt = (place, scale) => css(pixelAt(place, scale));

/* Black or white, whichever reads better on a pixel, or at a place of a scale. */
function inkOver(pixel) {
  const [red, green, blue] = pixel.map(part => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}
const inkOn = (place, scale) => inkOver(pixelAt(place, scale));

/* Where a weight lies on the scale. */
const placeOf = weight => state.curve === "root" ? Math.sqrt(weight) : weight;

/* The page's colours as the browser resolved them, kept until the theme changes. */
let resolved = null;
function palette() {
  if (resolved) return resolved;
  const probe = element("span", {hidden: true});
  document.body.append(probe);
  resolved = {};
  for (const name of ["page", "surface", "sunk", "line", "ink", "soft", "accent", "mark", "bar", "masked"]) {
    probe.style.color = `var(--${name})`;
    resolved[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  resolved.dark = isDark();
  return resolved;
}
const darkSystem = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => state.theme === "dark" || (state.theme !== "light" && darkSystem.matches);

/* Hues as far apart as the count allows. */
function headPixel(head, count) {
  const hue = 360 * head / count + 200, lightness = isDark() ? 0.66 : 0.42,
        chroma = 0.62 * Math.min(lightness, 1 - lightness);
  return [0, 8, 4].map(shift => {
    const turn = (shift + hue / 30) % 12;
    return Math.round(255 * (lightness - chroma * Math.max(-1, Math.min(turn - 3, 9 - turn, 1))));
  });
}
const headColour = (head, count) => css(headPixel(head, count));

/* A legend: the scale with what its ends mean. */
function makeLegend() {
  const canvas = element("canvas", {width: 256, height: 1}), least = element("span"), most = element("span");
  canvas.setAttribute("aria-hidden", "true");
  return {
    element: element("span", {className: "scale"}, least, canvas, most),
    show(leastText, mostText, scale = "sequential", place = share => share) {
      const context = canvas.getContext("2d");
      range(256).forEach(x => {
        context.fillStyle = colourAt(scale === "diverging" ? x / 127.5 - 1 : place(x / 255), scale);
        context.fillRect(x, 0, 1, 1);
      });
      least.textContent = leastText;
      most.textContent = mostText;
    },
  };
}
const showWeights = legend => legend.show("0", "1  attention weight", "sequential", placeOf);
