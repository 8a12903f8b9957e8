/* The cpu backend as the plugin "mutant", so that tools/mutants can run a changed copy of it beside the program's own.
 */
#include "scry/backend.h"

scry_backend_entry_function scry_cpu_entry;

SCRY_API scry_backend_entry_function scry_backend_entry;

const struct scry_backend *scry_backend_entry(const struct scry_host *host)
{
    static struct scry_backend table;
    table      = *scry_cpu_entry(host);
    table.name = "mutant";
    return &table;
}
