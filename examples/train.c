/* A tiny model learns to repeat patterns; its checkpoints are models like any other.
 *
 *     cc examples/train.c $(pkg-config --cflags --libs scry) -o train && ./train runs/copy 200 */
#include <scry/scry.h>
#include <stdio.h>

static bool report(void *user, const scry_train_progress *progress)
{
    (void)user;
    if (progress->evaluation)
        printf("step %d: loss %.4f, at best %.4f\n", progress->step, progress->evaluation->loss,
               progress->evaluation->best);
    return true; /* false stops */
}

int main(int argc, char **argv)
{
    const char    *folder   = argc > 1 ? argv[1] : "runs/copy";
    const char    *steps    = argc > 2 ? argv[2] : "200";
    scry_device   *device   = NULL;
    scry_recipe   *recipe   = NULL;
    scry_training *training = NULL;
    scry_status    status   = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_recipe_create(&recipe, "copy");
    if (!status) status = scry_recipe_set(recipe, "steps", steps);
    if (!status)
        status = scry_train_run(
            &training, device,
            &(scry_train_options){.recipe = recipe, .output = folder, .resume = true, .progress = report});
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_training_destroy(&training);
    scry_recipe_destroy(&recipe);
    scry_device_destroy(&device);
    return scry_status_exit_code(status);
}
