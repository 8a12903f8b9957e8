/* What each layer of the demo model would answer: the library in a few lines.
 *
 *     cc examples/lens.c $(pkg-config --cflags --libs scry) -o lens && ./lens models/demo "The capital of France is" */
#include <scry/scry.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char  *path   = argc > 1 ? argv[1] : "models/demo";
    const char  *prompt = argc > 2 ? argv[2] : "The capital of France is";
    scry_device *device = NULL;
    scry_model  *model  = NULL;
    scry_lens   *lens   = NULL;
    scry_status  status = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_model_open(&model, device, path, NULL);
    if (!status) status = scry_lens_run(&lens, model, prompt, &(scry_lens_options){.top = 5});
    for (int layer = 0; !status && layer < lens->layer_count; layer++)
        printf("%2d %s\n", layer, scry_lens_at(lens, layer, lens->token_count - 1)->top[0].text);
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_lens_destroy(&lens);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return scry_status_exit_code(status);
}
