/* Edits as text, with values from files and from other prompts, in traces, the lens and generation. */
#include "fixture.h"
#include "refusals.h"
#include "report/npz.h"
#include "scry/scry.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEMO SCRY_SOURCE_DIR "/models/demo"

static const char capital[] = "The capital of France is", city[] = "The capital of Italy is";

static scry_device *device;
static scry_model  *demo;
static char         path[64];

static void open_demo(void)
{
    snprintf(path, sizeof path, "/tmp/scry-edit-%ld", (long)getpid());
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "cpu"}), SCRY_OK);
    cr_assert_eq(scry_model_open(&demo, device, DEMO, NULL), SCRY_OK, "%s", scry_last_error());
}

static void close_demo(void)
{
    unlink(path);
    scry_model_destroy(&demo);
    scry_device_destroy(&device);
}

TestSuite(edit_text, .init = open_demo, .fini = close_demo);

static void write_text(const char *text)
{
    FILE *file = fopen(path, "w");
    cr_assert(file && fputs(text, file) >= 0);
    fclose(file);
}

static scry_edits *parse(const char *text)
{
    scry_edits *edits = NULL;
    cr_assert_eq(scry_edits_parse(&edits, demo, &text, 1), SCRY_OK, "%s: %s", text, scry_last_error());
    return edits;
}

/* Edit text about the file at `path`. */
static scry_edits *parse_with_file(const char *before, const char *after)
{
    char text[256];
    snprintf(text, sizeof text, "%s%s%s", before, path, after);
    return parse(text);
}

static scry_trace *trace_of(const char *prompt, const char *hooks, const scry_edits *edits)
{
    scry_trace *trace = NULL;
    cr_assert_eq(scry_trace_run(&trace, demo, prompt, &(scry_trace_options){.hooks = hooks, .edits = edits}), SCRY_OK,
                 "%s", scry_last_error());
    return trace;
}

static size_t size_of(const scry_capture *capture)
{
    size_t size = 1;
    for (int axis = 0; axis < capture->rank; axis++) size *= (size_t)capture->shape[axis];
    return size;
}

static void expect_same(const char *what, const scry_trace *found, const scry_trace *expected)
{
    cr_assert_eq(size_of(found->captures), size_of(expected->captures), "%s", what);
    cr_expect_arr_eq(found->captures[0].data, expected->captures[0].data, size_of(found->captures) * sizeof(float),
                     "%s", what);
}

Test(edit_text, text__says_what_is_edited)
{
    static const struct {
        const char    *text;
        int            count;
        const char    *first;
        scry_edit_kind kind;
        uint64_t       heads;
        scry_range     positions, keys;
        float          factor;
    } all[] = {
        {"hook_embed=zero", 1, "hook_embed", SCRY_EDIT_ZERO, 0, {0}, {0}, 0},
        {"blocks.1.attn.hook_z[head=2,pos=2:6]=zero", 1, "blocks.1.attn.hook_z", SCRY_EDIT_ZERO, 4, {2, 6}, {0}, 0},
        {"blocks.*.hook_mlp_out=scale:0.5", -1, "blocks.0.hook_mlp_out", SCRY_EDIT_SCALE, 0, {0}, {0}, 0.5f},
        {"blocks.0-1.attn.hook_q[head=0,2-3]=scale:-1", 2, "blocks.0.attn.hook_q", SCRY_EDIT_SCALE, 13, {0}, {0}, -1},
        {"hook_embed[pos=4:]=zero", 1, "hook_embed", SCRY_EDIT_ZERO, 0, {4, 0}, {0}, 0},
        {"blocks.1,0.attn.hook_pattern[pos=4,key=0:2,head=1]=zero",
         2,
         "blocks.0.attn.hook_pattern",
         SCRY_EDIT_ZERO,
         2,
         {4, 5},
         {0, 2},
         0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        scry_edits      *edits = parse(all[i].text);
        const scry_edit *first = edits->edits;
        int              count = all[i].count < 0 ? scry_model_get_info(demo)->layer_count : all[i].count;
        cr_expect_eq(edits->count, count, "%s: %d edits", all[i].text, edits->count);
        cr_expect_str_eq(first->hook, all[i].first);
        cr_expect_eq(first->kind, all[i].kind, "%s", all[i].text);
        cr_expect_eq(first->heads[0], all[i].heads, "%s", all[i].text);
        cr_expect_eq(first->factor, all[i].factor, "%s", all[i].text);
        cr_expect(first->positions.begin == all[i].positions.begin && first->positions.end == all[i].positions.end,
                  "%s", all[i].text);
        cr_expect(first->keys.begin == all[i].keys.begin && first->keys.end == all[i].keys.end, "%s", all[i].text);
        scry_edits_destroy(&edits);
    }
}

Test(edit_text, mistake__is_named_with_its_place)
{
    static const struct {
        const char *text, *message;
    } all[] = {
        {"", "no hook point of this"},
        {"hook_embed", "at \"\": expected = and what to do"},
        {"blocks.0.hook_nothing=zero", "there are: "},
        {"blocks.99.hook_mlp_out=zero", "there is no layer 99"},
        {"blocks.x.hook_mlp_out=zero", "layer list \"x\""},
        {"blocks.0.attn.stat_lse=zero", "can be seen, not edited"},
        {"blocks.0.attn.hook_z[]=zero", "at \"]=zero\": expected head="},
        {"blocks.0.attn.hook_z[head=99]=zero", "there is no head 99"},
        {"blocks.0.attn.hook_z[head=1,]=zero", "head list \"1,\""},
        {"blocks.0.attn.hook_z[pos=3:3]=zero", "at \"pos=3:3]=zero\": expected pos=A:B with A < B"},
        {"blocks.0.attn.hook_z[key=x]=zero", "expected key=A:B"},
        {"blocks.0.attn.hook_pattern[key=3:]=zero", "expected key=A:B"},
        {"blocks.0.attn.hook_z[head=1=zero", "head list \"1=zero\""},
        {"blocks.0.attn.hook_z[head=1]zero", "at \"zero\": expected = and"},
        {"hook_embed=nothing", "at \"nothing\": expected zero, scale:X"},
        {"hook_embed=zero:1", "expected zero, scale:X"},
        {"hook_embed=scale:", "expected zero, scale:X"},
        {"hook_embed=scale:1x", "at \"1x\": expected a number"},
        {"hook_embed=scale:inf", "at \"inf\": expected a number"},
        {"hook_embed=add:F.npy*", "at \"\": expected a number"},
        {"hook_embed=add:/nowhere.npy", "/nowhere.npy"},
        {"hook_embed=mean:/nowhere.txt", "/nowhere.txt"},
        {"hook_embed=resample:F#x", "expected a whole number behind #"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        scry_edits *edits = NULL;
        char        begin[128];
        snprintf(begin, sizeof begin, "edit \"%s\": ", all[i].text);
        cr_expect_neq(scry_edits_parse(&edits, demo, &all[i].text, 1), SCRY_OK, "%s", all[i].text);
        cr_expect(strstr(scry_last_error(), all[i].message) && !strncmp(scry_last_error(), begin, strlen(begin)),
                  "%s: %s", all[i].text, scry_last_error());
        cr_expect_null(edits);
    }
}

/* Every array of a trace of another prompt, put in its place: here of blocks 1 on, whose stream gives the logits. */
Test(edit_text, array_file__is_read_as_a_trace_has_it)
{
    scry_trace *other = trace_of(city, "blocks.1.hook_resid_pre,logits", NULL);
    scry__npz  *npz   = NULL;
    cr_assert_eq(other->tokens->count, 6, "%d", other->tokens->count);
    cr_assert_eq(scry__npz_open(&npz, path), SCRY_OK, "%s", scry_last_error());
    for (int i = 0; i < other->count; i++) cr_assert_eq(scry__npz_add_capture(npz, &other->captures[i]), SCRY_OK);
    cr_assert_eq(scry__npz_commit(&npz), SCRY_OK);
    scry_edits *edits   = parse_with_file("blocks.1.hook_resid_pre=replace:", "");
    scry_trace *patched = trace_of(capital, "logits", edits), *logits = trace_of(city, "logits", NULL);
    expect_same("another prompt's stream", patched, logits);
    scry_edits_destroy(&edits);
    scry_trace_destroy(&patched);

    /* x + 1 v - 1 v is x but for rounding, and x + 0 v is x. */
    edits   = parse_with_file("blocks.1.hook_resid_pre=add:", "*0");
    patched = trace_of(city, "logits", edits);
    expect_same("0 times a vector", patched, logits);
    scry_edits_destroy(&edits);
    scry_trace_destroy(&patched);
    scry_trace_destroy(&logits);
    scry_trace_destroy(&other);
}

/* A vector from an .npy holds for every position; two of them for heads. */
Test(edit_text, vector__holds_everywhere)
{
    static const char head[] = "\x93NUMPY\1\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (%d,), }";
    char              header[129];
    int               size   = scry_model_get_info(demo)->hidden_size;
    float            *vector = malloc((size_t)size * sizeof *vector);
    memset(header, ' ', sizeof header);
    memcpy(header, head, 10);
    header[10 + snprintf(header + 10, sizeof header - 10, head + 10, size)] = ' ';
    header[127]                                                             = '\n';
    for (int i = 0; i < size; i++) vector[i] = 0.25f * (float)(i % 7 - 3);
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(header, 1, 128, file) == 128 && fwrite(vector, 4, (size_t)size, file) == (size_t)size);
    fclose(file);
    scry_edits  *edits  = parse_with_file("blocks.0.hook_resid_post[pos=2:4]=add:", "*2");
    scry_trace  *plain  = trace_of(capital, "blocks.0.hook_resid_post", NULL);
    scry_trace  *moved  = trace_of(capital, "blocks.0.hook_resid_post", edits);
    const float *before = plain->captures[0].data, *after = moved->captures[0].data;
    for (int i = 0; i < plain->tokens->count * size; i++) {
        bool  inside   = i / size == 2 || i / size == 3;
        float expected = inside ? before[i] + 2.0f * vector[i % size] : before[i];
        cr_expect_eq(after[i], expected, "%d: %g, expected %g", i, (double)after[i], (double)expected);
    }
    scry_trace_destroy(&moved);
    scry_trace_destroy(&plain);
    scry_edits_destroy(&edits);
    free(vector);
}

/* The mean of a prompt with itself is that prompt, and the only prompt to resample from is the one that is drawn. */
Test(edit_text, samples__of_one_prompt_are_that_prompt)
{
    static const char *const forms[] = {"blocks.0.hook_resid_pre=mean_at:", "blocks.0.hook_resid_pre=resample:"};
    scry_trace              *logits  = trace_of(city, "logits", NULL);
    write_text("The capital of Italy is\r\n\nThe capital of Italy is");
    for (int i = 0; i < 2; i++) {
        scry_edits *edits   = parse_with_file(forms[i], i ? "#7" : "");
        scry_trace *patched = trace_of(capital, "logits", edits);
        expect_same(forms[i], patched, logits);
        scry_trace_destroy(&patched);
        scry_edits_destroy(&edits);
    }
    scry_trace_destroy(&logits);
}

/* Over all positions of prompts of two lengths, against the sum taken here. */
Test(edit_text, mean__is_over_positions_and_prompts)
{
    static const char *const prompts[] = {capital, "The capital of"};
    static const char        hook[]    = "blocks.1.attn.hook_z";
    size_t  row  = (size_t)scry_model_get_info(demo)->head_count * (size_t)scry_model_get_info(demo)->head_size;
    double *sum  = calloc(row, sizeof *sum);
    int     rows = 0;
    for (int i = 0; i < 2; i++) {
        scry_trace *trace = trace_of(prompts[i], hook, NULL);
        for (size_t j = 0; j < size_of(trace->captures); j++)
            sum[j % row] += (double)((float *)trace->captures[0].data)[j];
        rows += trace->tokens->count;
        scry_trace_destroy(&trace);
    }
    scry_edit edit = {.hook = hook};
    cr_assert_eq(scry_edit_fill(&edit, 1, demo, &(scry_edit_source){.prompts = prompts, .prompt_count = 2}), SCRY_OK,
                 "%s", scry_last_error());
    cr_expect(edit.kind == SCRY_EDIT_REPLACE && edit.values.rows == 1);
    for (size_t j = 0; j < row; j++) cr_expect_eq(edit.values.data[j], (float)(sum[j] / rows), "%zu", j);
    scry_free((void *)edit.values.data);
    free(sum);
}

Test(edit_text, samples__of_ids_are_those_of_their_text)
{
    static const char *const prompts[] = {capital};
    scry_tokens             *tokens    = NULL;
    cr_assert_eq(scry_tokens_create(&tokens, demo, capital, NULL, 0), SCRY_OK);
    for (int sample = 0; sample < SCRY_EDIT_SAMPLE_COUNT; sample++) {
        const scry_edit_source by_text = {.sample = (scry_edit_sample)sample, .prompts = prompts, .prompt_count = 1};
        const scry_edit_source by_ids  = {
             .sample = (scry_edit_sample)sample, .ids = tokens->ids, .id_count = tokens->count};
        scry_edit text = {.hook = "blocks.1.hook_mlp_out"}, ids = text;
        cr_assert_eq(scry_edit_fill(&text, 1, demo, &by_text), SCRY_OK, "%s", scry_last_error());
        cr_assert_eq(scry_edit_fill(&ids, 1, demo, &by_ids), SCRY_OK, "%s", scry_last_error());
        size_t size = (size_t)ids.values.rows * (size_t)ids.values.columns;
        cr_expect_eq(ids.values.rows, sample == SCRY_EDIT_SAMPLE_MEAN ? 1 : tokens->count);
        cr_expect(!memcmp(ids.values.data, text.values.data, size * sizeof *ids.values.data), "%d", sample);
        scry_free((void *)text.values.data);
        scry_free((void *)ids.values.data);
    }
    scry_tokens_destroy(&tokens);
}

Test(edit_text, samples__that_cannot_be_are_refused)
{
    static const char *const prompts[] = {capital, "The capital of"};
    static const struct {
        const char      *hook;
        scry_edit_sample sample;
        int              count;
        const char      *message;
    } all[] = {
        {"hook_embed", SCRY_EDIT_SAMPLE_MEAN, 0, "from 0 prompts"},
        {"hook_embed", SCRY_EDIT_SAMPLE_MEAN_AT, 2, "expected 6 as the first"},
        {"blocks.0.attn.hook_pattern", SCRY_EDIT_SAMPLE_MEAN, 2, "no mean over positions"},
        {"blocks.0.nothing", SCRY_EDIT_SAMPLE_MEAN, 2, "no hook point"},
        {"logits", SCRY_EDIT_SAMPLE_MEAN, 2, "can be seen"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        scry_edit edit = {.hook = all[i].hook};
        cr_expect_neq(scry_edit_fill(&edit, 1, demo,
                                     &(scry_edit_source){
                                         .sample = all[i].sample, .prompts = prompts, .prompt_count = all[i].count}),
                      SCRY_OK);
        cr_expect(strstr(scry_last_error(), all[i].message), "%s: %s", all[i].message, scry_last_error());
        cr_expect(!edit.values.data && edit.kind == SCRY_EDIT_ZERO);
    }
}

static int largest_of(const float *values, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        if (values[i] > values[best]) best = i;
    return best;
}

/* Generation and the lens see what a trace of the same edits sees; of tokens generated too. */
static void check_everywhere(const char *text)
{
    scry_edits      *edits      = parse(text);
    scry_generation *generation = NULL;
    scry_lens       *lens       = NULL;
    int              vocabulary = scry_model_get_info(demo)->vocabulary, prompt;
    int32_t          ids[32];
    cr_assert_eq(scry_generate(&generation, demo, capital,
                               &(scry_generation_options){.max_tokens = 4, .ignore_end = true, .edits = edits}),
                 SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_lens_run(&lens, demo, capital, &(scry_lens_options){.edits = edits}), SCRY_OK);
    prompt = generation->prompt->count;
    memcpy(ids, generation->prompt->ids, (size_t)prompt * sizeof *ids);
    for (int i = 0; i < 4; i++) ids[prompt + i] = generation->steps[i].chosen.id;
    scry_trace *trace = NULL, *plain = trace_of(capital, "logits", NULL);
    cr_assert_eq(
        scry_trace_run(&trace, demo, NULL,
                       &(scry_trace_options){.ids = ids, .id_count = prompt + 4, .hooks = "logits", .edits = edits}),
        SCRY_OK);
    const float *logits = trace->captures[0].data;
    for (int i = 0; i < 4; i++) {
        const float *row = logits + (size_t)(prompt - 1 + i) * (size_t)vocabulary;
        cr_expect_eq(generation->steps[i].chosen.id, largest_of(row, vocabulary), "step %d", i);
        cr_expect(fabsf(generation->steps[i].chosen.logit - row[generation->steps[i].chosen.id]) < 1e-3f, "step %d", i);
    }
    const scry_lens_cell *last = scry_lens_at(lens, lens->layer_count - 1, prompt - 1);
    size_t                row  = (size_t)(prompt - 1) * (size_t)vocabulary;
    cr_expect_eq(last->top[0].id, largest_of(logits + row, vocabulary));
    cr_expect(memcmp((const float *)plain->captures[0].data + row, logits + row, (size_t)vocabulary * sizeof *logits),
              "the edit has no effect");
    scry_trace_destroy(&plain);
    scry_trace_destroy(&trace);
    scry_lens_destroy(&lens);
    scry_generation_destroy(&generation);
    scry_edits_destroy(&edits);
}

Test(edit_text, edits__are_the_same_in_generation_lens_and_trace)
{
    check_everywhere("blocks.1.hook_mlp_out=scale:-1");
    check_everywhere("blocks.*.hook_resid_pre[pos=0:2]=scale:-3");
    check_everywhere("blocks.1.hook_mlp_out[pos=3:]=scale:-1");
    check_everywhere("blocks.0.attn.hook_pattern[head=1]=scale:0.5");
    check_everywhere("blocks.*.attn.hook_pattern[key=0]=zero");
}

Test(edit_text, final_norm__is_edited_in_traces_alone)
{
    scry_edits      *edits      = parse("ln_final.hook_normalized=zero");
    scry_generation *generation = NULL;
    scry_lens       *lens       = NULL;
    cr_expect_eq(scry_generate(&generation, demo, capital, &(scry_generation_options){.edits = edits}),
                 SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "not on the way here"), "%s", scry_last_error());
    cr_expect_eq(scry_lens_run(&lens, demo, capital, &(scry_lens_options){.edits = edits}), SCRY_BAD_ARGUMENT);
    scry_edits_destroy(&edits);
}

Test(edit_text, memory__may_be_refused_anywhere)
{
    static const char *const texts[]  = {"blocks.*.attn.hook_z[head=1]=zero", "hook_embed=scale:2"};
    struct refusals          refusals = {0};
    while (refusals_next(&refusals)) {
        scry_edits *edits  = NULL;
        scry_status status = scry_edits_parse(&edits, demo, texts, 2);
        refusals_check(&refusals, status, edits != NULL);
        scry_edits_destroy(&edits);
    }
    cr_expect_gt(refusals.refused, 10);
}

/* What TransformerLens computes with hooks that do the same, at position 5 and at the last one. */
static void check_hooks(const char *device_name, const char *name)
{
    struct fixture     f;
    char               file[600];
    scry__safetensors *expected = NULL;
    fixture_open(&f, device_name, name);
    snprintf(file, sizeof file, "%s/edits.safetensors", f.path);
    cr_assert_eq(scry__safetensors_open(&expected, file), SCRY_OK, "%s", scry_last_error());
    cr_expect_gt(expected->count, 10);
    for (int i = 0; i < expected->count; i++) {
        const char  *text  = expected->tensors[i].name;
        const float *rows  = (const float *)(const void *)expected->tensors[i].data;
        size_t       size  = (size_t)expected->tensors[i].shape[1];
        scry_edits  *edits = NULL;
        scry_trace  *trace = NULL;
        cr_assert_eq(scry_edits_parse(&edits, f.model, &text, 1), SCRY_OK, "%s", scry_last_error());
        cr_assert_eq(scry_trace_run(&trace, f.model, NULL,
                                    &(scry_trace_options){
                                        .ids = f.ids, .id_count = f.id_count, .hooks = "logits", .edits = edits}),
                     SCRY_OK, "%s", scry_last_error());
        const float *logits = trace->captures[0].data;
        double       early  = largest_difference(logits + 5 * size, rows, size);
        double       late   = largest_difference(logits + (size_t)(f.id_count - 1) * size, rows + size, size);
        cr_expect(early <= PROMISE && late <= PROMISE, "%s: %s: differs by %g at position 5, by %g at the last", name,
                  text, early, late);
        scry_trace_destroy(&trace);
        scry_edits_destroy(&edits);
    }
    scry__safetensors_close(&expected);
    fixture_close(&f);
}

Test(edit_text, edits__are_what_hooks_of_transformer_lens_do)
{
    static const char *const names[] = {"gpt2", "qwen3"};
    for (int i = 0; i < 2; i++) {
        check_hooks("reference", names[i]);
        check_hooks("cpu", names[i]);
    }
}
