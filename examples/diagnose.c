/* Is something wrong? Each finding with its evidence and what to try; exit code 1 where there is an error among them.
 *
 *     cc examples/diagnose.c $(pkg-config --cflags --libs scry) -o diagnose && ./diagnose models/demo "The capital of
 * France is" */
#include <scry/scry.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const char     *path      = argc > 1 ? argv[1] : "models/demo";
    const char     *prompt    = argc > 2 ? argv[2] : "The capital of France is";
    scry_device    *device    = NULL;
    scry_model     *model     = NULL;
    scry_diagnosis *diagnosis = NULL;
    bool            wrong     = false;
    scry_status     status    = scry_device_open(&device, &(scry_device_options){0}); /* the best usable */
    if (!status) status = scry_model_open(&model, device, path, NULL);
    if (!status) status = scry_diagnose_run(&diagnosis, model, prompt, &(scry_diagnose_options){0});
    for (int i = 0; !status && i < diagnosis->finding_count; i++) {
        const scry_finding *finding = &diagnosis->findings[i];
        wrong                       = wrong || finding->severity == SCRY_SEVERITY_ERROR;
        printf("%s: %s\n  try: %s\n", scry_severity_text(finding->severity), finding->text, finding->advice);
        for (int k = 0; k < finding->evidence_count; k++)
            printf("  %s: %g\n", finding->evidence[k].name, finding->evidence[k].value);
    }
    if (!status && !diagnosis->finding_count) printf("no finding in %d checks\n", SCRY_DIAGNOSIS_COUNT);
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_diagnosis_destroy(&diagnosis);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    return status ? scry_status_exit_code(status) : wrong;
}
