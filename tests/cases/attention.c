/* Cases of attention: shapes, masks, captures and kinds of data. See attention_judge.c for the bounds. */
#include "cases/masks.h"

#include <math.h>

enum { P = SCRY__PADDED, S = SCRY__SWAPPED };

/* What is captured besides the output. */
enum { TILE = 1, SCORES = 2, ROWS = 4, RECEIVED = 8, DISTANCE = 16, TOP = 32, ALL = 63, LSE = 64 };

/* Kinds of data. */
enum {
    NORMAL,
    SHARP,        /* queries ten times as large: most rows choose one key */
    UNIFORM,      /* queries 0: every visible key alike, all ties */
    LATTICE,      /* small integers: scores are exact, with many ties */
    LOW,          /* every score near -76,800, below what a careless mask uses for minus infinity */
    NANS,         /* one key is NaN: rows that see it are NaN, all others are not */
    LOWEST,       /* every score is -10^35: all alike, below any number that stands for minus infinity */
    TAIL,         /* one key of probability 0.7, all others near 0.3 / K, values near 1 */
    GROWING,      /* values grow with their key, so that the first unseen key would show in any row */
    WIDE,         /* products of queries and keys, and values, past the range of f16 */
    BARE_VALUES,  /* for rows that see one key: the output is its value */
    BARE_SCORES,  /* keys have one entry, a power of two: each score is an entry of the query */
    BARE_WEIGHTS, /* values do not depend on the key: the output is the value, whatever the weights */
};

static const struct row {
    const char    *name;
    int64_t        size[7]; /* B, Q, K, H, G, D, Dv (0: as D) */
    scry__mask_row mask;
    int            capture, data;
    float          scale, softcap; /* scale 0: 1 / sqrt(D) */
    int64_t        tile[4];        /* query_begin, queries, key_begin, keys; all 0: everything */
    uint64_t       heads[2];       /* selected heads, first words */
    int64_t        top, distances, key;
    unsigned       layout;
    scry_precision precision;
    scry__tier     tier;
    bool           benchmark;
} rows[] = {
    {.name = "attention/plain", .size = {2, 17, 33, 3, 3, 16}},
    {.name = "attention/one", .size = {1, 1, 1, 1, 1, 1}, .capture = ALL},
    {.name = "attention/no-queries", .size = {1, 0, 5, 2, 2, 4}, .capture = ROWS | RECEIVED},
    {.name = "attention/no-keys", .size = {1, 5, 0, 2, 2, 4}, .capture = ROWS | TOP, .top = 3},
    {.name = "attention/causal", .size = {2, 33, 33, 2, 2, 16}, .mask = {.causal = true}, .capture = ALL, .key = 4},
    {.name = "attention/causal-31", .size = {1, 31, 31, 2, 2, 32}, .mask = {.causal = true}, .capture = ALL},
    {.name    = "attention/causal-64",
     .tier    = SCRY__TIER_QUICK,
     .size    = {1, 64, 64, 2, 2, 64},
     .mask    = {.causal = true},
     .capture = ALL},
    {.name = "attention/causal-65", .size = {1, 65, 65, 2, 1, 24}, .mask = {.causal = true}, .capture = ALL},
    {.name    = "attention/statistics-only",
     .tier    = SCRY__TIER_QUICK,
     .size    = {2, 65, 65, 4, 2, 16},
     .mask    = {.causal = true},
     .capture = ROWS},
    {.name    = "attention/received-only",
     .tier    = SCRY__TIER_QUICK,
     .size    = {2, 65, 65, 4, 2, 16},
     .mask    = {.causal = true},
     .capture = RECEIVED},
    {.name      = "attention/distance-only",
     .tier      = SCRY__TIER_QUICK,
     .size      = {2, 65, 65, 4, 2, 16},
     .mask      = {.causal = true},
     .capture   = DISTANCE,
     .distances = 65},
    {.name = "attention/distance-not-causal", .size = {1, 33, 40, 2, 2, 16}, .capture = DISTANCE, .distances = 50},
    {.name = "attention/top-only", .tier = SCRY__TIER_QUICK, .size = {2, 33, 65, 4, 2, 16}, .capture = TOP, .top = 10},
    {.name    = "attention/top-past-keys",
     .size    = {1, 9, 9, 2, 2, 8},
     .mask    = {.causal = true},
     .capture = TOP,
     .top     = 12},
    {.name = "attention/top-128", .tier = SCRY__TIER_QUICK, .size = {1, 3, 257, 2, 2, 8}, .capture = TOP, .top = 128},
    {.name = "attention/scores-only", .size = {1, 33, 33, 2, 2, 16}, .mask = {.causal = true}, .capture = SCORES},
    {.name = "attention/gqa", .size = {2, 33, 33, 6, 2, 16}, .mask = {.causal = true}, .capture = ALL},
    {.name = "attention/multi-query", .size = {2, 17, 33, 5, 1, 16}, .capture = ALL},
    {.name = "attention/value-size", .size = {1, 33, 33, 2, 1, 16, 40}, .mask = {.causal = true}, .capture = ALL},
    {.name = "attention/value-size-1", .size = {1, 17, 17, 2, 1, 33, 1}, .capture = ROWS},
    {.name = "attention/head-size-80", .size = {1, 33, 33, 2, 2, 80}, .mask = {.causal = true}, .capture = ALL},
    {.name    = "attention/head-size-128",
     .tier    = SCRY__TIER_QUICK,
     .size    = {1, 33, 33, 1, 1, 128},
     .mask    = {.causal = true},
     .capture = ALL},
    {.name = "attention/head-size-256", .size = {1, 17, 17, 2, 1, 256}, .mask = {.causal = true}, .capture = ALL},
    {.name    = "attention/head-size-300",
     .size    = {1, 9, 40, 2, 1, 300, 270},
     .mask    = {.causal = true, .offset = 31},
     .capture = ALL},
    {.name = "attention/cached", .size = {2, 5, 38, 2, 2, 16}, .mask = {.causal = true, .offset = 33}, .capture = ALL},
    {.name    = "attention/cached-one-row",
     .size    = {2, 1, 65, 4, 2, 16},
     .mask    = {.causal = true, .offset = 64},
     .capture = ALL},
    {.name    = "attention/cached-future-keys",
     .size    = {1, 3, 65, 2, 2, 16},
     .mask    = {.causal = true, .offset = 30},
     .capture = ALL,
     .key     = 32},
    {.name      = "attention/offset-past-keys",
     .size      = {1, 5, 9, 2, 2, 16},
     .mask      = {.causal = true, .offset = 20},
     .capture   = ALL,
     .distances = 30},
    {.name    = "attention/window",
     .tier    = SCRY__TIER_QUICK,
     .size    = {1, 65, 65, 2, 2, 16},
     .mask    = {.causal = true, .window = 7},
     .capture = ALL},
    {.name    = "attention/window-of-1",
     .size    = {1, 33, 33, 2, 2, 16},
     .mask    = {.causal = true, .window = 1},
     .capture = ALL},
    {.name    = "attention/window-wide",
     .size    = {1, 33, 33, 2, 2, 16},
     .mask    = {.causal = true, .window = 33},
     .capture = ALL},
    {.name = "attention/window-not-causal", .size = {1, 33, 33, 2, 2, 16}, .mask = {.window = 4}, .capture = ALL},
    {.name    = "attention/window-cached",
     .size    = {1, 9, 73, 2, 2, 16},
     .mask    = {.causal = true, .window = 12, .offset = 64},
     .capture = ALL},
    {.name    = "attention/window-empty-rows",
     .size    = {1, 33, 9, 2, 2, 16},
     .mask    = {.causal = true, .window = 5},
     .capture = ALL},
    {.name = "attention/prefix", .size = {1, 33, 33, 2, 2, 16}, .mask = {.causal = true, .prefix = 9}, .capture = ALL},
    {.name    = "attention/prefix-window",
     .tier    = SCRY__TIER_QUICK,
     .size    = {1, 65, 65, 2, 2, 16},
     .mask    = {.causal = true, .window = 5, .prefix = 4},
     .capture = ALL},
    {.name    = "attention/pad-left",
     .size    = {4, 17, 17, 2, 1, 16},
     .mask    = {.causal = true, .pad = SCRY__PAD_LEFT},
     .capture = ALL},
    {.name = "attention/pad-right", .size = {4, 17, 17, 2, 1, 16}, .mask = {.pad = SCRY__PAD_RIGHT}, .capture = ALL},
    {.name    = "attention/pad-both",
     .tier    = SCRY__TIER_QUICK,
     .size    = {5, 33, 40, 2, 2, 16},
     .mask    = {.causal = true, .offset = 7, .pad = SCRY__PAD_BOTH},
     .capture = ALL},
    {.name = "attention/pad-all", .size = {3, 9, 9, 2, 2, 16}, .mask = {.pad = SCRY__PAD_ALL}, .capture = ALL},
    {.name    = "attention/pad-prefix-window",
     .tier    = SCRY__TIER_QUICK,
     .size    = {4, 33, 33, 2, 2, 16},
     .mask    = {.causal = true, .window = 6, .prefix = 5, .pad = SCRY__PAD_BOTH},
     .capture = ALL},
    {.name    = "attention/pad-wild",
     .size    = {4, 17, 17, 2, 1, 16},
     .mask    = {.causal = true, .pad = SCRY__PAD_WILD},
     .capture = ALL},
    {.name = "attention/additive", .size = {2, 17, 33, 3, 3, 16}, .mask = {.additive = SCRY__ADD_BIAS}, .capture = ALL},
    {.name    = "attention/additive-mask",
     .size    = {2, 33, 33, 2, 1, 16},
     .mask    = {.additive = SCRY__ADD_MASK},
     .capture = ALL},
    {.name    = "attention/additive-shared",
     .size    = {2, 33, 65, 2, 1, 16},
     .mask    = {.causal = true, .offset = 32, .additive = SCRY__ADD_SHARED},
     .capture = ALL},
    {.name    = "attention/additive-dead-rows",
     .size    = {1, 33, 33, 2, 1, 16},
     .mask    = {.additive = SCRY__ADD_DEAD},
     .capture = ALL},
    {.name = "attention/additive-only-out", .size = {2, 33, 33, 2, 1, 16}, .mask = {.additive = SCRY__ADD_MASK}},
    {.name    = "attention/softcap",
     .size    = {1, 33, 33, 2, 2, 16},
     .mask    = {.causal = true},
     .capture = ALL,
     .softcap = 5,
     .data    = SHARP},
    {.name    = "attention/softcap-gentle",
     .size    = {1, 33, 33, 2, 2, 16},
     .mask    = {.causal = true},
     .capture = ALL,
     .softcap = 50},
    {.name    = "attention/softcap-additive",
     .size    = {1, 33, 33, 2, 2, 16},
     .mask    = {.additive = SCRY__ADD_MASK},
     .capture = ALL,
     .softcap = 2},
    {.name = "attention/scale", .size = {1, 33, 33, 2, 2, 16}, .mask = {.causal = true}, .capture = ALL, .scale = 0.7f},
    {.name    = "attention/sharp",
     .tier    = SCRY__TIER_QUICK,
     .size    = {1, 65, 65, 2, 2, 32},
     .mask    = {.causal = true},
     .capture = ALL,
     .data    = SHARP},
    {.name    = "attention/low",
     .size    = {1, 33, 33, 2, 2, 16},
     .mask    = {.causal = true, .window = 9},
     .capture = ALL,
     .data    = LOW,
     .scale   = 1},
    {.name    = "attention/low-additive",
     .size    = {1, 33, 33, 2, 2, 16},
     .mask    = {.additive = SCRY__ADD_MASK},
     .capture = ALL,
     .data    = LOW,
     .scale   = 1},
    {.name    = "attention/uniform",
     .tier    = SCRY__TIER_QUICK,
     .size    = {1, 64, 64, 2, 2, 16},
     .mask    = {.causal = true},
     .capture = ALL,
     .data    = UNIFORM,
     .top     = 7},
    {.name    = "attention/uniform-windowed",
     .size    = {1, 65, 65, 2, 2, 16},
     .mask    = {.causal = true, .window = 10},
     .capture = ALL,
     .data    = UNIFORM},
    {.name    = "attention/lattice",
     .tier    = SCRY__TIER_QUICK,
     .size    = {1, 65, 65, 2, 2, 16},
     .mask    = {.causal = true},
     .capture = ALL,
     .data    = LATTICE,
     .scale   = 0.5f,
     .top     = 9},
    {.name    = "attention/lattice-gqa-padded",
     .size    = {3, 33, 33, 4, 2, 8},
     .mask    = {.causal = true, .pad = SCRY__PAD_LEFT},
     .capture = ALL,
     .data    = LATTICE,
     .scale   = 0.25f},
    {.name    = "attention/lattice-additive",
     .size    = {1, 33, 33, 2, 2, 8},
     .mask    = {.additive = SCRY__ADD_MASK},
     .capture = ALL,
     .data    = LATTICE,
     .scale   = 1},
    {.name    = "attention/nan-key",
     .size    = {1, 33, 33, 2, 2, 16},
     .mask    = {.causal = true},
     .capture = TILE | ROWS,
     .data    = NANS},
    {.name = "attention/nan-key-out-of-window",
     .size = {1, 65, 65, 2, 2, 16},
     .mask = {.causal = true, .window = 5},
     .data = NANS},
    {.name    = "attention/tile",
     .tier    = SCRY__TIER_QUICK,
     .size    = {2, 65, 65, 2, 2, 16},
     .mask    = {.causal = true},
     .capture = TILE | SCORES,
     .tile    = {13, 21, 5, 33}},
    {.name    = "attention/tile-masked",
     .size    = {1, 65, 65, 2, 2, 16},
     .mask    = {.causal = true},
     .capture = TILE | SCORES,
     .tile    = {0, 9, 40, 25}},
    {.name    = "attention/tile-one",
     .size    = {1, 65, 65, 2, 2, 16},
     .mask    = {.causal = true},
     .capture = TILE,
     .tile    = {64, 1, 64, 1}},
    {.name    = "attention/tile-cached",
     .size    = {2, 9, 41, 2, 2, 16},
     .mask    = {.causal = true, .offset = 32},
     .capture = TILE | SCORES,
     .tile    = {3, 6, 20, 21}},
    {.name    = "attention/heads",
     .size    = {2, 17, 17, 6, 2, 16},
     .mask    = {.causal = true},
     .capture = TILE | SCORES | ROWS,
     .heads   = {0x29}},
    {.name    = "attention/heads-and-tile",
     .size    = {1, 33, 33, 5, 5, 8},
     .mask    = {.causal = true},
     .capture = TILE | SCORES,
     .heads   = {0x12},
     .tile    = {7, 20, 3, 17}},
    {.name    = "attention/heads-past-64",
     .tier    = SCRY__TIER_QUICK,
     .size    = {1, 5, 5, 70, 7, 4},
     .mask    = {.causal = true},
     .capture = ALL,
     .heads   = {0x8000000000000001, 0x21}},
    {.name = "attention/padded", .size = {2, 17, 33, 4, 2, 16}, .capture = ALL, .layout = P},
    {.name = "attention/heads-first", .size = {2, 17, 33, 4, 2, 16}, .capture = ALL, .layout = S},
    {.name    = "attention/heads-first-padded",
     .size    = {2, 17, 17, 4, 2, 16},
     .mask    = {.causal = true},
     .capture = ALL,
     .layout  = S | P},
    {.name    = "attention/causal-257",
     .tier    = SCRY__TIER_QUICK,
     .size    = {1, 257, 257, 2, 1, 40},
     .mask    = {.causal = true},
     .capture = ALL},
    {.name      = "attention/causal-1025",
     .tier      = SCRY__TIER_QUICK,
     .size      = {1, 1025, 1025, 1, 1, 8},
     .mask      = {.causal = true},
     .capture   = ROWS | RECEIVED | DISTANCE,
     .distances = 64},
    {.name    = "attention/long-row",
     .tier    = SCRY__TIER_QUICK,
     .size    = {1, 3, 1023, 2, 1, 16},
     .capture = ALL & ~TILE & ~SCORES},
    {.name    = "attention/window-520",
     .tier    = SCRY__TIER_QUICK,
     .size    = {1, 520, 520, 2, 1, 64},
     .mask    = {.causal = true, .window = 200},
     .capture = ALL},
    {.name      = "attention/cached-700",
     .tier      = SCRY__TIER_QUICK,
     .size      = {1, 131, 700, 6, 2, 64},
     .mask      = {.causal = true, .offset = 569},
     .capture   = ALL,
     .distances = 400,
     .top       = 5},
    {.name    = "attention/window-257",
     .tier    = SCRY__TIER_QUICK,
     .size    = {1, 257, 257, 1, 1, 16},
     .mask    = {.causal = true, .window = 100},
     .capture = ALL},
    {.name = "attention/head-size-1", .size = {1, 33, 33, 2, 2, 1}, .mask = {.causal = true}, .capture = ALL},
    {.name = "attention/head-size-2", .size = {1, 33, 33, 2, 2, 2}, .mask = {.causal = true}, .capture = ALL},
    {.name = "attention/head-size-3", .size = {1, 33, 33, 2, 1, 3}, .mask = {.causal = true}, .capture = ALL},
    {.name = "attention/32-keys", .size = {1, 32, 32, 2, 2, 16}, .mask = {.causal = true}, .capture = ALL},
    {.name    = "attention/causal-1023",
     .size    = {1, 1023, 1023, 1, 1, 4},
     .mask    = {.causal = true},
     .capture = ROWS,
     .tier    = SCRY__TIER_QUICK},
    {.name    = "attention/causal-1024",
     .size    = {1, 1024, 1024, 1, 1, 4},
     .mask    = {.causal = true},
     .capture = ROWS | RECEIVED,
     .tier    = SCRY__TIER_QUICK},
    {.name    = "attention/causal-2048",
     .size    = {1, 2048, 2048, 1, 1, 4},
     .mask    = {.causal = true},
     .capture = LSE,
     .data    = GROWING,
     .tier    = SCRY__TIER_QUICK},
    {.name    = "attention/prefix-window-offset",
     .size    = {2, 9, 41, 2, 1, 16},
     .mask    = {.causal = true, .window = 8, .prefix = 5, .offset = 32},
     .capture = ALL,
     .key     = 4},
    {.name    = "attention/prefix-offset-pad",
     .size    = {4, 9, 41, 2, 1, 16},
     .mask    = {.causal = true, .prefix = 6, .offset = 32, .pad = SCRY__PAD_BOTH},
     .capture = ALL},
    {.name    = "attention/additive-early",
     .size    = {1, 17, 300, 2, 1, 16},
     .mask    = {.additive = SCRY__ADD_EARLY},
     .capture = ALL},
    {.name    = "attention/additive-late",
     .size    = {1, 17, 300, 2, 1, 16},
     .mask    = {.causal = true, .offset = 283, .additive = SCRY__ADD_LATE},
     .capture = ALL},
    {.name    = "attention/low-sentinel",
     .size    = {1, 33, 33, 2, 2, 16},
     .mask    = {.causal = true, .additive = SCRY__ADD_SENTINEL},
     .capture = ALL,
     .data    = LOW,
     .scale   = 1},
    {.name    = "attention/lowest",
     .size    = {2, 33, 33, 2, 2, 16},
     .mask    = {.causal = true, .window = 9, .pad = SCRY__PAD_LEFT},
     .capture = ALL,
     .data    = LOWEST,
     .scale   = 1},
    {.name    = "attention/tail",
     .size    = {1, 9, 4097, 2, 1, 8},
     .capture = ROWS | TOP | DISTANCE,
     .data    = TAIL,
     .scale   = 1,
     .tier    = SCRY__TIER_QUICK},
    {.name    = "attention/wide",
     .size    = {1, 33, 33, 2, 2, 16},
     .mask    = {.causal = true},
     .capture = ALL & ~SCORES,
     .data    = WIDE,
     .scale   = 2e-6f},
    {.name = "attention/bare-values",
     .size = {1, 33, 33, 2, 1, 16},
     .mask = {.causal = true, .window = 1},
     .data = BARE_VALUES},
    {.name = "attention/bare-values-130",
     .size = {1, 130, 130, 2, 1, 64},
     .mask = {.causal = true, .window = 1},
     .data = BARE_VALUES,
     .tier = SCRY__TIER_QUICK},
    {.name    = "attention/bare-scores",
     .size    = {1, 33, 33, 2, 1, 16},
     .mask    = {.causal = true, .window = 1},
     .capture = LSE | SCORES,
     .data    = BARE_SCORES,
     .scale   = 0.25f},
    {.name    = "attention/bare-scores-130",
     .size    = {1, 130, 130, 2, 1, 64},
     .mask    = {.causal = true, .window = 1},
     .capture = LSE | SCORES,
     .data    = BARE_SCORES,
     .scale   = 0.125f,
     .tier    = SCRY__TIER_QUICK},
    {.name = "attention/bare-weights",
     .size = {1, 33, 33, 2, 1, 16},
     .mask = {.causal = true, .window = 3},
     .data = BARE_WEIGHTS},
    {.name    = "attention/tile-odd",
     .size    = {1, 130, 259, 2, 1, 8},
     .mask    = {.causal = true, .offset = 129},
     .capture = TILE | SCORES,
     .tile    = {1, 127, 3, 255},
     .tier    = SCRY__TIER_QUICK},
    {.name      = "attention/allow-tf32",
     .size      = {1, 33, 33, 2, 2, 16},
     .mask      = {.causal = true},
     .capture   = ROWS,
     .precision = SCRY_ALLOW_TF32},
    {.name      = "attention/allow-f16",
     .size      = {1, 33, 33, 2, 2, 16},
     .mask      = {.causal = true},
     .capture   = ROWS,
     .precision = SCRY_ALLOW_F16},
    {.name      = "attention/allow-bf16",
     .size      = {1, 33, 33, 2, 2, 16},
     .mask      = {.causal = true},
     .capture   = ROWS,
     .precision = SCRY_ALLOW_BF16},
    {.name    = "attention/past-65535-sequences",
     .size    = {70001, 1, 2, 1, 1, 4},
     .mask    = {.causal = true, .offset = 1},
     .capture = LSE,
     .tier    = SCRY__TIER_FULL},
    {.name    = "attention/past-65535-queries",
     .size    = {1, 70001, 3, 2, 1, 4},
     .capture = ROWS | TOP,
     .top     = 2,
     .tier    = SCRY__TIER_FULL},
    {.name = "attention/past-128-MiB-keys", .size = {1, 1, 540001, 1, 1, 64}, .capture = ROWS, .tier = SCRY__TIER_FULL},
    {.name    = "attention/past-128-MiB-maps",
     .size    = {1, 2048, 2048, 9, 3, 16},
     .mask    = {.causal = true},
     .capture = TILE,
     .tier    = SCRY__TIER_FULL},
    {.name      = "attention/gpt2",
     .size      = {1, 1024, 1024, 12, 12, 64},
     .mask      = {.causal = true},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "attention/gpt2-statistics",
     .size      = {1, 1024, 1024, 12, 12, 64},
     .mask      = {.causal = true},
     .capture   = ROWS | RECEIVED,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "attention/gpt2-maps",
     .size      = {1, 1024, 1024, 12, 12, 64},
     .mask      = {.causal = true},
     .capture   = TILE,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "attention/gpt2-one-row",
     .size      = {1, 1, 1024, 12, 12, 64},
     .mask      = {.causal = true, .offset = 1023},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "attention/gpt2-short",
     .size      = {1, 128, 128, 12, 12, 64},
     .mask      = {.causal = true},
     .capture   = ROWS | RECEIVED,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "attention/4096-statistics",
     .size      = {1, 4096, 4096, 12, 12, 64},
     .mask      = {.causal = true},
     .capture   = ROWS | RECEIVED,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "attention/llama-gqa",
     .size      = {1, 1024, 1024, 32, 8, 128},
     .mask      = {.causal = true},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
};

static scry__case describe(int row)
{
    return (scry__case){.name      = rows[row].name,
                        .tier      = rows[row].tier,
                        .benchmark = rows[row].benchmark,
                        .precision = rows[row].precision};
}

/* What the later kinds of data make of normal numbers. */
static void shape_data(scry__array *operand, int data, bool query, bool value)
{
    const int64_t *shape = operand->view.shape;
    for (int64_t e = 0; e < scry__array_count(operand); e++) {
        int64_t d = e % shape[3], token = e / shape[3] / shape[2] % shape[1], heads = shape[2] * shape[3];
        double  old = scry__array_get(operand, e), new = old;
        if (data == TAIL && query) new = d == 0 ? 1 : old / 16;
        if (data == TAIL && !query && !value && d == 0)
            new = token == shape[1] / 3 ? log(7. / 3 * (double)shape[1]) : 0;
        if (data == TAIL && value) new = 1 + old / 8;
        if (data == GROWING && value) new = old *(double)(1 + token);
        if (data == BARE_SCORES && !query && !value)
            new = d == (token * 5 + 3) % shape[3] ? ldexp(token % 2 ? -1 : 1, (int)(token % 4)) : 0;
        if (data == BARE_WEIGHTS && value) new = scry__array_get(operand, e % heads);
        scry__array_set(operand, e, new);
    }
}

static void fill_data(scry__plan *plan, scry__array *operand, int data, bool query, bool value)
{
    int64_t width = operand->view.shape[3];
    if (data == WIDE)
        scry__array_fill_normal(plan, operand, 0, value ? 1e6 : 500);
    else if (data == LATTICE)
        scry__array_fill_integers(plan, operand, -2, 2);
    else if (data == UNIFORM && query)
        scry__array_fill(operand, 0);
    else
        scry__array_fill_normal(plan, operand, 0, data == SHARP && query ? 10 : 1);
    if (data >= TAIL) shape_data(operand, data, query, value);
    if ((data != LOW && data != LOWEST) || value) return;
    /* q = (256, .., 256, 1), k = (-20, .., -20, small): q k = -76,800 + small, exactly; or all of it 2^100 times as
     * large, without the small part. */
    if (data == LOWEST) scry__array_fill(operand, query ? 0x1p58 : -20 * 0x1p50);
    if (data == LOWEST) return;
    for (int64_t e = 0; e < scry__array_count(operand); e++) {
        bool last = e % width == width - 1;
        scry__array_set(operand, e, query ? (last ? 1 : 256) : last ? (double)(e * 7 / width % 5) : -20);
    }
}

static void add_inputs(scry__plan *plan, const struct row *row)
{
    scry_attention *op = &plan->op.attention;
    int64_t         B = row->size[0], Q = row->size[1], K = row->size[2], H = row->size[3], G = row->size[4];
    int64_t         D = row->size[5], Dv = row->size[6] ? row->size[6] : D;
    scry__array *q = scry__plan_add(plan, &op->q, "q", SCRY__INPUT, SCRY_F32, row->layout, 4, SCRY__SHAPE(B, Q, H, D));
    scry__array *k = scry__plan_add(plan, &op->k, "k", SCRY__INPUT, SCRY_F32, row->layout, 4, SCRY__SHAPE(B, K, G, D));
    scry__array *v = scry__plan_add(plan, &op->v, "v", SCRY__INPUT, SCRY_F32, row->layout, 4, SCRY__SHAPE(B, K, G, Dv));
    scry__plan_add(plan, &op->out, "out", SCRY__OUTPUT, SCRY_F32, row->layout, 4, SCRY__SHAPE(B, Q, H, Dv));
    fill_data(plan, q, row->data, true, false);
    fill_data(plan, k, row->data, false, false);
    fill_data(plan, v, row->data, false, true);
    if (row->data == NANS) scry__array_set(k, (K / 3 * G) * D, (double)NAN);
}

static int64_t selected_heads(const struct row *row)
{
    int64_t count = __builtin_popcountll(row->heads[0]) + __builtin_popcountll(row->heads[1]);
    return count ? count : row->size[3];
}

static void add_captures(scry__plan *plan, const struct row *row)
{
    scry_attention_capture *capture = &plan->op.attention.capture;
    int64_t                 B = row->size[0], Q = row->size[1], K = row->size[2], H = row->size[3];
    bool                    whole = !row->tile[1] && !row->tile[3];
    int64_t                 q = whole ? Q : row->tile[1], k = whole ? K : row->tile[3];
    const int64_t          *tile = SCRY__SHAPE(B, selected_heads(row), q, k);
    int64_t                 top = row->top ? row->top : 3, distances = row->distances ? row->distances : 9;
    const int64_t          *tops = SCRY__SHAPE(B, H, Q, top);
    capture->query_begin         = row->tile[0];
    capture->key_begin           = row->tile[2];
    for (int word = 0; word < 2; word++) capture->heads[word] = row->heads[word];
    if (row->capture & TILE)
        scry__plan_add(plan, &capture->probabilities, "probabilities", SCRY__OUTPUT, SCRY_F32, row->layout & P, 4,
                       tile);
    if (row->capture & SCORES)
        scry__plan_add(plan, &capture->scores, "scores", SCRY__OUTPUT, SCRY_F32, row->layout & P, 4, tile);
    if (row->capture & ROWS) scry__row_statistics_add(plan, &capture->rows, row->key, (scry__score_shape){B, H, Q, K});
    if (row->capture & LSE)
        scry__plan_add(plan, &capture->rows.lse, "lse", SCRY__OUTPUT, SCRY_F32, 0, 3, SCRY__SHAPE(B, H, Q));
    if (row->capture & RECEIVED)
        scry__plan_add(plan, &capture->received, "received", SCRY__OUTPUT, SCRY_F32, 0, 3, SCRY__SHAPE(B, H, K));
    if (row->capture & DISTANCE)
        scry__plan_add(plan, &capture->distance, "distance", SCRY__OUTPUT, SCRY_F32, 0, 3,
                       SCRY__SHAPE(B, H, distances));
    if (!(row->capture & TOP)) return;
    scry__plan_add(plan, &capture->top_probability, "top_probability", SCRY__OUTPUT, SCRY_F32, 0, 4, tops);
    scry__plan_add(plan, &capture->top_key, "top_key", SCRY__OUTPUT, SCRY_I32, 0, 4, tops);
}

static void build(scry__plan *plan, int index)
{
    const struct row *row      = &rows[index];
    plan->exact                = row->data == LATTICE || row->data == UNIFORM || row->data == BARE_SCORES;
    plan->bare                 = row->data >= BARE_VALUES;
    plan->mute                 = row->size[1] == 0 || row->size[2] == 0;
    plan->wide                 = row->data == WIDE;
    plan->op.precision         = row->precision;
    plan->op.attention.scale   = row->scale != 0 ? row->scale : (float)(1 / sqrt((double)row->size[5]));
    plan->op.attention.softcap = row->softcap;
    add_inputs(plan, row);
    scry__mask_add(plan, &plan->op.attention.mask, &row->mask,
                   (scry__score_shape){row->size[0], row->size[3], row->size[1], row->size[2]});
    add_captures(plan, row);
}

const scry__case_table scry__attention_table = {SCRY_OP_ATTENTION, sizeof rows / sizeof *rows, describe, build};
