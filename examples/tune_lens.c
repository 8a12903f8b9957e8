/* A tuned lens learns from a text how each layer is to be read; then both lenses look at a prompt.
 *
 *     cc examples/tune_lens.c $(pkg-config --cflags --libs scry) -o tune_lens && ./tune_lens text.txt lens.safetensors
 */
#include <scry/scry.h>
#include <stdio.h>
#include <stdlib.h>

/* The likeliest next token by layer. */
static scry_status show(scry_model *model, const scry_tuned_lens *tuned)
{
    const scry_lens_options options = {.top = 1, .tuned = tuned};
    scry_lens              *lens    = NULL;
    scry_status             status  = scry_lens_run(&lens, model, "The capital of France is", &options);
    printf("%s lens:", tuned ? "tuned" : "logit");
    for (int layer = 0; !status && layer < lens->layer_count; layer++)
        printf(" %d \"%s\"", layer, scry_lens_at(lens, layer, lens->token_count - 1)->top->text);
    printf("\n");
    scry_lens_destroy(&lens);
    return status;
}

int main(int argc, char **argv)
{
    const char            *output     = argc > 2 ? argv[2] : "lens.safetensors";
    scry_device           *device     = NULL;
    scry_model            *model      = NULL;
    scry_tuned_lens       *tuned      = NULL;
    scry_lens_evaluation  *evaluation = NULL;
    scry_tune_lens_options options    = {
           .text = argc > 1 ? argv[1] : "text.txt", .length = 64, .steps = argc > 3 ? atoi(argv[3]) : 100};
    scry_status status = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_model_open(&model, device, "models/demo", NULL);
    if (!status) status = scry_tuned_lens_create(&tuned, model);
    if (!status) status = scry_tuned_lens_train(tuned, &options);
    if (!status) status = scry_tuned_lens_write(tuned, output);
    if (!status) status = scry_tuned_lens_evaluate(&evaluation, tuned, &options);
    for (int layer = 0; !status && layer < evaluation->layer_count; layer++)
        printf("layer %d: KL %.3f, tuned %.3f\n", layer, evaluation->logit[layer].kl, evaluation->tuned[layer].kl);
    if (!status) status = show(model, NULL);
    if (!status) status = show(model, tuned);
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_lens_evaluation_destroy(&evaluation);
    scry_tuned_lens_destroy(&tuned);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return scry_status_exit_code(status);
}
