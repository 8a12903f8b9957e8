/* What a prediction drew on: for each token before it, how much attention it had, and what changes when it is cut off.
 *
 *     cc examples/influence.c $(pkg-config --cflags --libs scry) -o influence && ./influence models/demo "The capital
 * of France is" */
#include <scry/scry.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char     *path      = argc > 1 ? argv[1] : "models/demo";
    const char     *prompt    = argc > 2 ? argv[2] : "The capital of France is";
    scry_device    *device    = NULL;
    scry_model     *model     = NULL;
    scry_influence *influence = NULL;
    scry_status     status    = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_model_open(&model, device, path, NULL);
    if (!status)
        status = scry_influence_run(&influence, model, prompt, &(scry_influence_options){.cuts = SCRY_CUTS_KEYS});
    if (!status)
        printf("next: \"%s\", probability %.3f\n", influence->target.text, (double)influence->target.probability);
    for (int key = 0; !status && key < influence->key_count; key++)
        printf("%-12s weight %.3f  rollout %.3f  cut: logit %+.2f, KL %.3f nats\n", influence->tokens->texts[key],
               (double)influence->key_weights[key], (double)influence->rollout[key],
               (double)influence->key_cuts[key].logit, (double)influence->key_cuts[key].kl);
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_influence_destroy(&influence);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return scry_status_exit_code(status);
}
