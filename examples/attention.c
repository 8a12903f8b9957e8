/* Where each head of a model looks from the last token: captured patterns, taken layer by layer as they are computed.
 *
 *     cc examples/attention.c $(pkg-config --cflags --libs scry) -o attention && ./attention models/demo "The capital
 * of France is" */
#include <scry/scry.h>
#include <stdio.h>

/* A layer's patterns, [heads, 1, keys]: only the last query was asked for. */
static scry_status print_layer(void *user, const scry_capture *pattern)
{
    const scry_tokens *tokens  = user;
    const float       *weights = pattern->data;
    for (int head = 0; head < (int)pattern->shape[0]; head++, weights += pattern->shape[2]) {
        int best = 0;
        for (int key = 1; key < (int)pattern->shape[2]; key++)
            if (weights[key] > weights[best]) best = key;
        printf("head %d.%d  %.3f  %s\n", pattern->layer, head, (double)weights[best], tokens->texts[best]);
    }
    return SCRY_OK;
}

int main(int argc, char **argv)
{
    const char  *path   = argc > 1 ? argv[1] : "models/demo";
    const char  *prompt = argc > 2 ? argv[2] : "The capital of France is";
    scry_device *device = NULL;
    scry_model  *model  = NULL;
    scry_tokens *tokens = NULL;
    scry_trace  *trace  = NULL;
    scry_status  status = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_model_open(&model, device, path, NULL);
    if (!status) status = scry_tokens_create(&tokens, model, prompt, NULL, 0);
    if (!status)
        status = scry_trace_run(&trace, model, prompt,
                                &(scry_trace_options){.hooks   = "blocks.*.attn.hook_pattern",
                                                      .queries = {tokens->count - 1, tokens->count},
                                                      .sink    = print_layer,
                                                      .user    = tokens});
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_trace_destroy(&trace);
    scry_tokens_destroy(&tokens);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return scry_status_exit_code(status);
}
