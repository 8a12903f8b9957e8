// Entries' elements, four at a time. Included behind what lens_block and lens_group declare: WEIGHT, IN_QUADS, `plan`,
// `unembedding_view`, and `unembedding` as uint, uvec2 and uvec4.

// Those from element k of the entry that begins at element `entry` on; zeros behind the last.
vec4 weights_at(uint entry, uint k)
{
    vec4 weights = vec4(0.0);
    if (IN_QUADS && WEIGHT == F32) {
        weights = uintBitsToFloat(unembedding_quads[(entry + k) / 4]);
    } else if (IN_QUADS) {
        const uvec2 pairs = unembedding_pairs[(entry + k) / 4];
        weights = vec4(float_of_word(pairs.x, 0, WEIGHT), float_of_word(pairs.x, 1, WEIGHT),
                       float_of_word(pairs.y, 0, WEIGHT), float_of_word(pairs.y, 1, WEIGHT));
    } else {
        const uint along = unembedding_view.stride[1];
        for (uint j = 0; j < 4; j++)
            if (k + j < plan.size) weights[j] = LOAD_AS(unembedding, entry + (k + j) * along, WEIGHT);
    }
    return weights;
}
