/* What a prediction cannot do without: the answer's log-probability without each layer's heads, attention and MLP.
 *
 *     cc examples/ablate.c $(pkg-config --cflags --libs scry) -o ablate && ./ablate models/demo "The capital of France
 * is" */
#include <scry/scry.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char    *path     = argc > 1 ? argv[1] : "models/demo";
    const char    *prompt   = argc > 2 ? argv[2] : "The capital of France is";
    scry_device   *device   = NULL;
    scry_model    *model    = NULL;
    scry_ablation *ablation = NULL;
    scry_status    status   = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_model_open(&model, device, path, NULL);
    if (!status)
        status =
            scry_ablation_run(&ablation, model, prompt, &(scry_ablation_options){.ways = 1U << SCRY_ABLATION_WAY_MEAN});
    if (!status)
        printf("next: \"%s\", probability %.3f\n", ablation->answer.text, (double)ablation->answer.probability);
    for (int i = 0; !status && i < ablation->count; i++) {
        const scry_ablated *one = &ablation->ablated[i];
        if (one->log_probability > -0.1F) continue;
        printf("without %-9s layer %d  head %2d  log-probability %+.2f  KL %.3f nats\n",
               scry_ablation_part_text(one->part), one->layer, one->head, (double)one->log_probability,
               (double)one->kl);
    }
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_ablation_destroy(&ablation);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return scry_status_exit_code(status);
}
