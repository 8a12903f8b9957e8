/* Tests of core/report/json_out: schemas, keys, numbers. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/json_build.h"
#include "report/json_out.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static int32_t           ids[]    = {5, 9};
static char             *texts[]  = {(char *)"The", (char *)" \"cat\"\n"};
static const scry_tokens tokens   = {2, ids, texts};
static scry_candidate    lines[4] = {{7, 2.5f, 0.1f, (char *)" sat"},
                                     {8, 1, 1e-30f, (char *)"\xff"},
                                     {7, 2.5f, 0.3f, (char *)" sat"},
                                     {9, NAN, INFINITY, NULL}};
static scry_lens_cell    cells[4] = {{&lines[0], 1, 2, 0.5f, 7, 0, 2.5f, -1.5f},
                                     {&lines[1], 1, 2, 0.5f, -1, -1, 0, 0},
                                     {&lines[2], 1, 2, 0, 7, 0, 2.5f, -1.5f},
                                     {&lines[3], NAN, INFINITY, 0, -1, -1, 0, 0}};

static const scry_model_info model = {
    .family = "llama", .path = "models/demo", .layer_count = 1, .weight_dtype = SCRY_BF16};
static const scry_device_info  device = {.name = "cpu:0", .backend = "cpu", .type = SCRY_DEVICE_CPU};
static const scry__json_source source = {.model = &model, .device = &device, .last_fallback = ""};

static char *text_of(json_t *object)
{
    scry__text text = {0};
    scry__json_dump(&text, object, false);
    cr_assert_eq(text.status, SCRY_OK);
    json_decref(object);
    return text.data;
}

/* The keys of an object in order, joined by commas. */
static const char *keys_of(json_t *object)
{
    static char joined[512];
    const char *key;
    json_t     *value;
    *joined = 0;
    json_object_foreach(object, key, value)
    {
        if (*joined) strcat(joined, ",");
        strcat(joined, key);
    }
    return joined;
}

Test(json_out, lens__has_its_schema_and_keys)
{
    scry_lens lens   = {(scry_tokens *)&tokens, 2, 2, 1, cells, lines, NULL, 0, false};
    json_t   *object = NULL;
    cr_assert_eq(scry__json_lens(&object, &lens, &source), SCRY_OK);
    cr_expect_str_eq(keys_of(object),
                     "schema,version,model,device,edits,tokens,tuned,layer_count,token_count,top_count,layers");
    cr_expect_str_eq(json_string_value(json_object_get(object, "schema")), "scry.lens/1");
    json_t *layer = json_array_get(json_object_get(object, "layers"), 1);
    json_t *cell  = json_array_get(json_object_get(layer, "positions"), 0);
    cr_expect_str_eq(keys_of(cell), "position,top,entropy,lse,kl,target");
    cr_expect_str_eq(keys_of(json_array_get(json_object_get(cell, "top"), 0)), "id,text,logit,probability");
    cr_expect_str_eq(keys_of(json_object_get(cell, "target")), "id,text,rank,logit,log_probability");
    cr_expect_str_eq(keys_of(json_object_get(object, "device")),
                     "name,backend,description,driver,type,memory_bytes,max_buffer_bytes,shared_bytes,subgroup_size,"
                     "compute_units,fallbacks,last_fallback");
    cr_expect_str_eq(keys_of(json_object_get(object, "model")),
                     "family,path,layer_count,head_count,kv_head_count,head_size,hidden_size,mlp_size,vocabulary,"
                     "context,weight_dtype,parameter_count,weight_bytes,streamed,random_seed");
    json_decref(object);
}

Test(json_out, numbers_and_texts__come_back)
{
    scry_lens lens   = {(scry_tokens *)&tokens, 2, 2, 1, cells, lines, NULL, 0, false};
    json_t   *object = NULL, *back;
    cr_assert_eq(scry__json_lens(&object, &lens, NULL), SCRY_OK);
    char *text = text_of(object);
    cr_expect(strstr(text, "\"probability\":0.100000001"), "%s", text);
    cr_expect(strstr(text, "\"text\":\" \\\"cat\\\"\\n\""));
    cr_expect(strstr(text, "\"text\":\"\xef\xbf\xbd\""), "bytes that are no UTF-8 are repaired");
    cr_expect(strstr(text, "{\"id\":9,\"text\":null,\"logit\":null,\"probability\":null}"));
    cr_expect(!strstr(text, "nan") && !strstr(text, "inf"));
    back = json_loads(text, 0, NULL);
    json_t *position =
        json_array_get(json_object_get(json_array_get(json_object_get(back, "layers"), 0), "positions"), 1);
    json_t *top = json_array_get(json_object_get(position, "top"), 0);
    cr_expect_eq((float)json_real_value(json_object_get(top, "probability")), 1e-30f);
    json_decref(back);
    scry__free(text);
}

Test(json_out, generation_trace_attention_devices_error__have_their_keys)
{
    json_t         *object;
    float           halves[]   = {0.5f, 0.5f};
    scry_tempered   tempered   = {2, 0.7f, SCRY_SURENESS_USUAL, halves};
    scry_step       step       = {lines[0], lines, 1, 2, SCRY_SURENESS_TOO_FLAT, &tempered};
    scry_generation generation = {(scry_tokens *)&tokens, 1, 2, 1, &step, (char *)" sat", "length"};
    cr_assert_eq(scry__json_generation(&object, &generation, &source), SCRY_OK);
    cr_expect_str_eq(keys_of(object), "schema,version,model,device,edits,tokens,steps,text,stop_reason");
    cr_expect_str_eq(keys_of(json_array_get(json_object_get(object, "steps"), 0)),
                     "step,chosen,top,entropy,lse,flag,temperatures");
    char *steps = text_of(object);
    cr_expect(strstr(steps, "\"flag\":\"too flat\",\"temperatures\":[{\"temperature\":2.0,\"entropy\":0.699999988,"
                            "\"flag\":null,\"probabilities\":[0.5,0.5]}]"),
              "%s", steps);
    scry__free(steps);

    float        data[]    = {1, -INFINITY, 4, 1};
    scry_capture capture[] = {{(char *)"blocks.0.hook_x", 0, SCRY_F32, 2, {2, 2}, data},
                              {(char *)"logits", -1, SCRY_F32, 1, {9}, NULL}};
    scry_trace   trace     = {(scry_tokens *)&tokens, 2, capture};
    cr_assert_eq(scry__json_trace(&object, &trace, "x.npz", &source), SCRY_OK);
    cr_expect_str_eq(keys_of(object), "schema,version,model,device,edits,tokens,output,captures");
    char *text = text_of(object);
    cr_expect(strstr(text,
                     "{\"name\":\"blocks.0.hook_x\",\"layer\":0,\"dtype\":\"f32\",\"shape\":[2,2],\"minimum\":1.0,"
                     "\"mean\":2.0,\"maximum\":4.0,\"not_finite\":1}"),
              "%s", text);
    cr_expect(strstr(text, "{\"name\":\"logits\",\"layer\":null,\"dtype\":\"f32\",\"shape\":[9],\"minimum\":null,"
                           "\"mean\":null,\"maximum\":null,\"not_finite\":null}"),
              "%s", text);
    scry__free(text);

    scry__view_tile tile = {3, 1, data};
    scry__view      view = {SCRY__VIEW_HEADS, (scry_tokens *)&tokens, {0, 2}, {0, 2}, 1, &tile, NULL, NULL};
    cr_assert_eq(scry__json_attention(&object, &view, &source), SCRY_OK);
    cr_expect_str_eq(keys_of(object),
                     "schema,version,model,device,edits,tokens,view,query_begin,query_count,key_begin,key_count,heads");
    text = text_of(object);
    cr_expect(strstr(text, "{\"layer\":3,\"head\":1,\"pattern\":[[1.0,null],[4.0,1.0]]}"), "%s", text);
    scry__free(text);
    view.queries.end = view.keys.end = 100000;
    cr_expect_eq(scry__json_attention(&object, &view, &source), SCRY_BAD_ARGUMENT);

    scry_device_entry entry   = {.info           = device,
                                 .usable         = true,
                                 .reason         = "chosen",
                                 .kernels        = {[SCRY_OP_MATMUL] = "tile,library", [SCRY_OP_LENS] = "group"},
                                 .properties     = {{"subgroups", "8, proved"}},
                                 .property_count = 1,
                                 .tuning         = {.classes = 15, .choices = 2, .date = "today", .file = "f.json"}};
    scry_device_list  devices = {1, &entry};
    cr_assert_eq(scry__json_devices(&object, &devices), SCRY_OK);
    cr_expect_str_eq(keys_of(object), "schema,version,devices");
    text = text_of(object);
    cr_expect(
        strstr(text,
               "\"reason\":\"chosen\",\"kernels\":{\"matmul\":[\"tile\",\"library\"],\"lens\":[\"group\"]},"
               "\"properties\":{\"subgroups\":\"8, proved\"},"
               "\"tuning\":{\"classes\":15,\"choices\":2,\"date\":\"today\",\"file\":\"f.json\",\"reason\":null}}"),
        "%s", text);
    scry__free(text);

    scry__fail(SCRY_BAD_INPUT, "x: \xff");
    cr_assert_eq(scry__json_error(&object, SCRY_BAD_INPUT), SCRY_OK);
    cr_expect_str_eq(keys_of(object), "schema,version,status,exit_code,detail");
    cr_expect_eq(json_integer_value(json_object_get(object, "exit_code")), 3);
    json_decref(object);
}
