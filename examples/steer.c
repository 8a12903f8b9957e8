/* A vector from one prompt to another, added while a third is continued: what it says then, by strength.
 *
 *     cc examples/steer.c $(pkg-config --cflags --libs scry) -o steer && ./steer models/demo "The capital of France is"
 */
#include <scry/scry.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    static const scry_steer_prompt plus  = {.text = "The capital of Italy is"},
                                   minus = {.text = "The capital of France is"};
    const char              *path        = argc > 1 ? argv[1] : "models/demo";
    const char              *prompt      = argc > 2 ? argv[2] : minus.text;
    scry_device             *device      = NULL;
    scry_model              *model       = NULL;
    scry_steering           *steering    = NULL;
    const scry_steer_options options = {.plus = &plus, .plus_count = 1, .minus = &minus, .minus_count = 1, .layer = 5};
    scry_status              status  = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_model_open(&model, device, path, NULL);
    if (!status) status = scry_steer(&steering, model, prompt, &options);
    if (!status) printf("%s|%s\n", prompt, steering->plain->text);
    for (int i = 0; !status && i < steering->count; i++) {
        const scry_steered *run = &steering->runs[i];
        printf("%g: %s|%s\n", run->strength, prompt, run->generation->text);
        printf("   KL %.3f (random vectors: %.3f)", run->kl, run->random_kl);
        if (run->rise_count)
            printf(", \"%s\" %.3f -> %.3f", run->rises[0].text, run->rises[0].before, run->rises[0].after);
        printf("\n");
    }
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_steering_destroy(&steering);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return scry_status_exit_code(status);
}
