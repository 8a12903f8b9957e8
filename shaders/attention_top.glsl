// The largest keys of a row, as both families' kernels of them keep and write them. With BLOCK defined it brings in
// attention_block.glsl, else attention_group.glsl.
//
// top_probability, top_key [B, H, Q, count]: largest first, the lowest key first among equals

#define OWN_PARAMETERS                                                                                                 \
    uint blocks;                                                                                                       \
    int  count;                                                                                                        \
    view top_probability_view, top_key_view;
#ifdef BLOCK
#include "attention_block.glsl"
#define TOP_ROWS ROWS
#else
#include "attention_group.glsl"
#define TOP_ROWS 1u
#endif

layout(constant_id = 2) const uint ROOM = 128; // for so many keys at least

SOFTMAXES(6, readonly)
layout(std430, set = 0, binding = 7) writeonly buffer top_probability_block { float top_probability[]; };
layout(std430, set = 0, binding = 8) writeonly buffer top_key_block { int top_key[]; };
layout(std430, set = 0, binding = 9) buffer kept_block { uint kept[]; }; // [B, H, Q, count, 2]: of unfinished rows

// Of the item's rows: scores, in the end probabilities, and their keys, in order. A row's begin at a multiple of ROOM,
// which functions take as `row`.
float top_values[ROOM * TOP_ROWS];
int   top_keys[ROOM * TOP_ROWS];

void top_begin()
{
    for (uint t = 0u; t < ROOM * TOP_ROWS; t++) {
        top_values[t] = -INFINITE;
        top_keys[t]   = -1;
    }
}

// Leaves row number `number` for the next piece, and takes it up again.
void top_pause(int row, uint number)
{
    const uint end = uint(p.count), to = number * end;
    for (uint t = 0; t < end; t++) {
        kept[2u * (to + t)]      = floatBitsToUint(top_values[uint(row) + t]);
        kept[2u * (to + t) + 1u] = uint(top_keys[uint(row) + t]);
    }
}

void top_resume(int row, uint number)
{
    const uint end = uint(p.count), from = number * end;
    for (uint t = 0; t < end; t++) {
        top_values[uint(row) + t] = uintBitsToFloat(kept[2u * (from + t)]);
        top_keys[uint(row) + t]   = int(kept[2u * (from + t) + 1u]);
    }
}

// Puts a key in, behind all that are as large: those have lower keys.
void top_insert(int row, float value, int key)
{
    int at = row + p.count - 1;
    if (!(value > top_values[at])) return;
    for (; at > row && top_values[at - 1] < value; at--) {
        top_values[at] = top_values[at - 1];
        top_keys[at]   = top_keys[at - 1];
    }
    top_values[at] = value;
    top_keys[at]   = key;
}

// Scores become probabilities. exp, a rounded function, may swap neighbours by an ulp: they are sorted again.
void top_finish(int row, vec2 softmax)
{
    const int end = row + p.count;
    for (int t = row; t < end; t++) {
        const int   key = top_keys[t];
        const float p   = key < 0 ? 0.0 : exp_negative(top_values[t] - softmax.x) * softmax.y;
        int         at  = t;
        for (; key >= 0 && at > row && (top_values[at - 1] < p || (top_values[at - 1] == p && top_keys[at - 1] > key));
             at--) {
            top_values[at] = top_values[at - 1];
            top_keys[at]   = top_keys[at - 1];
        }
        top_values[at] = p;
        top_keys[at]   = key;
    }
}

void top_store(int row, uint b, uint h, uint i)
{
    const uint end = uint(p.count);
    for (uint t = 0; t < end; t++) {
        if (p.top_probability_view.present != 0u)
            top_probability[index_of(p.top_probability_view, b, h, i, t)] = top_values[uint(row) + t];
        if (p.top_key_view.present != 0u) top_key[index_of(p.top_key_view, b, h, i, t)] = top_keys[uint(row) + t];
    }
}
