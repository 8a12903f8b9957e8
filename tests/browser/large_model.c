/* config.json and a safetensors file whose data are a hole. See large_model.h. */
#include "browser/large_model.h"

#include "e2e/program.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WIDTH = 4 * LARGE_HEADS };

/* GPT-2's tensors; the second size is 0 for vectors. */
struct tensor {
    const char *name;
    int         rows, columns;
};
static const struct tensor outer[] = {{"wte.weight", LARGE_VOCABULARY, WIDTH},
                                      {"wpe.weight", LARGE_CONTEXT, WIDTH},
                                      {"ln_f.weight", WIDTH, 0},
                                      {"ln_f.bias", WIDTH, 0}};
static const struct tensor block[] = {{"ln_1.weight", WIDTH, 0},
                                      {"ln_1.bias", WIDTH, 0},
                                      {"attn.c_attn.weight", WIDTH, 3 * WIDTH},
                                      {"attn.c_attn.bias", 3 * WIDTH, 0},
                                      {"attn.c_proj.weight", WIDTH, WIDTH},
                                      {"attn.c_proj.bias", WIDTH, 0},
                                      {"ln_2.weight", WIDTH, 0},
                                      {"ln_2.bias", WIDTH, 0},
                                      {"mlp.c_fc.weight", WIDTH, 4 * WIDTH},
                                      {"mlp.c_fc.bias", 4 * WIDTH, 0},
                                      {"mlp.c_proj.weight", 4 * WIDTH, WIDTH},
                                      {"mlp.c_proj.bias", WIDTH, 0}};

static long long add_tensor(json_t *header, const char *prefix, const struct tensor *tensor, long long offset)
{
    char      name[96];
    long long end = offset + 4LL * tensor->rows * (tensor->columns ? tensor->columns : 1);
    json_t   *shape =
        tensor->columns ? json_pack("[i, i]", tensor->rows, tensor->columns) : json_pack("[i]", tensor->rows);
    snprintf(name, sizeof name, "%s%s", prefix, tensor->name);
    json_object_set_new(header, name,
                        json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets",
                                  (json_int_t)offset, (json_int_t)end));
    return end;
}

static void write_weights(const char *path, bool broken)
{
    json_t   *header = json_object();
    long long offset = 0;
    float     nan    = NAN;
    for (size_t i = 0; i < sizeof outer / sizeof *outer; i++) offset = add_tensor(header, "", &outer[i], offset);
    for (int layer = 0; layer < LARGE_LAYERS; layer++)
        for (size_t i = 0; i < sizeof block / sizeof *block; i++) {
            char prefix[16];
            snprintf(prefix, sizeof prefix, "h.%d.", layer);
            offset = add_tensor(header, prefix, &block[i], offset);
        }
    char    *text = json_dumps(header, JSON_COMPACT);
    uint64_t size = strlen(text); /* little-endian, as the machines that these tests run on */
    FILE    *file = fopen(path, "wb");
    cr_assert_not_null(file);
    fwrite(&size, sizeof size, 1, file);
    fputs(text, file);
    for (int i = 0; broken && i < WIDTH; i++) fwrite(&nan, sizeof nan, 1, file); /* the first tensor begins with it */
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(truncate(path, (off_t)(sizeof size + size) + offset), 0);
    free(text);
    json_decref(header);
}

const char *large_model(bool broken)
{
    static char path[256];
    char        file[300];
    snprintf(path, sizeof path, "%s", in_folder(broken ? "broken" : "large"));
    cr_assert_eq(mkdir(path, 0700), 0);
    json_t *config =
        json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:f, s:s, s:s, s:b, s:i}", "model_type", "gpt2", "n_layer",
                  LARGE_LAYERS, "n_head", LARGE_HEADS, "n_embd", WIDTH, "n_positions", LARGE_CONTEXT, "vocab_size",
                  LARGE_VOCABULARY, "layer_norm_epsilon", 1e-5, "activation_function", "gelu_new", "dtype", "float32",
                  "tie_word_embeddings", true, "bos_token_id", 0);
    /* Wider than GPT-2's own 0.02, so that heads differ. */
    json_object_set_new(config, "initializer_range", json_real(0.4));
    snprintf(file, sizeof file, "%s/config.json", path);
    cr_assert_eq(json_dump_file(config, file, 0), 0);
    json_decref(config);
    snprintf(file, sizeof file, "%s/model.safetensors", path);
    write_weights(file, broken);
    return path;
}

const char *large_prompt(void)
{
    static char text[4 * LARGE_CONTEXT];
    size_t      size = 0;
    for (unsigned i = 0, id = 1; i < LARGE_CONTEXT; i++) {
        id = (id * 37 + 11 + i / 64) % LARGE_VOCABULARY;
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%u", i ? "," : "", id);
    }
    return text;
}
