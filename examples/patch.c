/* Where on its way an answer is: the residual stream of one prompt's run put into another's, layer by position.
 *
 *     cc examples/patch.c $(pkg-config --cflags --libs scry) -o patch && ./patch models/demo "The capital of France is"
 * "The capital of Italy is" */
#include <scry/scry.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char              *path    = argc > 1 ? argv[1] : "models/demo";
    const char              *clean   = argc > 3 ? argv[2] : "The capital of France is";
    const char              *corrupt = argc > 3 ? argv[3] : "The capital of Italy is";
    const scry_patch_options options = {.kinds = 1U << SCRY_PATCH_RESID_PRE, .direction = SCRY_DENOISE};
    scry_device             *device  = NULL;
    scry_model              *model   = NULL;
    scry_patching           *result  = NULL;
    scry_status              status  = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_model_open(&model, device, path, NULL);
    if (!status) status = scry_patching_run(&result, model, clean, corrupt, &options);
    if (!status)
        printf("\"%s\" less \"%s\": %+.2f clean, %+.2f corrupt. Of that difference, each patch restores:\n",
               result->clean.answer.text, result->clean.wrong.text, (double)result->clean.logit_difference,
               (double)result->corrupt.logit_difference);
    for (int position = 0; !status && position < result->position_count; position++) {
        const scry_patch_grid *grid = &result->grids[0];
        printf("%2d |", position);
        for (int layer = 0; layer < grid->layer_count; layer++)
            printf(" %5.2f |", (double)grid->cells[layer * grid->position_count + position].effect);
        printf(" %s\n", result->corrupt.tokens->texts[position]);
    }
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_patching_destroy(&result);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return scry_status_exit_code(status);
}
