// What norm and its gradient are specialised for.

#include "fours.glsl"

layout(constant_id = 2) const uint KIND   = 0;
layout(constant_id = 3) const uint WEIGHT = 0; // dtype, or ABSENT

// scry_norm_kind
const uint LAYER = 0, RMS = 1, NONE = 2;

const uint ABSENT = 255;
