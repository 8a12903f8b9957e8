/* Forward passes of a model: how long one takes, and what the device is handed for it. See bench_measure.h. */
#include "cli/bench_measure.h"

#include "base/alloc.h"
#include "model/forward.h"

#include <stdio.h>
#include <string.h>

enum { PROMPT = 64, SAMPLES_LEAST = 5, SAMPLES_MOST = 200 };

/* `count` tokens behind `length` that the session has seen. */
struct pass {
    scry_device   *device;
    scry__session *session;
    const int32_t *ids;
    int            length, count;
};

static scry_status run_pass(const struct pass *pass, double *seconds)
{
    scry__session_rewind(pass->session, pass->length);
    double      start  = bench_now();
    scry_status status = scry__session_forward(pass->session, pass->ids, pass->count, NULL);
    if (!status) status = scry_device_finish(pass->device);
    *seconds = bench_now() - start;
    return status;
}

/* The first pass warms up; the second is counted; then samples. */
static scry_status measure_pass(scry__bench_pass *record, const struct pass *pass, const struct bench_effort *effort)
{
    scry_device_statistics before, after;
    double                 samples[SAMPLES_MOST], spent = 0;
    int                    count = 0, wanted = effort->repeats ? effort->repeats : SAMPLES_LEAST;
    scry_status            status = run_pass(pass, &samples[0]);
    scry_device_get_statistics(pass->device, &before);
    if (!status) status = run_pass(pass, &samples[0]);
    scry_device_get_statistics(pass->device, &after);
    while (!status && count < SAMPLES_MOST && (count < wanted || (!effort->repeats && spent < effort->seconds))) {
        status = run_pass(pass, &samples[count]);
        spent += samples[count++];
    }
    if (status) return status;
    record->tokens      = pass->count;
    record->times       = scry__bench_times_of(samples, count, 1);
    record->dispatches  = (int64_t)(after.dispatches - before.dispatches);
    record->barriers    = (int64_t)(after.barriers - before.barriers);
    record->submissions = (int64_t)(after.submissions - before.submissions);
    return SCRY_OK;
}

/* One more pass in the record; where the checkpoint lies is nobody's business. */
static scry__bench_pass *add_pass(scry__bench_device *record, const char *name, const char *path)
{
    scry__bench_pass *pass  = &record->passes[record->pass_count++];
    const char       *slash = strrchr(path, '/');
    snprintf(pass->name, sizeof pass->name, "%s", name);
    snprintf(pass->model, sizeof pass->model, "%s", slash && slash[1] ? slash + 1 : path);
    return pass;
}

/* The prompt, then one more token behind it, as in generation. */
static scry_status measure_passes(scry__bench_device *record, struct pass *pass, const char *path,
                                  const struct bench_effort *effort)
{
    scry_status status = measure_pass(add_pass(record, "prompt", path), pass, effort);
    pass->length       = pass->count;
    pass->count        = 1;
    return status ? status : measure_pass(add_pass(record, "next", path), pass, effort);
}

scry_status bench_measure_passes(const struct bench_target *target, const char *path, const struct bench_effort *effort)
{
    int32_t     ids[PROMPT];
    scry_model *model  = NULL;
    struct pass pass   = {.device = target->device, .ids = ids};
    scry_status status = scry_model_open(&model, target->device, path, NULL);
    if (!status) {
        const scry_model_info *info = scry_model_get_info(model);
        pass.count                  = info->context > PROMPT ? PROMPT : info->context - 1;
        for (int i = 0; i < pass.count; i++) ids[i] = i % info->vocabulary;
        status = scry__session_create(&pass.session, model,
                                      &(scry__session_options){.capacity = pass.count + 1, .keep_cache = true});
    }
    if (!status) status = measure_passes(target->record, &pass, path, effort);
    scry__session_destroy(&pass.session);
    scry_model_destroy(&model);
    return status;
}
