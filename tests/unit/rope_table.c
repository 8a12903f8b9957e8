/* Rotary frequencies of every kind of scaling, and the precision of the tables at far positions. */
#include "model/rope_table.h"
#include "model/config.h"

#include "base/alloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* What transformers 5.23 computes, in f32. It evaluates base^x in f32, so that rounding x alone costs up to
 * ln(base) 2^-24 = 8e-7 relative, and a few roundings of 6e-8 follow. */
static const double f32_noise = 2e-6;

static const struct {
    const char *config;
    int64_t     context; /* max_position_embeddings */
    int         head_size;
    int64_t     length;
    double      attention_factor;
    int         count;
    double      frequencies[8];
    int64_t     widened; /* positions that the scaling allows */
} cases[] = {
    {"{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4.0}}",
     128,
     8,
     100,
     1.0,
     4,
     {0.25, 0.0250000004, 0.00249999994, 0.000250000012},
     128},
    {"{\"rope_parameters\": {\"rope_type\": \"dynamic\", \"rope_theta\": 10000.0, \"factor\": 3.0}}",
     16,
     8,
     16,
     1.0,
     4,
     {1, 0.100000001, 0.00999999978, 0.00100000005},
     48},
    {"{\"rope_theta\": 10000, \"rope_scaling\": {\"rope_type\": \"dynamic\", \"factor\": 3}}",
     16,
     8,
     40,
     1.0,
     4,
     {1, 0.056651637, 0.00320940767, 0.000181818177},
     48},
    {"{\"rope_parameters\": {\"rope_type\": \"yarn\", \"rope_theta\": 10000.0, \"factor\": 4.0, "
     "\"original_max_position_embeddings\": 1024}}",
     4096,
     16,
     100,
     1.138629436111989,
     8,
     {1, 0.316227764, 0.0812500045, 0.0197642371, 0.00437500002, 0.000790569466, 0.000250000012, 7.90569466e-05},
     4096},
    {"{\"rope_parameters\": {\"rope_type\": \"yarn\", \"rope_theta\": 10000.0, \"factor\": 40.0, \"mscale\": 1.0, "
     "\"mscale_all_dim\": 0.707, \"original_max_position_embeddings\": 4096}}",
     163840,
     16,
     100,
     1.0857263992561355,
     8,
     {1, 0.316227764, 0.100000001, 0.0239147246, 0.00512499968, 0.000849862176, 2.49999994e-05, 7.90569447e-06},
     163840},
    {"{\"rope_theta\": 500000.0, \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": "
     "1.0, \"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 8192}}",
     131072,
     16,
     100,
     1.0,
     8,
     {1, 0.193922758, 0.0376060307, 0.00729266508, 0.000524846022, 3.42810235e-05, 6.64786967e-06, 1.28917316e-06},
     131072},
    {"{\"original_max_position_embeddings\": 4096, \"rope_scaling\": {\"type\": \"su\", \"short_factor\": [1.0, 1.1, "
     "1.2, 1.3], \"long_factor\": [1.5, 3.0, 7.0, 20.0]}}",
     131072,
     8,
     4096,
     1.1902380714238083,
     4,
     {1, 0.0909090936, 0.00833333284, 0.00076923077},
     131072},
    {"{\"rope_parameters\": {\"rope_type\": \"longrope\", \"original_max_position_embeddings\": 4096, "
     "\"short_factor\": [1.0, 1.1, 1.2, 1.3], \"long_factor\": [1.5, 3.0, 7.0, 20.0]}}",
     131072,
     8,
     4097,
     1.1902380714238083,
     4,
     {0.666666687, 0.0333333351, 0.00142857141, 4.99999987e-05},
     131072},
    {"{\"rotary_emb_base\": 100, \"rotary_pct\": 0.25}", 64, 16, 64, 1.0, 2, {1, 0.1}, 64},
};

Test(rope_table, frequencies__are_those_of_transformers)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t    *config = NULL;
        scry__arch arch   = {.context = cases[i].context, .head_size = cases[i].head_size, .partial_rotary = 1.0};
        double     frequencies[8];
        cr_assert_eq(scry__json_parse(&config, cases[i].config, strlen(cases[i].config), "test"), SCRY_OK);
        cr_assert_eq(scry__config_rope(&arch, (scry__json_at){config, "test"}), SCRY_OK, "%zu: %s", i,
                     scry_last_error());
        cr_expect_eq(arch.ropes[0].dims, 2 * cases[i].count, "%zu: %d entries turn", i, arch.ropes[0].dims);
        cr_expect_eq(arch.context, cases[i].widened, "%zu: context %lld", i, (long long)arch.context);
        cr_expect(fabs(arch.ropes[0].attention_factor - cases[i].attention_factor) <= 1e-15 * 4,
                  "%zu: attention factor %.17g", i, arch.ropes[0].attention_factor);
        scry__rope_frequencies(frequencies, &arch.ropes[0], cases[i].length, false);
        for (int j = 0; j < cases[i].count; j++)
            cr_expect(fabs(frequencies[j] - cases[i].frequencies[j]) <= f32_noise * cases[i].frequencies[j],
                      "case %zu: frequency %d is %.9g, expected %.9g", i, j, frequencies[j], cases[i].frequencies[j]);
        scry__arch_finish(&arch);
        json_decref(config);
    }
}

Test(rope_table, frequencies__round_to_f32_on_request)
{
    scry__rope rope = {.kind = SCRY__ROPE_DEFAULT, .dims = 8, .theta = 10000.0, .attention_factor = 1.0};
    double     exact[4], rounded[4];
    scry__rope_frequencies(exact, &rope, 1, false);
    scry__rope_frequencies(rounded, &rope, 1, true);
    for (int i = 0; i < 4; i++) cr_expect_eq(rounded[i], (double)(float)exact[i]);
}

/* A f64 angle at position p is off by a few units of p 2^-53, which is below 1e-10 here; then one rounding to f32. */
Test(rope_table, rows__are_exact_at_far_positions)
{
    enum { HALF = 4 };
    static const int64_t positions[] = {0, 1, 1023, 131071};
    scry__rope           rope        = {.dims = 2 * HALF, .theta = 10000.0, .attention_factor = 1.0};
    double               frequencies[HALF];
    float                cosine[HALF], sine[HALF];
    scry__rope_frequencies(frequencies, &rope, 1, false);
    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
        scry__rope_rows(cosine, sine, &rope, frequencies, positions[i], 1);
        for (int j = 0; j < HALF; j++) {
            long double angle = (long double)positions[i] * powl(10000.0L, -2.0L * j / (2 * HALF));
            cr_expect(fabsl((long double)cosine[j] - cosl(angle)) <= 0x1p-25L + 1e-10L, "cosine of %lld, %d",
                      (long long)positions[i], j);
            cr_expect(fabsl((long double)sine[j] - sinl(angle)) <= 0x1p-25L + 1e-10L, "sine of %lld, %d",
                      (long long)positions[i], j);
        }
    }
}

/* Two lengths share a regime exactly when they share their frequencies. */
Test(rope_table, regime__changes_with_the_frequencies)
{
    static double    factors[] = {1.0, 2.0};
    const scry__rope dynamic   = {
          .kind = SCRY__ROPE_DYNAMIC, .dims = 4, .theta = 100.0, .factor = 2.0, .max_position = 8.0};
    const scry__rope longrope = {.kind         = SCRY__ROPE_LONGROPE,
                                 .dims         = 4,
                                 .theta        = 100.0,
                                 .original     = 8.0,
                                 .short_factor = factors,
                                 .long_factor  = factors};
    cr_expect_eq(scry__rope_regime(&dynamic, 3), scry__rope_regime(&dynamic, 8));
    cr_expect_neq(scry__rope_regime(&dynamic, 8), scry__rope_regime(&dynamic, 9));
    cr_expect_neq(scry__rope_regime(&dynamic, 9), scry__rope_regime(&dynamic, 10));
    cr_expect_eq(scry__rope_regime(&longrope, 3), scry__rope_regime(&longrope, 8));
    cr_expect_neq(scry__rope_regime(&longrope, 8), scry__rope_regime(&longrope, 9));
    cr_expect_eq(scry__rope_regime(&longrope, 9), scry__rope_regime(&longrope, 10));
}
