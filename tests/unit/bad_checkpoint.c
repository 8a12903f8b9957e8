/* Hostile and damaged checkpoints: each is refused with its status and a message that names the place. Built from good
 * fixtures by one edit each; the sanitizer builds show leaks and stray reads. */
#include "checkpoint_edit.h"
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define WEIGHTS "model.safetensors"
#define SHARD_1 "model-00001-of-00004.safetensors"
#define BIAS    "transformer.h.0.attn.c_attn.bias"
#define MATRIX  "transformer.h.0.attn.c_attn.weight"

struct bad_case {
    const char     *name;
    checkpoint_edit edit;
    scry_status     status;
    const char     *message; /* what the detail must hold */
};

static const struct bad_case safetensors_cases[] = {
    {"intact", {"gpt2", INTACT, NULL, NULL}, SCRY_OK, ""},
    {"no weights", {"gpt2", REMOVE, WEIGHTS, NULL}, SCRY_BAD_INPUT, "neither model.safetensors nor"},
    {"empty file", {"gpt2", TRUNCATE, WEIGHTS, "0"}, SCRY_BAD_INPUT, "0 bytes: expected at least the 8"},
    {"seven bytes", {"gpt2", TRUNCATE, WEIGHTS, "7"}, SCRY_BAD_INPUT, "7 bytes: expected at least the 8"},
    {"only a length", {"gpt2", TRUNCATE, WEIGHTS, "8"}, SCRY_BAD_INPUT, "but only 0 bytes follow"},
    {"half a header", {"gpt2", TRUNCATE, WEIGHTS, "100"}, SCRY_BAD_INPUT, "but only 92 bytes follow"},
    {"one byte short", {"gpt2", TRUNCATE, WEIGHTS, "-1"}, SCRY_BAD_INPUT, "expected a range inside the"},
    {"one byte more", {"gpt2", APPEND, WEIGHTS, "x"}, SCRY_BAD_INPUT, "tensors end at data byte"},
    {"length 0", {"gpt2", SET_LENGTH, NULL, "0"}, SCRY_BAD_INPUT, "byte 8: expected a JSON header"},
    {"length too small", {"gpt2", SET_LENGTH, NULL, "100"}, SCRY_BAD_INPUT, WEIGHTS ": line 1, column"},
    {"length over the cap", {"gpt2", SET_LENGTH, NULL, "100000001"}, SCRY_BAD_INPUT, "expected at most 100000000"},
    {"length of all ones",
     {"gpt2", SET_LENGTH, NULL, "0xffffffffffffffff"},
     SCRY_BAD_INPUT,
     "expected at most 100000000"},
    {"length past the end", {"gpt2", SET_LENGTH, NULL, "99999999"}, SCRY_BAD_INPUT, "header length 99999999, but only"},
    {"not JSON", {"gpt2", SET_HEADER, NULL, "hello"}, SCRY_BAD_INPUT, "byte 8: expected a JSON header"},
    {"broken JSON", {"gpt2", SET_HEADER, NULL, "{\"a\":"}, SCRY_BAD_INPUT, WEIGHTS ": line 1, column"},
    {"an array", {"gpt2", SET_HEADER, NULL, "[]"}, SCRY_BAD_INPUT, "byte 8: expected a JSON header"},
    {"duplicate keys", {"gpt2", SET_HEADER, NULL, "{\"a\": {}, \"a\": {}}"}, SCRY_BAD_INPUT, "duplicate object key"},
    {"invalid UTF-8", {"gpt2", SET_HEADER, NULL, "{\"\xff\": {}}"}, SCRY_BAD_INPUT, "unable to decode byte 0xff"},
    {"no tensors", {"gpt2", SET_HEADER, NULL, "{}"}, SCRY_BAD_INPUT, "tensors end at data byte 0"},
    {"metadata not an object",
     {"gpt2", SET_TENSOR, "__metadata__", "5"},
     SCRY_BAD_INPUT,
     "__metadata__: expected an object"},
    {"metadata not strings",
     {"gpt2", SET_TENSOR, "__metadata__", "{\"a\": 1}"},
     SCRY_BAD_INPUT,
     "key \"a\": expected a string"},
    {"empty name", {"gpt2", RENAME_TENSOR, BIAS, ""}, SCRY_BAD_INPUT, "expected a name of 1 to"},
    {"entry not an object", {"gpt2", SET_TENSOR, BIAS, "7"}, SCRY_BAD_INPUT, BIAS ": expected an object"},
    {"no dtype",
     {"gpt2", SET_TENSOR, BIAS, "{\"shape\": [108], \"data_offsets\": [0, 432]}"},
     SCRY_BAD_INPUT,
     BIAS ": no key \"dtype\""},
    {"unknown dtype",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F31\", \"shape\": [108], \"data_offsets\": [0, 432]}"},
     SCRY_BAD_INPUT,
     "unknown dtype \"F31\""},
    {"dtype not a string",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": 4, \"shape\": [108], \"data_offsets\": [0, 432]}"},
     SCRY_BAD_INPUT,
     "key \"dtype\": expected a string"},
    {"dtype of another size",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F64\", \"shape\": [108], \"data_offsets\": [0, 432]}"},
     SCRY_BAD_INPUT,
     "hold 432 bytes: expected 864 for F64 [108]"},
    {"dtype that is no weight",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"I32\", \"shape\": [108], \"data_offsets\": [0, 432]}"},
     SCRY_BAD_INPUT,
     BIAS ": dtype I32: expected F32, F16 or BF16"},
    {"no shape",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F32\", \"data_offsets\": [0, 432]}"},
     SCRY_BAD_INPUT,
     BIAS ": no key \"shape\""},
    {"negative size",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F32\", \"shape\": [-108], \"data_offsets\": [0, 432]}"},
     SCRY_BAD_INPUT,
     "axis 0: expected a size of 0 or more"},
    {"fractional size",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F32\", \"shape\": [108.0], \"data_offsets\": [0, 432]}"},
     SCRY_BAD_INPUT,
     "axis 0: expected a size of 0 or more"},
    {"overflowing shape",
     {"gpt2", SET_TENSOR, BIAS,
      "{\"dtype\": \"F32\", \"shape\": [4294967296, 4294967296], \"data_offsets\": [0, 432]}"},
     SCRY_BAD_INPUT,
     "the byte count overflows at axis 1"},
    {"shape that wraps to fit",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F32\", \"shape\": [4611686018427388012], \"data_offsets\": [0, 432]}"},
     SCRY_BAD_INPUT,
     "the byte count overflows at axis 0"},
    {"number past 64 bits",
     {"gpt2", SET_HEADER, NULL,
      "{\"a\": {\"dtype\": \"F32\", \"shape\": [99999999999999999999], \"data_offsets\": [0, 4]}}"},
     SCRY_BAD_INPUT,
     "too big integer"},
    {"rank over the cap",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F32\", \"shape\": [1,1,1,1,1,1,1,1,108], \"data_offsets\": [0, 432]}"},
     SCRY_BAD_INPUT,
     "rank 9: expected at most 8"},
    {"no offsets",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F32\", \"shape\": [108]}"},
     SCRY_BAD_INPUT,
     BIAS ": no key \"data_offsets\""},
    {"one offset",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F32\", \"shape\": [108], \"data_offsets\": [0]}"},
     SCRY_BAD_INPUT,
     "data_offsets: expected two integers"},
    {"negative offset",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F32\", \"shape\": [108], \"data_offsets\": [-432, 0]}"},
     SCRY_BAD_INPUT,
     "data_offsets [-432, 0]"},
    {"offsets the wrong way",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F32\", \"shape\": [108], \"data_offsets\": [432, 0]}"},
     SCRY_BAD_INPUT,
     "data_offsets [432, 0]"},
    {"offsets past the end",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F32\", \"shape\": [108], \"data_offsets\": [99999568, 100000000]}"},
     SCRY_BAD_INPUT,
     "expected a range inside the"},
    {"offsets too short",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F32\", \"shape\": [108], \"data_offsets\": [0, 428]}"},
     SCRY_BAD_INPUT,
     "hold 428 bytes: expected 432 for F32 [108]"},
    {"overlap",
     {"gpt2", SET_TENSOR, BIAS, "{\"dtype\": \"F32\", \"shape\": [108], \"data_offsets\": [4, 436]}"},
     SCRY_BAD_INPUT,
     "starts at data byte"},
    {"twice the same bytes",
     {"gpt2", SET_TENSOR, "spare", "{\"dtype\": \"F32\", \"shape\": [108], \"data_offsets\": [0, 432]}"},
     SCRY_BAD_INPUT,
     "(overlap)"},
    {"gap", {"gpt2", SET_TENSOR, BIAS, NULL}, SCRY_BAD_INPUT, "starts at data byte 432: expected 0 (gap)"},
};

static const struct bad_case tensor_cases[] = {
    {"missing tensor",
     {"gpt2", RENAME_TENSOR, MATRIX, "spare"},
     SCRY_BAD_INPUT,
     "no tensor " MATRIX ", which gpt2 needs"},
    {"unknown tensor",
     {"gpt2", SET_TENSOR, "spare", "{\"dtype\": \"F32\", \"shape\": [0], \"data_offsets\": [0, 0]}"},
     SCRY_BAD_INPUT,
     "tensor spare: not known to gpt2"},
    {"transposed matrix",
     {"gpt2", SET_TENSOR, MATRIX, "{\"dtype\": \"F32\", \"shape\": [108, 36], \"data_offsets\": [432, 15984]}"},
     SCRY_BAD_INPUT,
     MATRIX ": shape [108, 36]: expected [36, 108]"},
    {"wrong rank",
     {"gpt2", SET_TENSOR, MATRIX, "{\"dtype\": \"F32\", \"shape\": [36, 108, 1], \"data_offsets\": [432, 15984]}"},
     SCRY_BAD_INPUT,
     "shape [36, 108, 1]: expected [36, 108]"},
    {"tied model with its own unembedding", {"llama", SET_CONFIG, "tie_word_embeddings", "true"}, SCRY_OK, ""},
    {"biases that the config denies",
     {"llama_biases", SET_CONFIG, "mlp_bias", "false"},
     SCRY_BAD_INPUT,
     "not known to llama"},
    {"biases that only the config has",
     {"llama", SET_CONFIG, "attention_bias", "true"},
     SCRY_BAD_INPUT,
     "self_attn.q_proj.bias, which llama needs"},
    {"fewer layers than stored", {"gpt2", SET_CONFIG, "n_layer", "2"}, SCRY_BAD_INPUT, "transformer.h.2."},
    {"more layers than stored", {"gpt2", SET_CONFIG, "n_layer", "4"}, SCRY_BAD_INPUT, "no tensor transformer.h.3."},
    {"missing shard", {"llama_sharded", REMOVE, SHARD_1, NULL}, SCRY_BAD_INPUT, SHARD_1 ": No such file"},
    {"shard cut short", {"llama_sharded", TRUNCATE, SHARD_1, "-4"}, SCRY_BAD_INPUT, SHARD_1 ": tensor"},
    {"shard path that climbs",
     {"llama_sharded", SET_INDEX, "model.norm.weight", "\"../model.safetensors\""},
     SCRY_BAD_INPUT,
     "expected a plain file name"},
    {"absolute shard path",
     {"llama_sharded", SET_INDEX, "model.norm.weight", "\"/etc/passwd\""},
     SCRY_BAD_INPUT,
     "expected a plain file name"},
    {"shard called ..",
     {"llama_sharded", SET_INDEX, "model.norm.weight", "\"..\""},
     SCRY_BAD_INPUT,
     "expected a plain file name"},
    {"shard name not a string",
     {"llama_sharded", SET_INDEX, "model.norm.weight", "3"},
     SCRY_BAD_INPUT,
     "expected a file name"},
    {"tensor in the wrong shard",
     {"llama_sharded", SET_INDEX, "model.norm.weight", "\"" SHARD_1 "\""},
     SCRY_BAD_INPUT,
     "the weight_map says " SHARD_1 ", but it lies in"},
    {"tensor in no shard",
     {"llama_sharded", SET_INDEX, "spare", "\"" SHARD_1 "\""},
     SCRY_BAD_INPUT,
     "tensor spare: expected in " SHARD_1 ", found in no shard"},
    {"tensor not in the map",
     {"llama_sharded", SET_INDEX, "model.norm.weight", NULL},
     SCRY_BAD_INPUT,
     "is not in the weight_map"},
    {"index not JSON",
     {"llama_sharded", WRITE, "model.safetensors.index.json", "{"},
     SCRY_BAD_INPUT,
     "index.json: line 1"},
    {"index without a map",
     {"llama_sharded", WRITE, "model.safetensors.index.json", "{}"},
     SCRY_BAD_INPUT,
     "no key \"weight_map\""},
    {"index of nothing",
     {"llama_sharded", WRITE, "model.safetensors.index.json", "{\"weight_map\": {}}"},
     SCRY_BAD_INPUT,
     "no tensor"},
};

static const struct bad_case config_cases[] = {
    {"no config", {"gpt2", REMOVE, "config.json", NULL}, SCRY_BAD_INPUT, "config.json: No such file"},
    {"not JSON", {"gpt2", WRITE, "config.json", "model_type: gpt2"}, SCRY_BAD_INPUT, "config.json: line 1, column"},
    {"an array", {"gpt2", WRITE, "config.json", "[1]"}, SCRY_BAD_INPUT, "config.json: expected an object"},
    {"empty", {"gpt2", WRITE, "config.json", ""}, SCRY_BAD_INPUT, "config.json: line 1"},
    {"no model_type", {"gpt2", SET_CONFIG, "model_type", NULL}, SCRY_BAD_INPUT, "no key \"model_type\""},
    {"unknown family",
     {"gpt2", SET_CONFIG, "model_type", "\"mamba\""},
     SCRY_BAD_INPUT,
     "model_type \"mamba\" is not supported; known: gpt2"},
    {"another family's config",
     {"gpt2", SET_CONFIG, "model_type", "\"llama\""},
     SCRY_BAD_INPUT,
     "no key \"max_position_embeddings\""},
    {"no hidden size", {"gpt2", SET_CONFIG, "n_embd", NULL}, SCRY_BAD_INPUT, "no key \"n_embd\""},
    {"hidden size a string",
     {"gpt2", SET_CONFIG, "n_embd", "\"36\""},
     SCRY_BAD_INPUT,
     "key \"n_embd\": expected an integer"},
    {"negative layers", {"gpt2", SET_CONFIG, "n_layer", "-1"}, SCRY_BAD_INPUT, "key \"n_layer\": -1 is outside 1 to"},
    {"no heads", {"gpt2", SET_CONFIG, "n_head", "0"}, SCRY_BAD_INPUT, "key \"n_head\": 0 is outside 1 to"},
    {"huge vocabulary", {"gpt2", SET_CONFIG, "vocab_size", "4611686018427387904"}, SCRY_BAD_INPUT, "is outside 1 to"},
    {"huge layers",
     {"gpt2", SET_CONFIG, "n_layer", "2147483648"},
     SCRY_BAD_INPUT,
     "key \"n_layer\": 2147483648 is outside"},
    {"largest believable context",
     {"gpt2", SET_CONFIG, "n_positions", "268435456"},
     SCRY_BAD_INPUT,
     "wpe.weight: shape [40, 36]: expected [268435456, 36]"},
    {"heads that do not divide",
     {"gpt2", SET_CONFIG, "n_head", "5"},
     SCRY_BAD_INPUT,
     "hidden size 36: expected a multiple of the 5 heads"},
    {"groups that do not divide",
     {"llama", SET_CONFIG, "num_key_value_heads", "4"},
     SCRY_BAD_INPUT,
     "6 heads: expected a multiple of the 4 key/value heads"},
    {"more groups than heads",
     {"llama", SET_CONFIG, "num_key_value_heads", "12"},
     SCRY_BAD_INPUT,
     "6 heads: expected a multiple of the 12"},
    {"negative eps",
     {"llama", SET_CONFIG, "rms_norm_eps", "-1e-5"},
     SCRY_BAD_INPUT,
     "key \"rms_norm_eps\": -1e-05: expected a number above 0"},
    {"eps past f32",
     {"llama", SET_CONFIG, "rms_norm_eps", "1e39"},
     SCRY_BAD_INPUT,
     "key \"rms_norm_eps\": 1e+39: expected a number above 0"},
    {"eps not a number",
     {"llama", SET_CONFIG, "rms_norm_eps", "\"small\""},
     SCRY_BAD_INPUT,
     "key \"rms_norm_eps\": expected a number"},
    {"unknown activation",
     {"llama", SET_CONFIG, "hidden_act", "\"quick_gelu\""},
     SCRY_BAD_INPUT,
     "activation \"quick_gelu\" is not supported"},
    {"cross attention",
     {"gpt2", SET_CONFIG, "add_cross_attention", "true"},
     SCRY_BAD_INPUT,
     "key \"add_cross_attention\": true is not supported"},
    {"unscaled scores",
     {"gpt2", SET_CONFIG, "scale_attn_weights", "false"},
     SCRY_BAD_INPUT,
     "key \"scale_attn_weights\": false is not supported"},
    {"quantised",
     {"llama", SET_CONFIG, "quantization_config", "{\"bits\": 4}"},
     SCRY_BAD_INPUT,
     "key \"quantization_config\""},
    {"tie neither true nor false",
     {"llama", SET_CONFIG, "tie_word_embeddings", "1"},
     SCRY_BAD_INPUT,
     "key \"tie_word_embeddings\": expected true or false"},
    {"zero window",
     {"mistral", SET_CONFIG, "sliding_window", "0"},
     SCRY_BAD_INPUT,
     "key \"sliding_window\": 0 is outside 1 to"},
    {"layer types too short",
     {"qwen2_layer_types", SET_CONFIG, "layer_types", "[\"full_attention\"]"},
     SCRY_BAD_INPUT,
     "layer_types: 1 entries: expected 3"},
    {"unknown layer type",
     {"qwen2_layer_types", SET_CONFIG, "layer_types", "[\"full_attention\", \"mamba\", 3]"},
     SCRY_BAD_INPUT,
     "layer_types: entry 1: expected full_attention or"},
    {"end id not an id",
     {"llama", SET_CONFIG, "eos_token_id", "\"</s>\""},
     SCRY_BAD_INPUT,
     "eos_token_id: expected a token id or a list"},
    {"too many end ids",
     {"llama", SET_CONFIG, "eos_token_id", "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]"},
     SCRY_BAD_INPUT,
     "eos_token_id: 17 ids: expected at most 16"},
    {"generation config not JSON",
     {"llama", WRITE, "generation_config.json", "{"},
     SCRY_BAD_INPUT,
     "generation_config.json: line 1"},
    {"generation config an array",
     {"llama", WRITE, "generation_config.json", "[]"},
     SCRY_BAD_INPUT,
     "generation_config.json: expected an object"},
};

#define ROPE(value)                                                                                                    \
    {                                                                                                                  \
        "llama", SET_CONFIG, "rope_parameters", value                                                                  \
    }
#define FIVE(number) number "," number "," number "," number "," number
static const struct bad_case rope_cases[] = {
    {"unknown type", ROPE("{\"rope_type\": \"3d\", \"factor\": 2.0}"), SCRY_BAD_INPUT,
     "rope type \"3d\" is not supported"},
    {"unknown old type",
     {"llama_rope_linear", SET_CONFIG, "rope_scaling", "{\"type\": \"ntk\", \"factor\": 2.0}"},
     SCRY_BAD_INPUT,
     "rope type \"ntk\" is not supported"},
    {"not an object", ROPE("7"), SCRY_BAD_INPUT, "key \"rope_parameters\": expected an object"},
    {"no factor", ROPE("{\"rope_type\": \"linear\"}"), SCRY_BAD_INPUT, "rope scaling: no key \"factor\""},
    {"factor below 1", ROPE("{\"rope_type\": \"linear\", \"factor\": 0.5}"), SCRY_BAD_INPUT,
     "key \"factor\": 0.5: expected a number of at least 1"},
    {"factor a string", ROPE("{\"rope_type\": \"linear\", \"factor\": \"2\"}"), SCRY_BAD_INPUT,
     "key \"factor\": expected a number"},
    {"theta 0", ROPE("{\"rope_type\": \"default\", \"rope_theta\": 0}"), SCRY_BAD_INPUT,
     "key \"rope_theta\": 0: expected a number of at least 1"},
    {"by layer type", ROPE("{\"full_attention\": {\"rope_type\": \"default\"}}"), SCRY_BAD_INPUT,
     "rope: key \"full_attention\" is not supported"},
    {"multimodal", ROPE("{\"rope_type\": \"default\", \"mrope_section\": [1, 2]}"), SCRY_BAD_INPUT,
     "rope: key \"mrope_section\" is not supported"},
    {"odd rotary share", ROPE("{\"rope_type\": \"default\", \"partial_rotary_factor\": 0.3}"), SCRY_BAD_INPUT,
     "a rotary share of 0.3 of head size 10"},
    {"rotary share over 1", ROPE("{\"rope_type\": \"default\", \"partial_rotary_factor\": 2}"), SCRY_BAD_INPUT,
     "a rotary share of 2 of head size 10"},
    {"no rotary share", ROPE("{\"rope_type\": \"default\", \"partial_rotary_factor\": 0}"), SCRY_BAD_INPUT,
     "a rotary share of 0 of head size 10"},
    {"dynamic over two entries", ROPE("{\"rope_type\": \"dynamic\", \"factor\": 2.0, \"partial_rotary_factor\": 0.2}"),
     SCRY_BAD_INPUT, "dynamic scaling of 2 rotary entries"},
    {"llama3 without bands", ROPE("{\"rope_type\": \"llama3\", \"factor\": 8.0}"), SCRY_BAD_INPUT,
     "no key \"low_freq_factor\""},
    {"llama3 bands crossed",
     ROPE("{\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 4, \"high_freq_factor\": 4}"),
     SCRY_BAD_INPUT, "high_freq_factor 4: expected more than low_freq_factor 4"},
    {"longrope without factors", ROPE("{\"rope_type\": \"longrope\"}"), SCRY_BAD_INPUT, "no key \"short_factor\""},
    {"longrope factors too short", ROPE("{\"rope_type\": \"longrope\", \"short_factor\": [1], \"long_factor\": [1]}"),
     SCRY_BAD_INPUT, "key \"short_factor\": 1 numbers: expected 5"},
    {"longrope factor of 0",
     ROPE("{\"rope_type\": \"longrope\", \"short_factor\": [" FIVE("1.0") "], \"long_factor\": [" FIVE("0") "]}"),
     SCRY_BAD_INPUT, "key \"long_factor\": entry 0: expected a number above 0"},
    {"longrope",
     ROPE("{\"rope_type\": \"longrope\", \"short_factor\": [" FIVE("1.0") "], \"long_factor\": [" FIVE("4.0") "]}"),
     SCRY_OK, ""},
};

static void run_cases(const struct bad_case *cases, size_t count)
{
    scry_device        *device  = NULL;
    scry_device_options options = {.name = "reference"};
    cr_assert_eq(scry_device_open(&device, &options), SCRY_OK, "%s", scry_last_error());
    for (size_t i = 0; i < count; i++) {
        char        path[CHECKPOINT_PATH];
        scry_model *model = NULL;
        checkpoint_make(path, &cases[i].edit);
        scry_status status = scry_model_open(&model, device, path, NULL);
        cr_expect_eq(status, cases[i].status, "%s: %s: %s", cases[i].name, scry_status_text(status), scry_last_error());
        if (status)
            cr_expect(strstr(scry_last_error(), cases[i].message), "%s: the message is \"%s\", expected \"%s\" in it",
                      cases[i].name, scry_last_error(), cases[i].message);
        cr_expect_eq(model != NULL, status == SCRY_OK, "%s: the model", cases[i].name);
        scry_model_destroy(&model);
        checkpoint_remove(path);
    }
    scry_device_destroy(&device);
}

#define RUN(cases) run_cases(cases, sizeof(cases) / sizeof *(cases))

Test(bad_checkpoint, safetensors__is_refused_with_the_place)
{
    RUN(safetensors_cases);
}

Test(bad_checkpoint, tensors__are_refused_by_name)
{
    RUN(tensor_cases);
}

Test(bad_checkpoint, config__is_refused_by_key)
{
    RUN(config_cases);
}

Test(bad_checkpoint, rope__is_refused_by_key)
{
    RUN(rope_cases);
}

Test(bad_checkpoint, path__that_is_no_checkpoint_is_refused)
{
    scry_device        *device  = NULL;
    scry_model         *model   = NULL;
    scry_device_options options = {.name = "reference"};
    cr_assert_eq(scry_device_open(&device, &options), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(scry_model_open(&model, device, "/nonexistent/model", NULL), SCRY_BAD_INPUT);
    cr_expect_eq(scry_model_open(&model, device, FIXTURES "/gpt2/config.json", NULL), SCRY_BAD_INPUT);
    cr_expect_eq(scry_model_open(&model, device, NULL, NULL), SCRY_BAD_ARGUMENT);
    cr_expect_eq(scry_model_open(&model, NULL, FIXTURES "/gpt2", NULL), SCRY_BAD_ARGUMENT);
    cr_expect_null(model);
    scry_device_destroy(&device);
}
