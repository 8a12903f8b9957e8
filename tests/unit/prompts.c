/* Prompts to patch, and cells of grids. See prompts.h. */
#include "prompts.h"

#include <criterion/criterion.h>
#include <string.h>

struct prompts prompts_make(const struct fixture *f, int at, int more)
{
    struct prompts prompts    = {.clean_count = f->id_count, .corrupt_count = f->id_count + more, .at = at};
    int            vocabulary = scry_model_get_info(f->model)->vocabulary;
    cr_assert_leq(prompts.corrupt_count, PROMPTS_MOST);
    memcpy(prompts.clean, f->ids, (size_t)f->id_count * sizeof *f->ids);
    memcpy(prompts.corrupt, f->ids, (size_t)at * sizeof *f->ids);
    memcpy(prompts.corrupt + at + more, f->ids + at, (size_t)(f->id_count - at) * sizeof *f->ids);
    for (int i = at; i <= at + more; i++) prompts.corrupt[i] = (f->ids[at] + 1 + i - at) % vocabulary;
    return prompts;
}

scry_patch_options prompts_options(const struct prompts *prompts, scry_patch_direction direction)
{
    return (scry_patch_options){.clean_ids        = prompts->clean,
                                .clean_id_count   = prompts->clean_count,
                                .corrupt_ids      = prompts->corrupt,
                                .corrupt_id_count = prompts->corrupt_count,
                                .answer           = {.id = PROMPTS_ANSWER, .has_id = true},
                                .wrong            = {.id = PROMPTS_WRONG, .has_id = true},
                                .direction        = direction};
}

scry_patching *patching_of(const struct fixture *f, const scry_patch_options *options)
{
    scry_patching *result = NULL;
    cr_assert_eq(scry_patching_run(&result, f->model, NULL, NULL, options), SCRY_OK, "%s: %s", f->name,
                 scry_last_error());
    return result;
}

const scry_patch_grid *patching_grid(const scry_patching *patching, scry_patch_kind kind)
{
    for (int i = 0; i < patching->grid_count; i++)
        if (patching->grids[i].kind == kind) return &patching->grids[i];
    return NULL;
}

const scry_patch_cell *patching_cell(const scry_patch_grid *grid, int layer, int head, int position)
{
    size_t row = (size_t)layer * (size_t)grid->head_count + (size_t)head;
    return &grid->cells[row * (size_t)grid->position_count + (size_t)position];
}
