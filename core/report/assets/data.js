"use strict";
/* The report's data, and what every view needs: elements, numbers, names of tokens. Texts reach the page as textContent
 * only, so that no token can become markup. */

const data = JSON.parse(document.getElementById("data").textContent);
const tokenCount = data.tokens.length;
const byId = id => document.getElementById(id);

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const clamp = (value, least, most) => Math.max(least, Math.min(most, value));
const range = count => Array.from({length: count}, (_, i) => i);
const largestOf = values => values.reduce((most, value) => value > most ? value : most, -Infinity);
const isNumber = value => typeof value === "number" && Number.isFinite(value);

/* Digits of a number; what rounds to 0 has no sign. */
const fixed = (value, digits = 3) => isNumber(value) ? value.toFixed(digits).replace(/^-(?=0\.?0*$)/, "") : "–";
const signed = (value, digits = 3) => (Number(fixed(value, digits)) > 0 ? "+" : "") + fixed(value, digits);
function percent(share) {
  if (!isNumber(share)) return "–";
  const value = 100 * share;
  if (value >= 9.95) return value.toFixed(1) + " %";
  if (value >= 0.0095) return value.toPrecision(2) + " %";
  return value > 0 ? "< 0.01 %" : "0 %";
}

/* Texts of models as people should see them, by the rules of core/report/label.c: in a label white space is shown too,
 * prose keeps it; controls and what turns the line around are dots. */
const unseen = /[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;
const whiteSpace = {
  " ": "␣",
  "\n": "⏎",
  "\t": "⇥"
};
const proseText = text => text.replace(unseen, letter => "\n\t".includes(letter) ? letter : "·");
const labelText = text => proseText(text).replace(/[ \n\t]/g, letter => whiteSpace[letter]) || "∅";
const tokenElement = label => element("bdi", {className: "token", textContent: label});
const labelOf = position => data.tokens[position] ? data.tokens[position].label : "–";
const headName = (layer, head) => `${layer}.${head}`;

/* A table of numbers. Columns: {name, title, text (left-aligned)}; cells are texts, elements or null. */
function tableElement(columns, rows, properties = {}) {
  const cell = (tag, column, content) => {
    const made = element(tag, {className: column.text ? "text" : ""});
    if (content !== null && content !== undefined) made.append(content);
    return made;
  };
  return element(
    "table", {className: "numbers", ...properties},
    element("thead", {}, element("tr", {}, ...columns.map(column => Object.assign(cell("th", column, column.name), {
              title: column.title || "",
              scope: "col"
            })))),
    element(
      "tbody", {}, ...rows.map(row => element("tr", {}, ...row.map((content, i) => cell("td", columns[i], content))))));
}

/* Steps for an arrow key, [down, right], or null. */
function arrow(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  return {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key] || null;
}
