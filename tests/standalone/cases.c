/* Runs the table of op cases on one device, with no test framework: for sanitizers that a framework gets in the way of.
 *
 *     scry-cases [DEVICE]     prints each failing row, then "N passed, N failed" */
#include "cases/cases.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    const char  *name      = argc > 1 ? argv[1] : "cpu";
    scry_device *reference = NULL, *device = NULL;
    int          passed = 0, failed = 0;
    scry_status  status = scry_device_open(&reference, &(scry_device_options){.name = "reference"});
    if (!status) status = scry_device_open(&device, &(scry_device_options){.name = name});
    for (int i = 0; !status && i < scry__case_count(); i++) {
        scry__case_result result;
        if (scry__case_at(i).tier > SCRY__TIER_QUICK) continue;
        if (!scry__case_run(&result, i, 0, reference, device) && result.passed) {
            passed++;
            continue;
        }
        printf("%s: %s\n", scry__case_at(i).name, *result.detail ? result.detail : scry_last_error());
        failed++;
    }
    if (status) fprintf(stderr, "%s\n", scry_last_error());
    scry_device_destroy(&device);
    scry_device_destroy(&reference);
    printf("%d passed, %d failed\n", passed, failed);
    return status || failed || !passed;
}
