/* How far estimates are from the effects that they estimate. See scry/patch.h. */
#include "scry/patch.h"

#include <math.h>

/* Over the cells of a grid that count. */
struct sums {
    double effect, estimate, off;        /* of the numbers, and of |estimate - effect| */
    double effects, estimates, products; /* of squares and products of what differs from the means */
};

static double off_by(const scry_patch_cell *cell)
{
    return fabs((double)cell->estimate - (double)cell->effect);
}

static bool counts(const scry_patching *patching, const scry_patch_grid *grid, int index)
{
    bool is_same = grid->position_count > 1 && index % grid->position_count < patching->first_difference;
    return !is_same && !isnan(off_by(&grid->cells[index]));
}

static void take_cell(scry_patch_agreement *found, struct sums *sums, const scry_patch_grid *grid, int index)
{
    const scry_patch_cell *cell = &grid->cells[index];
    sums->effect += (double)cell->effect;
    sums->estimate += (double)cell->estimate;
    sums->off += off_by(cell);
    if (found->count++ && off_by(cell) <= found->largest) return;
    found->largest  = off_by(cell);
    found->layer    = index / (grid->head_count * grid->position_count);
    found->head     = index / grid->position_count % grid->head_count;
    found->position = index % grid->position_count;
}

/* Once the means are known. */
static void take_spread(struct sums *sums, const scry_patch_cell *cell, int count)
{
    double effect   = (double)cell->effect - sums->effect / count;
    double estimate = (double)cell->estimate - sums->estimate / count;
    sums->effects += effect * effect;
    sums->estimates += estimate * estimate;
    sums->products += effect * estimate;
}

scry_patch_agreement scry_patch_grid_agreement(const scry_patching *patching, const scry_patch_grid *grid)
{
    scry_patch_agreement found = {0, NAN, NAN, NAN, -1, -1, -1};
    struct sums          sums  = {0};
    int                  cells = grid->layer_count * grid->head_count * grid->position_count;
    for (int i = 0; i < cells; i++)
        if (counts(patching, grid, i)) take_cell(&found, &sums, grid, i);
    for (int i = 0; i < cells; i++)
        if (counts(patching, grid, i)) take_spread(&sums, &grid->cells[i], found.count);
    if (found.count) found.mean = sums.off / found.count;
    if (sums.effects > 0 && sums.estimates > 0) found.correlation = sums.products / sqrt(sums.effects * sums.estimates);
    return found;
}
