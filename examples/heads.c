/* What the heads of a model do: for each score, the head in which it is surest, beside what learned nothing.
 *
 *     cc examples/heads.c $(pkg-config --cflags --libs scry) -o heads && ./heads models/demo "Anna put the key in the
 * box." */
#include <scry/scry.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char  *path   = argc > 1 ? argv[1] : "models/demo";
    const char  *prompt = argc > 2 ? argv[2] : "Anna put the key in the box. Bob put the coin in the drawer.";
    scry_device *device = NULL;
    scry_model  *model  = NULL;
    scry_heads  *heads  = NULL;
    scry_status  status = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_model_open(&model, device, path, NULL);
    if (!status) status = scry_heads_run(&heads, model, prompt, &(scry_heads_options){0});
    for (int kind = 0; !status && kind < SCRY_HEAD_SCORE_COUNT; kind++) {
        const scry_head *head = scry_heads_surest(heads, (scry_head_score_kind)kind);
        if (!head) continue;
        printf("%-10s head %d.%d %7.3f %-6s  (uniform attention %.3f, random weights at most %.3f)\n",
               scry_head_score_name((scry_head_score_kind)kind), head->layer, head->head,
               (double)head->scores[kind].value, scry_certainty_name(head->scores[kind].certainty),
               (double)head->scores[kind].uniform, (double)heads->nulls[kind].random_largest);
    }
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_heads_destroy(&heads);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return scry_status_exit_code(status);
}
