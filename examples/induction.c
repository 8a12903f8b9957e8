/* Has a model learned to say a sequence again? Its loss on random tokens the first and the second time, the heads that
 * see it coming, and the heads that feed those.
 *
 *     cc examples/induction.c $(pkg-config --cflags --libs scry) -o induction && ./induction models/demo */
#include <scry/scry.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char     *path      = argc > 1 ? argv[1] : "models/demo";
    scry_device    *device    = NULL;
    scry_model     *model     = NULL;
    scry_induction *induction = NULL;
    scry_status     status    = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_model_open(&model, device, path, NULL);
    if (!status) status = scry_induction_run(&induction, model, &(scry_induction_options){.seeds = 4});
    if (!status)
        printf("loss %.2f nats the first time, %.2f the second\n", (double)induction->loss_first.mean,
               (double)induction->loss_second.mean);
    for (int i = 0; !status && i < induction->layer_count * induction->head_count; i++) {
        const scry_induction_head *head = &induction->heads[i];
        if (head->certainty < SCRY_CERTAINTY_CLEAR) continue;
        printf("head %d.%d  induction %.2f +- %.2f, %s\n", head->layer, head->head, (double)head->induction.mean,
               (double)head->induction.spread, scry_certainty_name(head->certainty));
    }
    for (int i = 0; !status && i < induction->feeder_count; i++) {
        const scry_feeder *feeder = &induction->feeders[i];
        printf("head %d.%d  is fed by %d.%d: K-composition %.2f, by chance %.2f\n", feeder->layer, feeder->head,
               feeder->from_layer, feeder->from_head, (double)feeder->k_composition, (double)feeder->null);
    }
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_induction_destroy(&induction);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return scry_status_exit_code(status);
}
