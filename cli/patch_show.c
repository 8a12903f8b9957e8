/* What scry patch found, in the terminal and as a picture. See patch.h. */
#include "cli/patch.h"
#include "cli/sheet.h"

#include "base/alloc.h"
#include "report/patch_maps.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- how far estimates are off --- */

enum { KIND, CELLS, MEAN, LARGEST, CORRELATION, LAYER, HEAD, POSITION, COLUMN_COUNT };
static const scry__table_column columns[] = {
    [KIND]        = {"kind", SCRY__ALIGN_LEFT, true},
    [CELLS]       = {"cells", SCRY__ALIGN_RIGHT, true},
    [MEAN]        = {"mean", SCRY__ALIGN_RIGHT, true},
    [LARGEST]     = {"largest", SCRY__ALIGN_RIGHT, true},
    [CORRELATION] = {"correlation", SCRY__ALIGN_RIGHT, true},
    [LAYER]       = {"at layer", SCRY__ALIGN_RIGHT, true},
    [HEAD]        = {"head", SCRY__ALIGN_RIGHT, true},
    [POSITION]    = {"position", SCRY__ALIGN_RIGHT, true},
};

static void put_agreement(struct cli_sheet *sheet, const scry_patching *result, const scry_patch_grid *grid)
{
    const scry_patch_agreement found = scry_patch_grid_agreement(result, grid);
    if (!found.count) return;
    cli_sheet_put(sheet, KIND, "%s", scry_patch_kind_text(grid->kind));
    cli_sheet_put(sheet, CELLS, "%d", found.count);
    cli_sheet_put(sheet, MEAN, "%.4f", found.mean);
    cli_sheet_put(sheet, LARGEST, "%.4f", found.largest);
    if (!isnan(found.correlation)) cli_sheet_put(sheet, CORRELATION, "%.4f", found.correlation);
    cli_sheet_put(sheet, LAYER, "%d", found.layer);
    if (scry_patch_kind_has_heads(grid->kind)) cli_sheet_put(sheet, HEAD, "%d", found.head);
    if (grid->position_count > 1) cli_sheet_put(sheet, POSITION, "%d", found.position);
    sheet->rows++;
}

static scry_status add_agreement(scry__text *out, const scry_patching *result)
{
    scry__terminal   terminal = cli_terminal();
    struct cli_sheet sheet;
    scry_status      status = SCRY_OK;
    if (!cli_sheet_create(&sheet, COLUMN_COUNT, result->grid_count)) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < result->grid_count; i++) put_agreement(&sheet, result, &result->grids[i]);
    if (sheet.rows) {
        scry__text_adds(out, "\nHow far estimates are from the effects:\n");
        status = cli_sheet_add(out, &terminal, &sheet, columns);
    }
    cli_sheet_finish(&sheet);
    return status;
}

/* --- the grids --- */

/* Are estimates shown beside what they estimate? */
static bool shows_estimates(const struct patch *patch)
{
    return patch->options.method == SCRY_PATCH_METHOD_BOTH && patch->metric == SCRY_PATCH_METRIC_EFFECT;
}

static const struct {
    const char *title, *subtitle;
} headings[] = {
    [SCRY_DENOISE] = {"Denoise: values of the clean run in the corrupt one",
                      "What restores the answer. Tokens: clean|corrupt"},
    [SCRY_NOISE]   = {"Noise: values of the corrupt run in the clean one",
                      "What breaks the answer. Tokens: clean|corrupt"},
};

static scry_status make_maps(scry__patch_maps *maps, char ***labels, const scry_patching *result,
                             const struct patch *patch, bool terminal)
{
    scry_status status = scry__patch_labels_create(labels, result);
    if (status) return status;
    return scry__patch_maps_create(maps, result->grids, result->grid_count,
                                   &(scry__patch_view){.title          = headings[result->direction].title,
                                                       .subtitle       = headings[result->direction].subtitle,
                                                       .metric         = patch->metric,
                                                       .labels         = (const char *const *)*labels,
                                                       .estimates      = shows_estimates(patch),
                                                       .apart          = terminal,
                                                       .positions_down = terminal});
}

static scry_status add_maps(scry__text *out, const scry__patch_maps *maps)
{
    scry__terminal terminal = cli_terminal();
    for (int i = 0; i < maps->count; i++) {
        scry__text_adds(out, "\n");
        scry__terminal_heatmap(out, &terminal, &maps->maps[i]);
    }
    return out->status;
}

static scry_status add_result(scry__text *out, const scry_patching *result, const struct patch *patch)
{
    scry__patch_maps maps   = {0};
    char           **labels = NULL;
    scry_status      status = make_maps(&maps, &labels, result, patch, true);
    if (!status) status = add_maps(out, &maps);
    if (!status && result->method == SCRY_PATCH_METHOD_BOTH) status = add_agreement(out, result);
    if (!result->defined)
        scry__text_adds(out, "Both runs have the same logit difference, so that effects are undefined (-); --metric kl "
                             "and probability are not.\n");
    if (result->cost.naive_layer_tokens > 0)
        scry__text_addf(out, "\n%d patches, %d of which change nothing: %lld layer-tokens instead of %lld\n",
                        result->cost.patches, result->cost.skipped, (long long)result->cost.layer_tokens,
                        (long long)result->cost.naive_layer_tokens);
    scry__patch_maps_finish(&maps);
    scry__patch_labels_free(labels, result->position_count);
    return status;
}

scry_status patch_print(const struct patch *patch, scry_patching *const *results, int count)
{
    scry__text  text   = {0};
    scry_status status = cli_pair_add_sides(&text, results[0]);
    for (int i = 0; i < count && !status; i++) status = add_result(&text, results[i], patch);
    if (!status) return cli_print(&text);
    scry__text_finish(&text);
    return status;
}

/* --- pictures --- */

/* All maps of all sets, one below the other. */
static scry_status write_maps(const struct patch *patch, const scry__patch_maps *sets, int count)
{
    int total = 0, at = 0;
    for (int i = 0; i < count; i++) total += sets[i].count;
    scry__heatmap *maps = scry__alloc((size_t)total, sizeof *maps);
    if (!maps) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < sets[i].count; j++) maps[at++] = sets[i].maps[j];
    scry_status status = scry__heatmaps_write(patch->output, maps, total);
    if (!status && !patch->common.quiet) fprintf(stderr, "scry: %d maps in %s\n", total, patch->output);
    scry__free(maps);
    return status;
}

scry_status patch_draw(const struct patch *patch, scry_patching *const *results, int count)
{
    scry__patch_maps sets[SCRY_PATCH_DIRECTION_COUNT]   = {0};
    char           **labels[SCRY_PATCH_DIRECTION_COUNT] = {0};
    scry_status      status                             = SCRY_OK;
    for (int i = 0; i < count && !status; i++) status = make_maps(&sets[i], &labels[i], results[i], patch, false);
    if (!status) status = write_maps(patch, sets, count);
    for (int i = 0; i < count; i++) {
        scry__patch_maps_finish(&sets[i]);
        scry__patch_labels_free(labels[i], results[i]->position_count);
    }
    return status;
}

/* --- means over pairs --- */

/* A mean grid's maps and what they point to. */
struct mean_maps {
    scry__patch_maps maps;
    scry_patch_grid  grid;
    const char     **labels;
    char             title[64];
};

static scry_status make_mean_maps(struct mean_maps *self, const scry_patch_mean_grid *mean, const struct patch *patch,
                                  bool terminal, bool deviation)
{
    scry_status status = scry__patch_spread_grid(&self->grid, mean, deviation);
    if (!status && mean->labels) {
        self->labels = scry__alloc((size_t)mean->position_count, sizeof *self->labels);
        if (!self->labels) status = SCRY_OUT_OF_MEMORY;
        for (int i = 0; !status && i < mean->position_count; i++)
            self->labels[i] = mean->labels[i] ? mean->labels[i] : "(differs)";
    }
    if (status) return status;
    snprintf(self->title, sizeof self->title, "%s, %s of %d pairs", scry_patch_direction_text(mean->direction),
             deviation ? "standard deviation" : "mean", mean->pair_count);
    return scry__patch_maps_create(&self->maps, &self->grid, 1,
                                   &(scry__patch_view){.title          = self->title,
                                                       .metric         = patch->metric,
                                                       .labels         = self->labels,
                                                       .estimates      = shows_estimates(patch),
                                                       .apart          = true,
                                                       .positions_down = terminal});
}

static void finish_mean_maps(struct mean_maps *self)
{
    scry__patch_maps_finish(&self->maps);
    scry__free(self->labels);
    scry__free(self->grid.cells);
    *self = (struct mean_maps){0};
}

static scry_status add_mean_grid(scry__text *out, const scry_patch_mean_grid *mean, const struct patch *patch)
{
    scry_status status = SCRY_OK;
    for (int deviation = 0; deviation < 2 && !status; deviation++) {
        struct mean_maps maps = {0};
        if (deviation && mean->pair_count < 2) break;
        status = make_mean_maps(&maps, mean, patch, true, deviation);
        if (!status) status = add_maps(out, &maps.maps);
        finish_mean_maps(&maps);
    }
    return status;
}

scry_status patch_print_summary(const struct patch *patch, const scry_patch_summary *summary)
{
    scry__text  text   = {0};
    scry_status status = SCRY_OK;
    scry__text_addf(&text, "%d pairs; logit difference of the clean runs %+.3f, of the corrupt ones %+.3f (means)\n",
                    summary->pair_count, summary->clean.mean, summary->corrupt.mean);
    if (summary->defined_count < summary->pair_count)
        scry__text_addf(&text, "%d of them have the same difference in both runs, and no effects\n",
                        summary->pair_count - summary->defined_count);
    for (int i = 0; i < summary->grid_count && !status; i++) status = add_mean_grid(&text, &summary->grids[i], patch);
    if (!status) return cli_print(&text);
    scry__text_finish(&text);
    return status;
}

scry_status patch_draw_summary(const struct patch *patch, const scry_patch_summary *summary)
{
    size_t            count  = (size_t)summary->grid_count;
    struct mean_maps *means  = scry__alloc(count, sizeof *means);
    scry__patch_maps *sets   = scry__alloc(count, sizeof *sets);
    scry_status       status = means && sets ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < count && !status; i++) {
        status  = make_mean_maps(&means[i], &summary->grids[i], patch, false, false);
        sets[i] = means[i].maps;
    }
    if (!status) status = write_maps(patch, sets, summary->grid_count);
    for (size_t i = 0; means && i < count; i++) finish_mean_maps(&means[i]);
    scry__free(sets);
    scry__free(means);
    return status;
}
