/* Bytes as a config.json, through every family's keys and the rope tables that follow from them. */
#include "base/alloc.h"
#include "fuzz/fuzz.h"
#include "model/arch.h"
#include "model/rope_table.h"

/* Tables of a few positions near the beginning and at the end of what the model claims to take. */
static void make_tables(const scry__arch *arch)
{
    enum { ROWS = 3 };
    for (int i = 0; i < arch->rope_count; i++) {
        const scry__rope *rope = &arch->ropes[i];
        size_t            half = (size_t)rope->dims / 2;
        int64_t           last = arch->context > ROWS ? arch->context - ROWS : 0;
        FUZZ_REQUIRE(rope->dims > 0 && rope->dims % 2 == 0);
        double *frequencies = scry__alloc(half, sizeof *frequencies);
        float  *cosine      = scry__alloc(2 * ROWS * half, sizeof *cosine);
        if (frequencies && cosine) {
            int64_t regime = scry__rope_regime(rope, arch->context);
            FUZZ_REQUIRE(scry__rope_regime(rope, regime) == regime);
            scry__rope_frequencies(frequencies, rope, arch->context, false);
            scry__rope_rows(cosine, cosine + ROWS * half, rope, frequencies, 0, ROWS);
            scry__rope_rows(cosine, cosine + ROWS * half, rope, frequencies, last, ROWS);
        }
        scry__free(cosine);
        scry__free(frequencies);
    }
}

void fuzz_config(const uint8_t *data, size_t size)
{
    scry__arch arch = {0};
    fuzz_file("config.json", data, size);
    scry_status status = scry__arch_read(&arch, fuzz_folder());
    fuzz_require_detail(status);
    if (!status) {
        FUZZ_REQUIRE(arch.layer_count > 0 && arch.layer_count <= SCRY__MAX_LAYERS);
        FUZZ_REQUIRE(arch.head_count > 0 && arch.kv_head_count > 0 && arch.head_count % arch.kv_head_count == 0);
        FUZZ_REQUIRE(arch.head_size > 0 && arch.hidden_size > 0 && arch.vocabulary > 0 && arch.context > 0);
        for (int64_t i = 0; i < arch.layer_count; i++)
            FUZZ_REQUIRE(arch.layers[i].window >= 0 && arch.layers[i].rope >= 0 &&
                         arch.layers[i].rope < SCRY__MAX_ROPES);
        make_tables(&arch);
    }
    scry__arch_finish(&arch);
}
