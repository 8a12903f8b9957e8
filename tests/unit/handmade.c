/* Transformers made by hand as checkpoints. See handmade.h. */
#include "handmade.h"

#include "base/text.h"
#include "unit/trial.h"

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

/* Makes the folder and puts both files there; takes over the tensors. */
static void write_checkpoint(char path[HANDMADE_PATH], struct checkpoint *checkpoint, const char *config)
{
    snprintf(path, HANDMADE_PATH, "/tmp/scry-handmade-XXXXXX");
    cr_assert(mkdtemp(path), "no folder in /tmp");
    write_file(path, "config.json", NULL, config);
    write_weights(path, checkpoint);
    for (int i = 0; i < checkpoint->count; i++) free(checkpoint->tensors[i].values);
}

#define CONFIG                                                                                                         \
    "{\"model_type\":\"gpt2\",\"vocab_size\":%d,\"n_positions\":%d,\"n_embd\":%d,\"n_layer\":%d,\"n_head\":%d,"        \
    "\"n_inner\":%d,\"layer_norm_epsilon\":%g,\"tie_word_embeddings\":false}"

void handmade_induction(char path[HANDMADE_PATH], double beta, double gamma)
{
    struct checkpoint checkpoint = {0};
    char              config[512];
    connect(add(&checkpoint, "wte.weight", V, WIDTH), WIDTH, 0, TOKEN, V, 1);
    connect(add(&checkpoint, "wpe.weight", P, WIDTH), WIDTH, 0, PLACE, P, 1);
    for (int layer = 0; layer < LAYERS; layer++) add_layer(&checkpoint, layer, beta);
    add_norm(&checkpoint, "ln_f", 4);
    connect(add(&checkpoint, "lm_head.weight", V, WIDTH), WIDTH, 0, PREDICT, V, gamma);
    snprintf(config, sizeof config, CONFIG, V, P, WIDTH, LAYERS, HEADS, INNER, epsilon);
    write_checkpoint(path, &checkpoint, config);
}

/* --- the turned transformer --- */

enum { TURNED = 32, SHARP = 20 }; /* the stream's width; what an MLP's cell has before its activation, or -SHARP */

/* Vectors of length 1, orthogonal to each other and to the vector of ones, so that layer norms need not turn them. */
static void draw_set(float set[TURNED_VOCABULARY][TURNED], uint64_t seed)
{
    trial_normal(set[0], TURNED_VOCABULARY * TURNED, seed);
    for (int i = 0; i < TURNED_VOCABULARY; i++) {
        double mean = 0, length = 0;
        for (int k = 0; k < TURNED; k++) mean += (double)set[i][k] / TURNED;
        for (int k = 0; k < TURNED; k++) set[i][k] -= (float)mean;
        for (int j = 0; j < i; j++) {
            double along = 0;
            for (int k = 0; k < TURNED; k++) along += (double)set[i][k] * (double)set[j][k];
            for (int k = 0; k < TURNED; k++) set[i][k] -= (float)(along * (double)set[j][k]);
        }
        for (int k = 0; k < TURNED; k++) length += (double)set[i][k] * (double)set[i][k];
        for (int k = 0; k < TURNED; k++) set[i][k] /= (float)sqrt(length);
    }
}

/* A layer norm that gives back vectors of length 1 and mean 0. */
static void add_turned_norm(struct checkpoint *checkpoint, const char *name)
{
    char full[48];
    snprintf(full, sizeof full, "%s.weight", name);
    float *weight = add(checkpoint, full, 0, TURNED);
    for (int i = 0; i < TURNED; i++) weight[i] = (float)sqrt(1.0 / TURNED + epsilon);
    snprintf(full, sizeof full, "%s.bias", name);
    add(checkpoint, full, 0, TURNED);
}

/* A block that does nothing, but for its MLP from one set to the other where they are given. */
static void add_turned_layer(struct checkpoint *checkpoint, int layer, float from[TURNED_VOCABULARY][TURNED],
                             float to[TURNED_VOCABULARY][TURNED])
{
    enum { WEIGHT = 4, BIAS = 5, BACK = 6 };
    static const struct {
        const char *name;
        int         rows, columns;
    } tensors[] = {{"attn.c_attn.weight", TURNED, 3 * TURNED},       {"attn.c_attn.bias", 0, 3 * TURNED},
                   {"attn.c_proj.weight", TURNED, TURNED},           {"attn.c_proj.bias", 0, TURNED},
                   {"mlp.c_fc.weight", TURNED, TURNED_VOCABULARY},   {"mlp.c_fc.bias", 0, TURNED_VOCABULARY},
                   {"mlp.c_proj.weight", TURNED_VOCABULARY, TURNED}, {"mlp.c_proj.bias", 0, TURNED}};
    float *values[sizeof tensors / sizeof *tensors];
    char   name[48];
    for (int norm = 1; norm <= 2; norm++) {
        snprintf(name, sizeof name, "h.%d.ln_%d", layer, norm);
        add_turned_norm(checkpoint, name);
    }
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        snprintf(name, sizeof name, "h.%d.%s", layer, tensors[i].name);
        values[i] = add(checkpoint, name, tensors[i].rows, tensors[i].columns);
    }
    for (int v = 0; from && v < TURNED_VOCABULARY; v++) {
        const float *next = to[(v + 1) % TURNED_VOCABULARY];
        values[BIAS][v]   = -SHARP;
        for (int k = 0; k < TURNED; k++) {
            values[WEIGHT][k * TURNED_VOCABULARY + v] = 2 * SHARP * from[v][k];
            values[BACK][v * TURNED + k]              = (next[k] - from[v][k]) / SHARP;
        }
    }
}

void handmade_turned(char path[HANDMADE_PATH])
{
    static float      from[TURNED_VOCABULARY][TURNED], to[TURNED_VOCABULARY][TURNED];
    struct checkpoint checkpoint = {0};
    char              config[512];
    draw_set(from, 1);
    draw_set(to, 2);
    memcpy(add(&checkpoint, "wte.weight", TURNED_VOCABULARY, TURNED), from, sizeof from);
    add(&checkpoint, "wpe.weight", TURNED_CONTEXT, TURNED);
    add_turned_layer(&checkpoint, 0, NULL, NULL);
    add_turned_layer(&checkpoint, 1, from, to);
    add_turned_norm(&checkpoint, "ln_f");
    float *unembedding = add(&checkpoint, "lm_head.weight", TURNED_VOCABULARY, TURNED);
    for (int i = 0; i < TURNED_VOCABULARY * TURNED; i++) unembedding[i] = TURNED_LOGIT * to[i / TURNED][i % TURNED];
    snprintf(config, sizeof config, CONFIG, TURNED_VOCABULARY, TURNED_CONTEXT, TURNED, 2, 1, TURNED_VOCABULARY,
             epsilon);
    write_checkpoint(path, &checkpoint, config);
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
