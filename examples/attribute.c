/* What speaks for a prediction: its logit, split over everything that was written to the residual stream.
 *
 *     cc examples/attribute.c $(pkg-config --cflags --libs scry) -o attribute && ./attribute models/demo "The capital
 * of France is" */
#include <math.h>
#include <scry/scry.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char       *path        = argc > 1 ? argv[1] : "models/demo";
    const char       *prompt      = argc > 2 ? argv[2] : "The capital of France is";
    scry_device      *device      = NULL;
    scry_model       *model       = NULL;
    scry_attribution *attribution = NULL;
    scry_status       status      = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_model_open(&model, device, path, NULL);
    if (!status) status = scry_attribution_run(&attribution, model, prompt, NULL);
    if (!status) printf("next: \"%s\", logit %.3f\n", attribution->answer.text, attribution->logit);
    for (int i = 0; !status && i < attribution->count; i++) {
        const scry_contribution *one = &attribution->contributions[i];
        if (fabs(one->share) < 0.05) continue;
        printf("%-18s layer %2d  head %2d  %+.3f  %5.1f%%\n", scry_contribution_text(one->kind), one->layer, one->head,
               one->value, 100 * one->share);
    }
    if (!status) printf("what rounding leaves: %.1g, at most %.1g\n", attribution->residue, attribution->bound);
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_attribution_destroy(&attribution);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return scry_status_exit_code(status);
}
