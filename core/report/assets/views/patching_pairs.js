/* Patching over many pairs: their means as ways of the patching view, with deviations and counts beside them. */

const patchCount = count => count === 1 ? "1 pair" : `${count} pairs`;

/* A mean grid as the view's grids are. */
function patchMeanGrid(grid) {
  const metrics = ["effect", "logit_difference", "probability", "kl", "estimate"].filter(name => name in grid);
  const part = key => Object.fromEntries(metrics.map(name => [name, grid[name][key]]));
  return {...patchGrid(grid), ...part("mean"), deviations: part("deviation"), counts: part("count")};
}

/* Grids by position are of prompts of one length; those of heads alone are of all pairs, and stand beside each. */
function patchMeanWays({grids, defined_count: defined}) {
  return ["denoise", "noise"].flatMap(direction => {
    const own = grids.filter(grid => grid.direction === direction), lengths = new Set(own.map(patchLength));
    if (lengths.size > 1) lengths.delete(0);
    return [...lengths].map(length => {
      const shown = own.filter(grid => !patchLength(grid) || patchLength(grid) === length);
      const placed = shown.find(patchLength) || shown[0];
      const labels = placed.labels.map(text => text === null ? "(differs)" : labelText(text));
      const of = lengths.size > 1 ? `; ${patchCount(placed.pair_count)} of ${length} positions` : "";
      return {
        name: lengths.size > 1 ? `${direction}-${length}` : direction,
        title: patchWayNames[direction] + of,
        noise: direction === "noise",
        defined: defined > 0,
        pair_count: placed.pair_count,
        first_difference: Math.max(0, placed.labels.indexOf(null)),
        labels,
        grids: shown.map(patchMeanGrid)
      };
    });
  });
}

/* How many positions a mean grid has; 0: all of them together. */
const patchLength = grid => grid.labels.length;

/* What the unpatched runs say. */
function patchPairsTable({pair_count: count, defined_count: defined, clean, corrupt}) {
  const row = (name, {mean, deviation}) => [name, signed(mean), fixed(deviation)];
  const table = tableElement(
    [{name: patchCount(count), text: true}, {name: "difference of logits, mean"}, {name: "standard deviation"}],
    [row("clean", clean), row("corrupt", corrupt)], {className: "numbers checks"});
  if (defined === count) return table;
  const note = `${count - defined} of them have the same difference in both runs, and no effects.`;
  return element("div", {}, table, element("p", {className: "note", textContent: note}));
}
