/* What training has changed: a model beside its random twin, the same architecture before training, on one prompt.
 *
 *     cc examples/compare.c $(pkg-config --cflags --libs scry) -o compare && ./compare models/demo "The capital of
 * France is" */
#include <scry/scry.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char   *path   = argc > 1 ? argv[1] : "models/demo";
    const char   *prompt = argc > 2 ? argv[2] : "The capital of France is";
    scry_device  *device = NULL;
    scry_model   *model = NULL, *twin = NULL;
    scry_compare *compare = NULL;
    scry_status   status  = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_model_open(&twin, device, path, &(scry_model_options){.random_init = true});
    if (!status) status = scry_model_open(&model, device, path, NULL);
    if (!status)
        status = scry_compare_run(&compare, &(scry_compare_side){.name = "random", .model = twin, .text = prompt},
                                  &(scry_compare_side){.name = "trained", .model = model, .text = prompt}, NULL);
    if (!status)
        printf("loss %.2f nats with random weights, %.2f trained\n", (double)compare->loss[0],
               (double)compare->loss[1]);
    for (int i = 0; !status && i < compare->place_count && i < 8; i++) {
        const scry_compare_place *place = &compare->places[i];
        printf("head %d.%d  %s looks at %s: %.2f, now %.2f\n", place->layer, place->head,
               compare->tokens[1]->texts[place->query], compare->tokens[1]->texts[place->key], (double)place->a,
               (double)place->b);
    }
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_compare_destroy(&compare);
    scry_model_destroy(&model);
    scry_model_destroy(&twin);
    scry_device_destroy(&device);
    return scry_status_exit_code(status);
}
