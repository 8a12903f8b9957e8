/* The induction transformer as a checkpoint. See handmade.h. */
#include "handmade.h"

#include "base/text.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    V       = HANDMADE_VOCABULARY,
    P       = HANDMADE_CONTEXT,
    HEADS   = 2,
    INNER   = 4,
    LAYERS  = 2,
    WIDTH   = 3 * V + P, /* of the residual stream, whose blocks begin at: */
    TOKEN   = 0,
    PLACE   = V,
    BEFORE  = V + P,
    PREDICT = 2 * V + P,
    HEAD    = WIDTH / HEADS,
};

static const double epsilon = 1e-5;

struct tensor {
    char   name[48];
    int    rows, columns; /* rows 0: a vector */
    float *values;
};

struct checkpoint {
    struct tensor tensors[40];
    int           count;
};

static float *add(struct checkpoint *checkpoint, const char *name, int rows, int columns)
{
    struct tensor *tensor = &checkpoint->tensors[checkpoint->count++];
    cr_assert_lt((size_t)checkpoint->count, sizeof checkpoint->tensors / sizeof *checkpoint->tensors);
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->rows    = rows;
    tensor->columns = columns;
    tensor->values  = calloc((size_t)(rows ? rows : 1) * (size_t)columns, sizeof(float));
    return tensor->values;
}

/* A layer norm that gives back what it is given, where `ones` entries of the stream are 1 and the others 0. */
static void add_norm(struct checkpoint *checkpoint, const char *name, int ones)
{
    char   full[48];
    double mean = (double)ones / WIDTH, deviation = sqrt(mean - mean * mean + epsilon);
    snprintf(full, sizeof full, "%s.weight", name);
    float *weight = add(checkpoint, full, 0, WIDTH);
    snprintf(full, sizeof full, "%s.bias", name);
    float *bias = add(checkpoint, full, 0, WIDTH);
    for (int i = 0; i < WIDTH; i++) {
        weight[i] = (float)deviation;
        bias[i]   = (float)mean;
    }
}

/* weight[from + i][to + i] = value, for i < count. */
static void connect(float *weight, int columns, int from, int to, int count, double value)
{
    for (int i = 0; i < count; i++) weight[(from + i) * columns + to + i] = (float)value;
}

static void add_layer(struct checkpoint *checkpoint, int layer, double beta)
{
    static const struct {
        const char *name;
        int         rows, columns;
    } zeros[] = {{"attn.c_attn.bias", 0, 3 * WIDTH},  {"attn.c_proj.bias", 0, WIDTH},
                 {"mlp.c_fc.weight", WIDTH, INNER},   {"mlp.c_fc.bias", 0, INNER},
                 {"mlp.c_proj.weight", INNER, WIDTH}, {"mlp.c_proj.bias", 0, WIDTH}};
    char name[48];
    snprintf(name, sizeof name, "h.%d.ln_1", layer);
    add_norm(checkpoint, name, 2 + layer);
    snprintf(name, sizeof name, "h.%d.ln_2", layer);
    add_norm(checkpoint, name, 3 + layer);
    snprintf(name, sizeof name, "h.%d.attn.c_attn.weight", layer);
    float *qkv = add(checkpoint, name, WIDTH, 3 * WIDTH);
    snprintf(name, sizeof name, "h.%d.attn.c_proj.weight", layer);
    float *out = add(checkpoint, name, WIDTH, WIDTH);
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++) {
        snprintf(name, sizeof name, "h.%d.%s", layer, zeros[i].name);
        add(checkpoint, name, zeros[i].rows, zeros[i].columns);
    }
    double sharp = beta * sqrt(HEAD); /* attention divides by that root */
    if (layer == 0) {
        connect(qkv, 3 * WIDTH, PLACE, 0, P, sharp);
        connect(qkv, 3 * WIDTH, PLACE, WIDTH + 1, P - 1, 1); /* the key of position j answers to the query of j + 1 */
    } else {
        connect(qkv, 3 * WIDTH, TOKEN, 0, V, sharp);
        connect(qkv, 3 * WIDTH, BEFORE, WIDTH, V, 1);
    }
    connect(qkv, 3 * WIDTH, TOKEN, 2 * WIDTH, V, 1);
    connect(out, WIDTH, 0, layer == 0 ? BEFORE : PREDICT, V, 1);
}

static void write_file(const char *folder, const char *name, const struct checkpoint *checkpoint, const char *text)
{
    char path[2 * HANDMADE_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    cr_assert(file, "cannot write %s", path);
    uint64_t size = strlen(text);
    if (checkpoint) fwrite(&size, sizeof size, 1, file);
    fputs(text, file);
    for (int i = 0; checkpoint && i < checkpoint->count; i++) {
        const struct tensor *tensor = &checkpoint->tensors[i];
        fwrite(tensor->values, sizeof(float), (size_t)(tensor->rows ? tensor->rows : 1) * (size_t)tensor->columns,
               file);
    }
    cr_assert_eq(fclose(file), 0);
}

static void write_weights(const char *folder, const struct checkpoint *checkpoint)
{
    scry__text header = {0};
    size_t     offset = 0;
    for (int i = 0; i < checkpoint->count; i++) {
        const struct tensor *tensor = &checkpoint->tensors[i];
        size_t bytes = (size_t)(tensor->rows ? tensor->rows : 1) * (size_t)tensor->columns * sizeof(float);
        scry__text_addf(&header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", i ? "," : "{", tensor->name);
        if (tensor->rows) scry__text_addf(&header, "%d,", tensor->rows);
        scry__text_addf(&header, "%d],\"data_offsets\":[%zu,%zu]}", tensor->columns, offset, offset + bytes);
        offset += bytes;
    }
    scry__text_adds(&header, "}");
    while (header.size % 8) scry__text_adds(&header, " ");
    cr_assert_eq(header.status, SCRY_OK);
    write_file(folder, "model.safetensors", checkpoint, header.data);
    scry__text_finish(&header);
}

void handmade_induction(char path[HANDMADE_PATH], double beta, double gamma)
{
    struct checkpoint checkpoint = {0};
    char              config[512];
    snprintf(path, HANDMADE_PATH, "/tmp/scry-handmade-XXXXXX");
    cr_assert(mkdtemp(path), "no folder in /tmp");
    connect(add(&checkpoint, "wte.weight", V, WIDTH), WIDTH, 0, TOKEN, V, 1);
    connect(add(&checkpoint, "wpe.weight", P, WIDTH), WIDTH, 0, PLACE, P, 1);
    for (int layer = 0; layer < LAYERS; layer++) add_layer(&checkpoint, layer, beta);
    add_norm(&checkpoint, "ln_f", 4);
    connect(add(&checkpoint, "lm_head.weight", V, WIDTH), WIDTH, 0, PREDICT, V, gamma);
    snprintf(config, sizeof config,
             "{\"model_type\":\"gpt2\",\"vocab_size\":%d,\"n_positions\":%d,\"n_embd\":%d,\"n_layer\":%d,\"n_head\":%d,"
             "\"n_inner\":%d,\"layer_norm_epsilon\":%g,\"tie_word_embeddings\":false}",
             V, P, WIDTH, LAYERS, HEADS, INNER, epsilon);
    write_file(path, "config.json", NULL, config);
    write_weights(path, &checkpoint);
    for (int i = 0; i < checkpoint.count; i++) free(checkpoint.tensors[i].values);
}

void handmade_remove(const char *path)
{
    static const char *const names[] = {"config.json", "model.safetensors"};
    for (int i = 0; i < 2; i++) {
        char file[2 * HANDMADE_PATH];
        snprintf(file, sizeof file, "%s/%s", path, names[i]);
        unlink(file);
    }
    rmdir(path);
}
