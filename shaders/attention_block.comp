// attention for devices of CPU type: output, the rows' softmax and their records (attention_block.glsl).
//
// Launched over blocks of ITEMS * ROWS queries x heads x sequences, for each piece of the keys and VALUES of the values.
#version 450
#extension GL_GOOGLE_include_directive : require

#define OWN_PARAMETERS                                                                                                 \
    view v_view, out_view;                                                                                             \
    uint blocks, wants_rows;                                                                                           \
    int  key;
#include "attention_block.glsl"

layout(constant_id = 2) const uint VALUES = 64; // that a row holds

layout(std430, set = 0, binding = 6) readonly buffer v_block { float v[]; };
layout(std430, set = 0, binding = 7) buffer out_block { float out_[]; };
layout(std430, set = 0, binding = 8) buffer records_block { uint records[]; };
SOFTMAXES(9, writeonly)

// The item's rows on their way through the keys. `weighted` is the sum of exp(s - largest) * (s - largest); `picked` are
// scores, -inf until their key has come; value c of row i is at mixed[c * ROWS + i].
float largest[ROWS], sum[ROWS], weighted[ROWS], shrink[ROWS], picked[PICKED * ROWS], mixed[VALUES * ROWS];
int   best[ROWS], best_of[ROWS]; // best_of: as `tile` has the others, in the end

void begin_rows()
{
    EACH(i, ROWS)
    {
        largest[i] = -INFINITE;
        sum[i] = weighted[i] = 0.0;
        best[i]              = -1;
    }
    for (uint e = 0u; e < PICKED * ROWS; e++) picked[e] = -INFINITE;
    for (uint e = 0u; e < VALUES * ROWS; e++) mixed[e] = 0.0;
}

// The scores of the statistics' keys, where the tile has them.
void pick(int query, int padding, int first)
{
    const int self = masked.position + query, asked = p.key;
    for (int i = 0; i < int(ROWS); i++) {
        const int wanted[PICKED] = {self + row_at(i) - 1, self + row_at(i), padding, asked};
        for (int kind = 0; kind < int(PICKED); kind++) {
            const int n = wanted[kind] - first;
            if (n >= 0 && n < TILE) picked[kind * int(ROWS) + i] = tile[n * int(ROWS) + i];
        }
    }
}

// Scores become exponentials, and all sums are scaled for the largest score that came with them.
void advance(int first)
{
    EACH(i, ROWS) shrink[i] = largest[i];
    for (int n = 0; n < TILE; n++)
        EACH(i, ROWS)
        {
            const float score = tile[n * int(ROWS) + i];
            if (score > largest[i]) {
                largest[i] = score;
                best[i]    = first + n;
            }
        }
    EACH(i, ROWS)
    {
        float below;
        shrink[i]   = exp_bounded(shrink[i] - centre_of(largest[i]), below);
        weighted[i] = (weighted[i] + sum[i] * below) * shrink[i];
        sum[i]      = sum[i] * shrink[i];
    }
    for (int n = 0; n < TILE; n++)
        EACH(i, ROWS)
        {
            float       below;
            const float e           = exp_bounded(tile[n * int(ROWS) + i] - centre_of(largest[i]), below);
            weighted[i]             = weighted[i] + e * below;
            sum[i]                  = sum[i] + e;
            tile[n * int(ROWS) + i] = e;
        }
}

// mixed = mixed * shrink + the tile's exponentials times the values of its keys, which begin at values + n * stride;
// those past number `last` repeat it, and their exponentials are 0.
void mix(uint values, int last, int length)
{
    const uint stride = p.v_view.stride[1];
    uint       at[TILE];
    EACH(n, TILE) at[n] = values + uint(min(n, last)) * stride;
    for (int c = 0; c < length; c++) {
        float sums[ROWS];
        EACH(i, ROWS) sums[i] = mixed[c * int(ROWS) + i] * shrink[i];
        EACH(n, TILE)
        {
            const float x = v[at[n] + uint(c)];
            EACH(i, ROWS) sums[i] = fma(tile[n * int(ROWS) + i], x, sums[i]);
        }
        EACH(i, ROWS) mixed[c * int(ROWS) + i] = sums[i];
    }
}

// What becomes of rows, ENDING fields of each in `tile`: so a loop over rows can read it. SHOWN is the record.
const int CENTRE = 0, FACTOR = 1, SHOWN = 2;

// What of rows under way waits in their records, beside best and picked.
const uint LARGEST = LSE, SUM = ENTROPY, WEIGHTED = MAX;

void pause_rows()
{
    EACH(i, ROWS)
    {
        tile[CENTRE * int(ROWS) + i]                   = 0.0;
        tile[FACTOR * int(ROWS) + i]                   = 1.0;
        tile[(SHOWN + int(LARGEST)) * int(ROWS) + i]   = largest[i];
        tile[(SHOWN + int(SUM)) * int(ROWS) + i]       = sum[i];
        tile[(SHOWN + int(WEIGHTED)) * int(ROWS) + i]  = weighted[i];
        best_of[i]                                     = best[i];
    }
    for (int e = 0; e < int(PICKED * ROWS); e++) tile[(SHOWN + int(PREVIOUS)) * int(ROWS) + e] = picked[e];
}

// Goes on where the piece before left the rows from number `row` on; out of query 0 of the block begins at `base`.
void resume_rows(uint row, uint base, int count, int length)
{
    for (int i = 0; i < int(ROWS); i++) {
        const uint own = uint(min(row_at(i), count - 1)), record = (row + own) * RECORD;
        const uint from = base + own * p.out_view.stride[1];
        for (uint field = 0u; field < RECORD; field++)
            tile[int(field * ROWS) + i] = uintBitsToFloat(records[record + field]);
        best_of[i] = int(records[record + ARGMAX]);
        for (int c = 0; c < length; c++) mixed[c * int(ROWS) + i] = out_[from + uint(c)];
    }
    EACH(i, ROWS)
    {
        largest[i]  = tile[int(LARGEST * ROWS) + i];
        sum[i]      = tile[int(SUM * ROWS) + i];
        weighted[i] = tile[int(WEIGHTED * ROWS) + i];
        best[i]     = best_of[i];
    }
    for (int e = 0; e < int(PICKED * ROWS); e++) picked[e] = tile[int(PREVIOUS * ROWS) + e];
}

void finish_rows()
{
    EACH(i, ROWS)
    {
        const float centre                            = centre_of(largest[i]);
        tile[CENTRE * int(ROWS) + i]                  = centre;
        tile[FACTOR * int(ROWS) + i]                  = factor_of(sum[i]);
        tile[(SHOWN + int(LSE)) * int(ROWS) + i]      = lse_of(centre, sum[i]);
        tile[(SHOWN + int(ENTROPY)) * int(ROWS) + i]  = entropy_of(sum[i], weighted[i]);
        tile[(SHOWN + int(MAX)) * int(ROWS) + i]      = factor_of(sum[i]); // of the largest score, exp is 1
        best_of[i]                                    = best[i];
    }
    for (int e = 0; e < int(PICKED * ROWS); e++) {
        const int i = e % int(ROWS);
        tile[(SHOWN + int(PREVIOUS)) * int(ROWS) + e] =
            probability_of(picked[e], tile[CENTRE * int(ROWS) + i], tile[FACTOR * int(ROWS) + i]);
    }
}

void put_rows(uint row, int count)
{
    const int fields = p.wants_rows != 0u || !finishes_rows() ? int(RECORD) : 0;
    for (int i = 0; i < int(ROWS) && row_at(i) < count; i++) {
        const uint number = row + uint(row_at(i));
        softmaxes[number] = vec2(tile[CENTRE * int(ROWS) + i], tile[FACTOR * int(ROWS) + i]);
        for (int field = 0; field < fields; field++) {
            const float shown = tile[(SHOWN + field) * int(ROWS) + i];
            records[number * RECORD + uint(field)] = field == int(ARGMAX) ? uint(best_of[i]) : floatBitsToUint(shown);
        }
    }
}

void put_out(uint base, int count, int length)
{
    for (int i = 0; i < int(ROWS) && row_at(i) < count; i++) {
        const uint to = base + uint(row_at(i)) * p.out_view.stride[1];
        for (int c = 0; c < length; c++)
            out_[to + uint(c)] = mixed[c * int(ROWS) + i] * tile[FACTOR * int(ROWS) + i];
    }
}

void main()
{
    const place at = place_of(group_number(), p.blocks);
    // Where queries are masked causally the last blocks have the most keys: each half of the groups gets as many of
    // them, since threads may take the groups by halves.
    const uint        even  = (p.blocks + 1u) / 2u;
    const int         query = int(at.block < even ? 2u * at.block : 2u * (at.block - even) + 1u) * group_rows();
    const query_block block  = query_block_at(at.b, at.h, query, int(size.queries));
    const int         length = min(int(size.value_size) - part.value_begin, int(VALUES));
    const uint        values = head_offset(p.v_view, at.b, key_head(at.h)) + uint(part.value_begin);
    const uint        first_value = uint(part.value_begin), row = row_number(at.b, at.h, uint(query));
    const uint        to     = head_offset(p.out_view, at.b, at.h) + uint(query) * p.out_view.stride[1] + first_value;
    key_range         seen = keys_seen(block.first, block.last);

    keys_only(seen, part.key_begin, part.key_end);
    begin_rows();
    if (!begins_rows()) resume_rows(row, to, block.count, length);
    for (int first = tile_from(seen, seen.begin); first < seen.end; first = tile_from(seen, first + TILE)) {
        score_tile(block, first);
        if (p.wants_rows != 0u) pick(query, max(PADDING_BEGIN(at.b), 0), first);
        advance(first);
        mix(values + uint(first) * p.v_view.stride[1], int(size.keys) - 1 - first, length);
    }
    if (finishes_rows())
        finish_rows();
    else
        pause_rows();
    put_rows(row, block.count);
    put_out(to, block.count, length);
}
