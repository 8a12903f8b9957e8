/* Which of the ways of computing that a driver may get wrong are used: those that the device offers, that nobody
 * switched off, and whose self-test found nothing. What a self-test found is remembered on disk for this driver. */
#include "cache.h"
#include "prove.h"
#include "shaders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char not_offered[] = "the device does not offer it";

/* Why there is nothing to test; NULL: there is. */
static const char *lacks_subgroups(const struct scry__vk *vk)
{
    return vk->limits.subgroup_arithmetic ? NULL : not_offered;
}

static const char *lacks_float16(const struct scry__vk *vk)
{
    return vk->limits.float16 ? NULL : not_offered;
}

static const char *lacks_cooperative(const struct scry__vk *vk)
{
    if (!scry__vk_shader_is_built("matmul_cooperative")) return "this build's tools know none";
    if (!vk->limits.cooperative_matrix) return not_offered;
    if (!vk->limits.matrix_shape[0]) return "the device has none of f16 with sums in f32 that fits";
    return vk->path[SCRY__VK_FLOAT16].usable ? NULL : "f16 arithmetic is off";
}

static const struct path {
    const char *name;
    const char *(*lacks)(const struct scry__vk *vk);
    scry_status (*prove)(struct scry__vk *vk, struct scry__vk_finding *finding);
} paths[SCRY__VK_PATHS] = {
    [SCRY__VK_SUBGROUPS]   = {"subgroups", lacks_subgroups, scry__vk_prove_subgroups},
    [SCRY__VK_FLOAT16]     = {"float16", lacks_float16, scry__vk_prove_float16},
    [SCRY__VK_COOPERATIVE] = {"cooperative-matrix", lacks_cooperative, scry__vk_prove_cooperative},
};

const char *scry__vk_path_text(enum scry__vk_path path)
{
    return paths[path].name;
}

/* What is kept of all self-tests. */
struct verdict {
    bool                    tested;
    struct scry__vk_finding finding;
};

static const char kind[] = "self-tests 1";

static void load(struct scry__vk *vk, struct verdict *verdicts)
{
    struct scry__found found = scry__vk_cache_load(vk, kind);
    memset(verdicts, 0, SCRY__VK_PATHS * sizeof *verdicts);
    if (found.content && found.size == SCRY__VK_PATHS * sizeof *verdicts) memcpy(verdicts, found.content, found.size);
    scry__vk_host->release(found.file);
}

static void set(struct scry__vk_path_state *state, bool usable, const char *reason)
{
    state->usable = usable;
    snprintf(state->reason, sizeof state->reason, "%s", reason);
}

/* Tests the path where that was not done yet. A device that is lost by it is remembered too. */
static scry_status test(struct scry__vk *vk, const struct path *path, struct verdict *verdict, bool *changed)
{
    if (verdict->tested) return SCRY_OK;
    scry_status status = path->prove(vk, &verdict->finding);
    verdict->tested    = !status || vk->lost;
    *changed |= verdict->tested;
    if (vk->lost) snprintf(verdict->finding.text, sizeof verdict->finding.text, "the device was lost by its self-test");
    if (*verdict->finding.text)
        scry__vk_host->log(SCRY_LOG_WARNING, "vulkan: %s is off: its self-test failed: %s", path->name,
                           verdict->finding.text);
    return status;
}

/* Takes "-subgroups,-float16" apart. */
static scry_status read_switches(bool *off)
{
    const char *text = secure_getenv("SCRY_VULKAN_PATHS");
    for (size_t length; text && *text; text += length + (text[length] == ',')) {
        int i  = 0;
        length = strcspn(text, ",");
        while (i < SCRY__VK_PATHS &&
               (*text != '-' || strlen(paths[i].name) != length - 1 || strncmp(text + 1, paths[i].name, length - 1)))
            i++;
        if (i == SCRY__VK_PATHS)
            return scry__vk_host->fail(SCRY_BAD_ARGUMENT,
                                       "SCRY_VULKAN_PATHS: \"%s\": expected a list of -subgroups, -float16 and "
                                       "-cooperative-matrix",
                                       text);
        off[i] = true;
    }
    return SCRY_OK;
}

scry_status scry__vk_paths_prove(struct scry__vk *vk)
{
    struct verdict verdicts[SCRY__VK_PATHS];
    bool           off[SCRY__VK_PATHS] = {false}, changed = false;
    scry_status    status = read_switches(off);
    if (status) return status;
    load(vk, verdicts);
    for (int i = 0; i < SCRY__VK_PATHS && !status; i++) {
        struct scry__vk_path_state *state = &vk->path[i];
        const char                 *lacks = paths[i].lacks(vk);
        if (lacks) {
            set(state, false, lacks);
        } else if (off[i]) {
            set(state, false, "switched off by SCRY_VULKAN_PATHS");
        } else {
            state->usable = true; /* for the self-test */
            status        = test(vk, &paths[i], &verdicts[i], &changed);
            set(state, !*verdicts[i].finding.text, *verdicts[i].finding.text ? verdicts[i].finding.text : "proved");
        }
    }
    if (changed) scry__vk_cache_save(vk, kind, verdicts, sizeof verdicts);
    return status;
}
