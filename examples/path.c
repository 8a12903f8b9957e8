/* Which heads speak to others: how much of the answer goes from each head to the values of three in the last layers.
 *
 *     cc examples/path.c $(pkg-config --cflags --libs scry) -o path && ./path models/demo */
#include <scry/scry.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char             *path    = argc > 1 ? argv[1] : "models/demo";
    const char             *clean   = argc > 2 ? argv[2] : "The capital of France is";
    const char             *corrupt = argc > 3 ? argv[3] : "The capital of Italy is";
    scry_device            *device  = NULL;
    scry_model             *model   = NULL;
    scry_paths             *paths   = NULL;
    const scry_path_options options = {.from = "heads,mlps", .to = "4.1.v,5.1.v,5.3.v"};
    scry_status             status  = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_model_open(&model, device, path, NULL);
    if (!status) status = scry_paths_run(&paths, model, clean, corrupt, &options);
    if (!status)
        printf("clean: \"%s\", corrupt: \"%s\"\n", paths->pair->clean.answer.text, paths->pair->clean.wrong.text);
    for (int i = 0; !status && i < paths->count; i++) {
        const scry_path *one = &paths->paths[i];
        if (one->cell.effect > 0.05F)
            printf("from %-4s layer %d  head %2d  effect %.3f\n", scry_path_end_text(one->senders->kind),
                   one->senders->layer, one->senders->head, (double)one->cell.effect);
    }
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_paths_destroy(&paths);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return scry_status_exit_code(status);
}
