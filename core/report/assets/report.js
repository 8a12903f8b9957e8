/* Starts the views with what is worth seeing first, or with what the address asks for: #layer=3&head=5&position=7. */

const asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const start = (name, most, otherwise) => name in asked ? clamp(Number(asked[name]) || 0, 0, most) : otherwise;

if (attention && attention.codes.some(code => code !== null)) {
  attentionView();
  /* Shown first: where the last token looks hardest. */
  const look = attention.look || { layer: attention.codes.findIndex(code => code !== null), head: 0, key: 0 };
  const layer = start("layer", attention.layer_count - 1, look.layer);
  const query = start("query", attention.grid - 1, attention.grid - 1);
  update({
    /* Spread over many tokens, weights are small. */
    curve: asked.curve || (data.tokens.length > 48 ? "root" : "linear"),
    layer: attention.codes[layer] === null ? look.layer : layer,
    head: start("head", attention.head_count - 1, look.head),
    query,
    key: start("key", query, Math.min(Math.floor(look.key / attention.block), query)),
  });
  byId("attention-curve").value = state.curve;
}
if (lens) {
  lensView();
  update({
    lensLayer: start("lens", lens.layer_count - 1, lens.layer_count - 1),
    position: start("position", lens.token_count - 1, lens.token_count - 1),
  });
}
