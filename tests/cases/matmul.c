/* Cases of matmul. Bound: c = alpha A B + beta C + bias is a sum of k + 2 products, each rounded at most twice more, so
 * gamma(k + 4) times the sum of magnitudes; for weights of half precision too, as these widen exactly. */
#include "cases/bounds.h"
#include "cases/judge.h"

enum { T = SCRY__TRANSPOSED, P = SCRY__PADDED, S = SCRY__SWAPPED, R0 = SCRY__REPEAT0, R1 = SCRY__REPEAT1 };

/* Kinds of data besides the usual. */
enum {
    BARE_A = 1, /* every column of b has one entry, a power of two: c is a, in another order, exactly */
    BARE_B,     /* every row of a has one, so that c is b */
    WIDE,       /* inputs near 10^6 */
    WIDE_SUMS,  /* integers whose sums lie past the range of f16 */
    SMALL,      /* inputs near 10^-6, below what f16 resolves */
    LAST_TERM,  /* the last of the k terms outweighs all others */
};

static const struct row {
    const char    *name;
    int            rank;       /* 0: 2 */
    int64_t        batch[2];   /* leading sizes of rank 3 and 4 */
    int64_t        size[3];    /* m, n, k */
    scry_dtype     weight;     /* of b and bias */
    float          factors[2]; /* alpha and beta; {0, 0} stands for {1, 0} */
    bool           bias, exact, special;
    int            data;
    unsigned       layout[4]; /* of a, b, c, bias */
    scry_precision precision;
    scry__tier     tier;
    bool           benchmark;
} rows[] = {
    {.name = "matmul/1x1x1", .size = {1, 1, 1}},
    {.name = "matmul/31x33x32", .size = {31, 33, 32}},
    {.name = "matmul/33x31x257", .size = {33, 31, 257}},
    {.name = "matmul/65x129x7", .size = {65, 129, 7}},
    {.name = "matmul/257x64x63", .tier = SCRY__TIER_QUICK, .size = {257, 64, 63}},
    {.name = "matmul/row-by-matrix", .size = {1, 1023, 65}},
    {.name = "matmul/matrix-by-column", .size = {1025, 1, 33}},
    {.name = "matmul/outer-product", .size = {129, 127, 1}},
    {.name = "matmul/long-k-1024", .size = {3, 5, 1024}},
    {.name = "matmul/long-k-4097", .size = {2, 3, 4097}},
    {.name = "matmul/no-terms", .size = {5, 7, 0}},
    {.name = "matmul/no-terms-beta-bias", .size = {5, 7, 0}, .factors = {1, 0.5f}, .bias = true, .exact = true},
    {.name = "matmul/no-rows", .size = {0, 7, 3}},
    {.name = "matmul/no-columns", .size = {5, 0, 3}, .bias = true},
    {.name = "matmul/no-batches", .rank = 3, .batch = {0}, .size = {5, 4, 3}},
    {.name = "matmul/a-transposed", .size = {33, 47, 65}, .layout = {T, 0, 0}},
    {.name = "matmul/b-transposed", .size = {33, 47, 65}, .layout = {0, T, 0}},
    {.name = "matmul/both-transposed", .size = {33, 47, 65}, .layout = {T, T, 0}},
    {.name = "matmul/padded", .size = {33, 47, 65}, .layout = {P, P, P}},
    {.name = "matmul/padded-transposed", .size = {17, 19, 23}, .layout = {P | T, P | T, P}},
    {.name = "matmul/alpha-beta-bias", .size = {33, 34, 35}, .factors = {-0.75f, 1.5f}, .bias = true},
    {.name = "matmul/beta-padded", .size = {33, 34, 35}, .factors = {1, 1}, .layout = {0, 0, P}},
    {.name = "matmul/bias", .size = {9, 65, 31}, .bias = true},
    {.name = "matmul/bias-spaced", .size = {9, 65, 31}, .bias = true, .layout = {0, 0, 0, SCRY__SPACED}},
    {.name = "matmul/bias-spaced-one-row", .size = {1, 70, 31}, .bias = true, .layout = {0, 0, 0, SCRY__SPACED}},
    {.name = "matmul/bias-repeated", .size = {9, 65, 31}, .bias = true, .layout = {0, 0, 0, SCRY__REPEAT0}},
    {.name = "matmul/alpha-0", .size = {9, 10, 11}, .factors = {0, 1}, .bias = true},
    {.name = "matmul/batch", .rank = 3, .batch = {5}, .size = {17, 18, 19}},
    {.name    = "matmul/batch-1100",
     .rank    = 3,
     .batch   = {2},
     .size    = {5, 6, 1100},
     .factors = {-0.75f, 1.5f},
     .bias    = true},
    /* As many tiles as it takes for large ones to be chosen. */
    {.name = "matmul/batch-8-wide-tiles", .rank = 3, .batch = {8}, .size = {130, 131, 18}, .tier = SCRY__TIER_QUICK},
    {.name = "matmul/batch-padded", .rank = 3, .batch = {3}, .size = {17, 18, 19}, .bias = true, .layout = {P, P, P}},
    {.name = "matmul/batch-b-repeated", .rank = 3, .batch = {4}, .size = {17, 18, 19}, .layout = {0, R0, 0}},
    {.name    = "matmul/batch-a-repeated",
     .rank    = 3,
     .batch   = {4},
     .size    = {17, 18, 19},
     .factors = {2, 1},
     .bias    = true,
     .layout  = {R0, 0, 0}},
    {.name = "matmul/heads", .rank = 4, .batch = {2, 3}, .size = {17, 18, 19}, .layout = {S, T, S}},
    {.name = "matmul/heads-shared", .rank = 4, .batch = {2, 4}, .size = {9, 33, 16}, .layout = {0, R1 | T, 0}},
    {.name = "matmul/f16-weights", .size = {33, 65, 31}, .weight = SCRY_F16, .bias = true, .layout = {0, T, 0}},
    {.name = "matmul/bf16-weights", .size = {33, 65, 31}, .weight = SCRY_BF16, .bias = true, .layout = {0, T, 0}},
    {.name = "matmul/f16-plain", .size = {7, 130, 129}, .weight = SCRY_F16},
    {.name = "matmul/bf16-plain", .size = {7, 130, 129}, .weight = SCRY_BF16, .factors = {1, 1}},
    {.name = "matmul/bf16-one-row", .size = {1, 257, 64}, .weight = SCRY_BF16, .bias = true, .layout = {0, T, 0}},
    {.name   = "matmul/f16-one-row-padded",
     .size   = {1, 257, 64},
     .weight = SCRY_F16,
     .bias   = true,
     .layout = {0, T | P, 0}},
    {.name   = "matmul/bf16-batch",
     .rank   = 3,
     .batch  = {3},
     .size   = {5, 33, 17},
     .weight = SCRY_BF16,
     .layout = {0, R0 | T, 0}},
    {.name = "matmul/special", .size = {33, 34, 35}, .special = true},
    {.name = "matmul/special-transposed", .size = {33, 34, 35}, .bias = true, .special = true, .layout = {0, T, 0}},
    {.name = "matmul/special-one-row", .size = {1, 130, 65}, .special = true, .layout = {0, T, 0}},
    {.name = "matmul/lattice", .tier = SCRY__TIER_QUICK, .size = {65, 67, 129}, .exact = true},
    {.name    = "matmul/lattice-k-1025",
     .size    = {9, 11, 1025},
     .factors = {2, -1},
     .bias    = true,
     .exact   = true,
     .layout  = {0, T, 0}},
    {.name   = "matmul/lattice-f16",
     .size   = {33, 34, 67},
     .weight = SCRY_F16,
     .bias   = true,
     .exact  = true,
     .layout = {0, T, 0}},
    {.name    = "matmul/lattice-bf16",
     .size    = {33, 34, 67},
     .weight  = SCRY_BF16,
     .factors = {1, 1},
     .bias    = true,
     .exact   = true,
     .layout  = {0, 0, P}},
    {.name = "matmul/lattice-one-row", .size = {1, 515, 257}, .exact = true, .layout = {0, T, 0}},
    {.name   = "matmul/lattice-heads",
     .rank   = 4,
     .batch  = {2, 3},
     .size   = {21, 22, 23},
     .exact  = true,
     .layout = {S, T, S}},
    {.name = "matmul/130x1030x260", .tier = SCRY__TIER_QUICK, .size = {130, 1030, 260}},
    {.name   = "matmul/515x70x300-transposed",
     .tier   = SCRY__TIER_QUICK,
     .size   = {515, 70, 300},
     .bias   = true,
     .layout = {T, T, 0}},
    {.name   = "matmul/bf16-67x1100x259",
     .tier   = SCRY__TIER_QUICK,
     .size   = {67, 1100, 259},
     .weight = SCRY_BF16,
     .layout = {0, T, 0}},
    {.name   = "matmul/f16-one-row-5003",
     .tier   = SCRY__TIER_QUICK,
     .size   = {1, 5003, 300},
     .weight = SCRY_F16,
     .bias   = true,
     .layout = {0, T, 0}},
    {.name = "matmul/lattice-k-4100", .tier = SCRY__TIER_QUICK, .size = {20, 30, 4100}, .exact = true},
    {.name = "matmul/k-2", .size = {33, 35, 2}},
    {.name = "matmul/k-3", .size = {33, 35, 3}},
    {.name = "matmul/k-4", .size = {33, 35, 4}},
    {.name = "matmul/32x32x32", .size = {32, 32, 32}},
    {.name = "matmul/64x64x64", .size = {64, 64, 64}},
    {.name = "matmul/128x128x128", .size = {128, 128, 128}, .tier = SCRY__TIER_QUICK},
    {.name = "matmul/1024x33x31", .size = {1024, 33, 31}, .tier = SCRY__TIER_QUICK},
    {.name = "matmul/31x1024x33", .size = {31, 1024, 33}, .tier = SCRY__TIER_QUICK},
    {.name = "matmul/bare-a", .size = {33, 65, 67}, .data = BARE_A, .exact = true},
    {.name = "matmul/bare-b", .size = {33, 65, 67}, .data = BARE_B, .exact = true},
    {.name   = "matmul/bare-a-f16",
     .size   = {33, 65, 67},
     .weight = SCRY_F16,
     .data   = BARE_A,
     .exact  = true,
     .layout = {0, T, 0}},
    {.name   = "matmul/bare-a-bf16",
     .size   = {33, 65, 67},
     .weight = SCRY_BF16,
     .data   = BARE_A,
     .exact  = true,
     .layout = {0, T, 0}},
    {.name = "matmul/bare-a-one-row", .size = {1, 515, 257}, .data = BARE_A, .exact = true, .layout = {0, T, 0}},
    {.name = "matmul/bare-b-one-row", .size = {1, 515, 257}, .data = BARE_B, .exact = true},
    {.name  = "matmul/bare-a-wide-tiles",
     .size  = {130, 1030, 260},
     .data  = BARE_A,
     .exact = true,
     .tier  = SCRY__TIER_QUICK},
    {.name   = "matmul/bare-b-wide-tiles",
     .size   = {130, 1030, 260},
     .data   = BARE_B,
     .exact  = true,
     .layout = {0, T, 0},
     .tier   = SCRY__TIER_QUICK},
    {.name = "matmul/wide", .size = {33, 34, 35}, .data = WIDE},
    {.name = "matmul/wide-sums", .size = {33, 34, 257}, .data = WIDE_SUMS, .exact = true},
    {.name   = "matmul/wide-sums-bf16",
     .size   = {17, 34, 257},
     .weight = SCRY_BF16,
     .data   = WIDE_SUMS,
     .exact  = true,
     .layout = {0, T, 0}},
    {.name = "matmul/small", .size = {33, 34, 35}, .data = SMALL},
    {.name = "matmul/last-of-4096", .size = {9, 17, 4096}, .data = LAST_TERM},
    {.name = "matmul/last-of-4097", .size = {9, 17, 4097}, .data = LAST_TERM, .layout = {0, T, 0}},
    {.name   = "matmul/last-of-4099-one-row",
     .size   = {1, 33, 4099},
     .weight = SCRY_BF16,
     .data   = LAST_TERM,
     .layout = {0, T, 0}},
    {.name = "matmul/allow-tf32", .size = {33, 34, 35}, .precision = SCRY_ALLOW_TF32},
    {.name = "matmul/allow-f16", .size = {33, 34, 35}, .precision = SCRY_ALLOW_F16},
    {.name = "matmul/allow-f16-k-2", .size = {33, 35, 2}, .precision = SCRY_ALLOW_F16},
    {.name = "matmul/allow-f16-bare", .size = {33, 65, 67}, .data = BARE_A, .precision = SCRY_ALLOW_F16},
    {.name      = "matmul/allow-f16-bare-turned",
     .size      = {33, 65, 67},
     .data      = BARE_B,
     .precision = SCRY_ALLOW_F16,
     .layout    = {T, T, 0}},
    {.name      = "matmul/allow-f16-weights",
     .size      = {70, 67, 35},
     .weight    = SCRY_F16,
     .factors   = {-0.75f, 1.5f},
     .bias      = true,
     .precision = SCRY_ALLOW_F16,
     .layout    = {T, T, P}},
    {.name      = "matmul/allow-f16-bf16-weights",
     .size      = {9, 130, 63},
     .weight    = SCRY_BF16,
     .precision = SCRY_ALLOW_F16,
     .layout    = {P, P, 0}},
    {.name = "matmul/allow-f16-one-row", .size = {1, 130, 65}, .precision = SCRY_ALLOW_F16, .layout = {0, T, 0}},
    {.name      = "matmul/allow-f16-heads",
     .rank      = 4,
     .batch     = {2, 3},
     .size      = {17, 18, 19},
     .precision = SCRY_ALLOW_F16,
     .layout    = {S, T, S}},
    {.name = "matmul/allow-f16-no-terms", .size = {5, 7, 0}, .bias = true, .precision = SCRY_ALLOW_F16},
    {.name      = "matmul/allow-f16-k-600",
     .size      = {17, 70, 600},
     .factors   = {-0.75f, 1.5f},
     .bias      = true,
     .precision = SCRY_ALLOW_F16,
     .tier      = SCRY__TIER_QUICK},
    {.name      = "matmul/allow-f16-lattice",
     .size      = {130, 131, 67},
     .exact     = true,
     .precision = SCRY_ALLOW_F16,
     .tier      = SCRY__TIER_QUICK},
    {.name      = "matmul/allow-f16-lattice-turned",
     .size      = {65, 66, 100},
     .exact     = true,
     .precision = SCRY_ALLOW_F16,
     .tier      = SCRY__TIER_QUICK,
     .layout    = {T, T, 0}},
    {.name      = "matmul/allow-bf16",
     .size      = {33, 34, 35},
     .weight    = SCRY_BF16,
     .precision = SCRY_ALLOW_BF16,
     .layout    = {0, T, 0}},
    {.name      = "matmul/allow-f16-1024x1024x768",
     .size      = {1024, 1024, 768},
     .precision = SCRY_ALLOW_F16,
     .tier      = SCRY__TIER_FULL},
    {.name      = "matmul/allow-tf32-wide-tiles",
     .size      = {130, 150, 67},
     .precision = SCRY_ALLOW_TF32,
     .layout    = {T, 0, P},
     .tier      = SCRY__TIER_QUICK},
    {.name      = "matmul/allow-f16-wide-tiles",
     .size      = {150, 130, 100},
     .weight    = SCRY_F16,
     .factors   = {-0.75f, 1.5f},
     .bias      = true,
     .precision = SCRY_ALLOW_F16,
     .layout    = {0, T, 0},
     .tier      = SCRY__TIER_QUICK},
    {.name      = "matmul/allow-bf16-wide-tiles",
     .size      = {129, 140, 97},
     .bias      = true,
     .precision = SCRY_ALLOW_BF16,
     .layout    = {P, 0, 0},
     .tier      = SCRY__TIER_QUICK},
    {.name      = "matmul/allow-bf16-heads",
     .rank      = 4,
     .batch     = {2, 3},
     .size      = {17, 18, 40},
     .weight    = SCRY_BF16,
     .precision = SCRY_ALLOW_BF16,
     .layout    = {S, T, S}},
    {.name = "matmul/past-65535-rows", .size = {1048583, 1, 3}, .tier = SCRY__TIER_FULL},
    {.name = "matmul/past-65535-columns", .size = {1, 1048583, 3}, .tier = SCRY__TIER_FULL},
    {.name = "matmul/past-65535-batches", .rank = 3, .batch = {70001}, .size = {2, 3, 2}, .tier = SCRY__TIER_FULL},
    {.name = "matmul/past-128-MiB-a", .size = {20011, 3, 1801}, .tier = SCRY__TIER_FULL},
    {.name   = "matmul/past-128-MiB-bf16",
     .size   = {2, 50257, 1409},
     .weight = SCRY_BF16,
     .layout = {0, T, 0},
     .tier   = SCRY__TIER_FULL},
    {.name = "matmul/1024x1024x1024", .size = {1024, 1024, 1024}, .tier = SCRY__TIER_FULL, .benchmark = true},
    {.name = "matmul/gpt2-qkv", .size = {1024, 2304, 768}, .bias = true, .tier = SCRY__TIER_FULL, .benchmark = true},
    {.name      = "matmul/gpt2-mlp-short",
     .size      = {128, 3072, 768},
     .bias      = true,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name = "matmul/gpt2-mlp", .size = {1024, 3072, 768}, .bias = true, .tier = SCRY__TIER_FULL, .benchmark = true},
    {.name      = "matmul/gpt2-mlp-back",
     .size      = {1024, 768, 3072},
     .bias      = true,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "matmul/gpt2-logits",
     .size      = {1024, 50257, 768},
     .layout    = {0, T, 0},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "matmul/gpt2-mlp-one-row",
     .size      = {1, 3072, 768},
     .bias      = true,
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "matmul/gpt2-logits-one-row",
     .size      = {1, 50257, 768},
     .layout    = {0, T, 0},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "matmul/llama-mlp-bf16",
     .size      = {512, 5632, 2048},
     .weight    = SCRY_BF16,
     .layout    = {0, T, 0},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name      = "matmul/llama-mlp-bf16-one-row",
     .size      = {1, 5632, 2048},
     .weight    = SCRY_BF16,
     .layout    = {0, T, 0},
     .tier      = SCRY__TIER_FULL,
     .benchmark = true},
    {.name = "matmul/16x256x256", .size = {16, 256, 256}, .tier = SCRY__TIER_FULL},
    {.name = "matmul/64x64x4096", .size = {64, 64, 4096}, .tier = SCRY__TIER_FULL},
    {.name = "matmul/1024x64x768", .size = {1024, 64, 768}, .tier = SCRY__TIER_FULL},
    {.name = "matmul/gpt2-mlp-one-row-bf16", .size = {1, 3072, 768}, .weight = SCRY_BF16, .tier = SCRY__TIER_FULL},
    {.name = "matmul/llama-mlp-one-row", .size = {1, 5632, 2048}, .layout = {0, T, 0}, .tier = SCRY__TIER_FULL},
    {.name = "matmul/gpt2-mlp-short-bf16", .size = {128, 3072, 768}, .weight = SCRY_BF16, .tier = SCRY__TIER_FULL},
    {.name = "matmul/llama-mlp-short", .size = {128, 2048, 1024}, .layout = {0, T, 0}, .tier = SCRY__TIER_FULL},
    {.name   = "matmul/llama-mlp-short-bf16",
     .size   = {128, 2048, 1024},
     .weight = SCRY_BF16,
     .layout = {0, T, 0},
     .tier   = SCRY__TIER_FULL},
    {.name = "matmul/1024x1024x1024-bf16", .size = {1024, 1024, 1024}, .weight = SCRY_BF16, .tier = SCRY__TIER_FULL},
    {.name = "matmul/1024x1024x1024-turned", .size = {1024, 1024, 1024}, .layout = {0, T, 0}, .tier = SCRY__TIER_FULL},
    {.name   = "matmul/1024x1024x1024-turned-bf16",
     .size   = {1024, 1024, 1024},
     .weight = SCRY_BF16,
     .layout = {0, T, 0},
     .tier   = SCRY__TIER_FULL},
};

static scry__case describe(int row)
{
    return (scry__case){.name      = rows[row].name,
                        .tier      = rows[row].tier,
                        .benchmark = rows[row].benchmark,
                        .precision = rows[row].precision};
}

/* A matrix whose entries are 0 but for one in each row, or in each column: powers of two. */
static void fill_scattered(scry__array *operand, bool by_column)
{
    int64_t rows_of = operand->view.shape[0], columns = operand->view.shape[1];
    int64_t lines = by_column ? columns : rows_of, places = by_column ? rows_of : columns;
    scry__array_fill(operand, 0);
    for (int64_t line = 0; line < lines; line++) {
        int64_t place = (line * 31 + 7) % places;
        scry__array_set(operand, by_column ? place * columns + line : line * columns + place,
                        ldexp(line % 2 ? -1 : 1, (int)(line % 5) - 2));
    }
}

static void fill_data(scry__plan *plan, const struct row *row, scry__array *operand, bool is_b)
{
    int64_t k = row->size[2], columns = operand->view.shape[operand->view.rank - 1];
    switch (row->data) {
    case BARE_A:
    case BARE_B:
        if ((row->data == BARE_A) == is_b)
            fill_scattered(operand, is_b);
        else
            scry__array_fill_normal(plan, operand, 0, 1);
        return;
    case WIDE:
        scry__array_fill_normal(plan, operand, 0, 1e6);
        return;
    case WIDE_SUMS:
        scry__array_fill_integers(plan, operand, 30, 60);
        return;
    case SMALL:
        scry__array_fill_normal(plan, operand, 0, 1e-6);
        return;
    default:
        scry__array_fill_usual(plan, operand);
    }
    for (int64_t e = 0; row->data == LAST_TERM && e < scry__array_count(operand); e++)
        if ((is_b ? e / columns : e % columns) != k - 1)
            scry__array_set(operand, e, scry__array_get(operand, e) * 0x1p-10);
}

static void add(scry__plan *plan, const struct row *row, scry_tensor *tensor, const char *label, scry__role role,
                scry_dtype dtype, unsigned layout, int64_t i, int64_t j)
{
    int64_t sizes[SCRY_MAX_RANK] = {row->batch[0], row->batch[1]};
    int     rank                 = row->rank ? row->rank : 2;
    sizes[rank - 2]              = i;
    sizes[rank - 1]              = j;
    scry__array *operand         = scry__plan_add(plan, tensor, label, role, dtype, layout, rank, sizes);
    if (role != SCRY__OUTPUT) fill_data(plan, row, operand, tensor == &plan->op.matmul.b);
    bool alone = row->size[0] == 1 && tensor == &plan->op.matmul.a; /* every output would see its specials */
    if (row->special && role == SCRY__INPUT && !alone) scry__array_fill_specials(operand, 211);
}

static void build(scry__plan *plan, int index)
{
    const struct row *row = &rows[index];
    scry_matmul      *op  = &plan->op.matmul;
    int64_t           m = row->size[0], n = row->size[1], k = row->size[2];
    op->alpha          = row->factors[0] == 0 && row->factors[1] == 0 ? 1 : row->factors[0];
    op->beta           = row->factors[1];
    plan->exact        = row->exact;
    plan->mute         = k == 0;
    plan->bare         = row->data == BARE_A || row->data == BARE_B;
    plan->wide         = row->data == WIDE || row->data == WIDE_SUMS;
    plan->op.precision = row->precision;
    add(plan, row, &op->a, "a", SCRY__INPUT, SCRY_F32, row->layout[0], m, k);
    add(plan, row, &op->b, "b", SCRY__INPUT, row->weight, row->layout[1], k, n);
    add(plan, row, &op->c, "c", op->beta != 0 ? SCRY__UPDATED : SCRY__OUTPUT, SCRY_F32, row->layout[2], m, n);
    if (!row->bias) return;
    scry__array_fill_usual(
        plan, scry__plan_add(plan, &op->bias, "bias", SCRY__INPUT, row->weight, row->layout[3], 1, SCRY__SHAPE(n)));
}

const scry__case_table scry__matmul_table = {SCRY_OP_MATMUL, sizeof rows / sizeof *rows, describe, build};

void scry__judge_matmul(const scry__plan *plan, scry__verdict *verdict)
{
    const scry_matmul *op = &plan->op.matmul;
    const scry__array *a = scry__plan_find(plan, &op->a), *b = scry__plan_find(plan, &op->b);
    const scry__array *c = scry__plan_find(plan, &op->c), *bias = scry__plan_find(plan, &op->bias);
    int                last = op->c.rank - 1;
    int64_t            m = op->c.shape[last - 1], n = op->c.shape[last], k = op->a.shape[last];
    double             gamma = gamma_of((double)k + 4, verdict->unit);
    for (int64_t e = 0; e < scry__array_count(c); e++) {
        int64_t batch = e / (m * n), i = e / n % m, j = e % n;
        double  sum = 0, size = 0, old = op->beta != 0 ? op->beta * scry__array_get(c, e) : 0;
        for (int64_t p = 0; p < k; p++) {
            double product = scry__array_get(a, (batch * m + i) * k + p) * scry__array_get(b, (batch * k + p) * n + j);
            sum += product;
            size += fabs(product);
        }
        double last_term = bias ? scry__array_get(bias, j) : 0;
        sum              = op->alpha * sum + old + last_term;
        size             = fabs(op->alpha) * size + fabs(old) + fabs(last_term);
        scry__verdict_result(verdict, c, e, sum, plan->exact ? 0 : gamma * size + (double)(k + 4) * SCRY__TINY);
    }
}
