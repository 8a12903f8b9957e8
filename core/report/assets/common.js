"use strict";
/* Shared by the views: the data, the state, colours, numbers, elements. Texts reach the page as textContent only. */

const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);

/* What is chosen; views listen and redraw what changed. */
const state = { layer: 0, head: 0, query: 0, key: 0, lensLayer: 0, position: 0, curve: "linear", measure: "probability" };
const listeners = [];
function update(change) {
  Object.assign(state, change);
  for (const listen of listeners) listen(change);
}

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/* The colour scale, as CSS text and as pixels; `place` is 0 to 1. */
const colours = data.colours.match(/.{6}/g).map(hex => [0, 2, 4].map(at => parseInt(hex.slice(at, at + 2), 16)));
const colourIndex = place => Math.max(0, Math.min(255, Math.round(place * 255) || 0));
function colourAt(place) {
  return `rgb(${colours[colourIndex(place)].join(" ")})`;
}
function inkOn(place) {
  const [red, green, blue] = colours[colourIndex(place)].map(part => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}
function drawScale(canvas, curve) {
  const context = canvas.getContext("2d");
  for (let x = 0; x < 256; x++) {
    context.fillStyle = colourAt(curve(x / 255));
    context.fillRect(x, 0, 1, 1);
  }
}

function percent(share) {
  if (share === null) return "–";
  const value = 100 * share;
  if (value >= 9.95) return value.toFixed(1) + " %";
  if (value >= 0.0095) return value.toPrecision(2) + " %";
  return value > 0 ? "< 0.01 %" : "0 %";
}
const fixed = (value, digits = 3) => value === null || value === undefined ? "–" : value.toFixed(digits);
const tokenElement = label => element("span", { className: "token", textContent: label });

/* Steps for an arrow key, or null. */
function arrow(event) {
  return { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] || null;
}
const clamp = (value, least, most) => Math.max(least, Math.min(most, value));
