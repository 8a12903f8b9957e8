/* Reduces attention patterns to what a page can hold, and notes where each head looks. See html.h. */
#include "report/html_attention.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"

#include <math.h>

/* How many codes of all heads together the page may hold, and with how many levels: deflated and in base64, the rows
 * take about 3, 4 and 5 MB at most. Coarse codes deflate better. */
static const struct {
    size_t codes;
    int    levels;
} kinds[] = {{1 << 20, 65535}, {5 << 20, 255}, {20 << 20, 31}};

enum { kind_count = sizeof kinds / sizeof *kinds };

static size_t triangle(size_t side)
{
    return side * (side + 1) / 2;
}

static void choose_grid(scry__report_attention *attention, int runs)
{
    size_t heads = (size_t)runs * (size_t)attention->layer_count * (size_t)attention->head_count;
    size_t grid  = (size_t)attention->token_count;
    int    block = 1, kind = 0;
    while (heads * triangle(grid) > kinds[kind_count - 1].codes && grid > 1) {
        block++;
        grid = ((size_t)attention->token_count + (size_t)block - 1) / (size_t)block;
    }
    while (kind < kind_count - 1 && heads * triangle(grid) > kinds[kind].codes) kind++;
    attention->block       = block;
    attention->grid        = (int)grid;
    attention->levels      = kinds[kind].levels;
    attention->head_codes  = triangle(grid);
    attention->layer_bytes = (size_t)attention->head_count * triangle(grid) * (attention->levels > 255 ? 2 : 1);
}

scry_status scry__report_attention_create(scry__report_attention **out, int layer_count, int head_count,
                                          int token_count, int runs)
{
    *out = NULL;
    if (layer_count < 1 || head_count < 1 || token_count < 1 || runs < 1 || head_count > SCRY_MAX_HEADS)
        return scry__fail(SCRY_BAD_ARGUMENT, "attention of %d layers, %d heads and %d tokens cannot be shown",
                          layer_count, head_count, token_count);
    scry__report_attention *attention = scry__alloc(1, sizeof *attention);
    if (!attention) return SCRY_OUT_OF_MEMORY;
    attention->layer_count = layer_count;
    attention->head_count  = head_count;
    attention->token_count = token_count;
    choose_grid(attention, runs);
    attention->codes   = scry__alloc((size_t)layer_count, attention->layer_bytes);
    attention->present = scry__alloc((size_t)layer_count, sizeof *attention->present);
    attention->looks   = scry__alloc((size_t)layer_count * (size_t)head_count, sizeof *attention->looks);
    *out               = attention;
    if (attention->codes && attention->present && attention->looks) return SCRY_OK;
    scry__report_attention_destroy(out);
    return SCRY_OUT_OF_MEMORY;
}

void scry__report_attention_destroy(scry__report_attention **attention)
{
    if (!*attention) return;
    scry__free((*attention)->codes);
    scry__free((*attention)->present);
    scry__free((*attention)->looks);
    scry__free(*attention);
    *attention = NULL;
}

static void note_look(scry__report_attention *attention, int layer, int head, const float *pattern)
{
    struct scry__look *look = &attention->looks[layer * attention->head_count + head];
    int                last = attention->token_count - 1;
    const float       *row  = pattern + (size_t)last * (size_t)attention->token_count;
    for (int key = 1; key < last; key++)
        if (row[key] > look->weight) *look = (struct scry__look){layer, head, key, row[key]};
    if (look->weight > attention->look.weight) attention->look = *look;
}

float scry__report_attention_look(const scry__report_attention *attention, int layer, int head)
{
    return attention->looks[layer * attention->head_count + head].weight;
}

/* The largest weight of one block, as a code; NaN counts as 0. */
static int block_code(const scry__report_attention *attention, const float *pattern, int row, int column)
{
    int   block = attention->block, count = attention->token_count;
    float largest = 0;
    for (int i = row * block; i < (row + 1) * block && i < count; i++)
        for (int j = column * block; j < (column + 1) * block && j <= i; j++)
            largest = fmaxf(largest, pattern[(size_t)i * (size_t)count + (size_t)j]);
    return (int)(sqrt(fmin(largest, 1)) * attention->levels + 0.5);
}

scry_status scry__report_attention_add(scry__report_attention *attention, int layer, const float *pattern)
{
    if (layer < 0 || layer >= attention->layer_count || attention->present[layer])
        return scry__fail(SCRY_BAD_ARGUMENT, "attention of layer %d: expected each of 0 to %d once", layer,
                          attention->layer_count - 1);
    uint8_t *code = attention->codes + (size_t)layer * attention->layer_bytes;
    for (int head = 0; head < attention->head_count; head++) {
        const float *values = pattern + (size_t)head * (size_t)attention->token_count * (size_t)attention->token_count;
        note_look(attention, layer, head, values);
        for (int row = 0; row < attention->grid; row++)
            for (int column = 0; column <= row; column++) {
                int value = block_code(attention, values, row, column);
                *code++   = (uint8_t)value;
                if (attention->levels > 255) *code++ = (uint8_t)(value >> 8);
            }
    }
    attention->present[layer] = true;
    return SCRY_OK;
}
