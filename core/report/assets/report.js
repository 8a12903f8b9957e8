/* Starts the views with what is worth seeing first, or with what the address asks for: #layer=3&head=5&position=7. */

const asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const start = (name, most, otherwise) => name in asked ? clamp(Number(asked[name]) || 0, 0, most) : otherwise;

if (attention && attention.codes.some(code => code !== null)) {
  attentionView();
  /* Shown first: the strongest previous-token head. The head with the lowest entropy would often be a mere sink. */
  let best = attention.codes.findIndex(code => code !== null) * attention.head_count;
  attention.scores.forEach((scores, i) => {
    if (scores && (scores.previous ?? 0) > (attention.scores[best].previous ?? 0)) best = i;
  });
  const layer = start("layer", attention.layer_count - 1, Math.floor(best / attention.head_count));
  const query = start("query", attention.grid - 1, attention.grid - 1);
  update({
    /* Spread over many tokens, weights are small. */
    curve: asked.curve || (data.tokens.length > 48 ? "root" : "linear"),
    layer: attention.codes[layer] === null ? Math.floor(best / attention.head_count) : layer,
    head: start("head", attention.head_count - 1, best % attention.head_count),
    query,
    key: start("key", query, Math.max(query - 1, 0)),
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
