/* Attention weights as the page holds them: codes c with weight (c / levels)², the lower triangle of each head row by
 * row, deflated layer by layer. A cell stands for `block` x `block` positions and holds the largest weight among them.
 */

const triangle = side => side * (side + 1) / 2;

async function inflate(text) {
  const packed = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/* Makes weights of the page's `attention` object, or of one of a comparison. */
async function openAttention(object) {
  if (!object || object.codes.every(text => text === null)) return null;
  const {layer_count: layers, head_count: heads, grid, block, levels} = object, size = triangle(grid);
  const codes = await Promise.all(object.codes.map(async text => {
    if (text === null) return null;
    const bytes = await inflate(text);
    return levels > 255 ? new Uint16Array(bytes.buffer) : bytes; /* little-endian, as every browser's machine */
  }));
  const values = Float32Array.from({length: levels + 1}, (_, code) => (code / levels) ** 2);
  const kept = new Map(); /* the matrices last asked for */

  function compute(over, layer, head) {
    const matrix = new Float32Array(size);
    const chosen = range(layers).filter(i => codes[i] && (over === "all" || i === layer));
    const count = chosen.length * (over === "head" ? 1 : heads);
    for (const i of chosen) {
      for (let h = over === "head" ? head : 0; h < (over === "head" ? head + 1 : heads); h++) {
        const from = codes[i].subarray(h * size, (h + 1) * size);
        for (let at = 0; at < size; at++) matrix[at] += values[from[at]];
      }
    }
    if (count > 1)
      for (let at = 0; at < size; at++) matrix[at] /= count;
    return matrix;
  }

  return {
    layers,
    heads,
    grid,
    block,
    levels,
    codes,
    values,
    size,
    has: layer => codes[layer] !== null,
    index: (query, key) => query * (query + 1) / 2 + key,
    /* Lower triangle of a head's weights, or of the mean over a layer's heads or all heads. */
    matrix(layer, head, over = "head") {
      const name = over === "head" ? headName(layer, head) : over === "layer" ? `layer ${layer}` : "all";
      if (!kept.has(name)) {
        if (kept.size >= 24) kept.delete(kept.keys().next().value);
        kept.set(name, compute(over, layer, head));
      }
      return kept.get(name);
    },
    cell: position => Math.floor(position / block),
    first: cell => cell * block,
    label: cell => block === 1 ?
      labelOf(cell) :
      `${cell * block}–${Math.min((cell + 1) * block, tokenCount) - 1} ${labelOf(cell * block)}`,
  };
}

/* The page's own attention; set before the views start. */
let attention = null;
let compared = []; /* of a comparison: each run's, the first being the page's own */
const chosenMatrix = () => attention.matrix(state.layer, state.head, state.over);
/* A weight, and how far it may be from the model's where its code is coarse. */
const weightText = weight => fixed(weight, 4);
const codeError = weight =>
  attention.levels > 255 ? "" : ` ± ${(Math.sqrt(Math.max(weight, 0)) / attention.levels).toFixed(4)}`;
const overName = () => ({
  head: `Layer ${state.layer}, head ${state.head}`,
  layer: `Layer ${state.layer}, mean of its heads`,
  all: "Mean of all heads",
})[state.over];

const chosenCell = () => [attention.cell(state.query), attention.cell(state.key)];
const chooseCell = ([query, key]) => update({query: attention.first(query), key: attention.first(key)});
function stepCell([down, right]) {
  const query = clamp(state.query + down * attention.block, 0, tokenCount - 1);
  update({query, key: clamp(state.key + right * attention.block, 0, query)});
}

/* What uniform causal attention would give: each row evenly over its keys. Of blocks, the largest in the block. */
const evenWeight = query => 1 / (query * attention.block + 1);
