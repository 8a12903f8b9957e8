/* The results of `scry conform` as JUnit XML, which test runners and CI services read: a suite for each device, a test
 * case for each row. */
#include "cli/conform.h"

#include <string.h>

/* XML 1.0 cannot hold most control characters, not even escaped. */
static void add_escaped(scry__text *out, const char *text)
{
    size_t left = strlen(text);
    while (left) {
        uint32_t code;
        int      size = scry__utf8_decode(text, left, &code);
        bool     bad  = !size || (code < 0x20 && code != '\t' && code != '\n') || code == 0xfffe || code == 0xffff;
        if (!size) size = 1;
        if (bad)
            scry__text_adds(out, "\xef\xbf\xbd");
        else if (code == '&' || code == '<' || code == '>' || code == '"' || code < 0x20)
            scry__text_addf(out, "&#%u;", code);
        else
            scry__text_add(out, text, (size_t)size);
        text += size;
        left -= (size_t)size;
    }
}

static void add_attribute(scry__text *out, const char *name, const char *value)
{
    scry__text_addf(out, " %s=\"", name);
    add_escaped(out, value);
    scry__text_adds(out, "\"");
}

static void add_message(scry__text *out, const char *element, const char *message, const char *body)
{
    scry__text_addf(out, "<%s", element);
    add_attribute(out, "message", message);
    scry__text_adds(out, ">");
    add_escaped(out, body);
    scry__text_addf(out, "</%s>", element);
}

static void add_case(scry__text *out, const struct conform_run *run, const struct conform_device *device, int index)
{
    const struct conform_outcome *outcome = &device->outcomes[index];
    const struct conform_row     *row     = &run->rows[index];
    scry__text                    command = {0};
    scry__text_adds(out, "    <testcase");
    add_attribute(out, "classname", scry_op_text(row->row.kind));
    add_attribute(out, "name", row->row.name);
    scry__text_addf(out, " time=\"%.6f\">", outcome->seconds);
    conform_add_command(&command, run, device, row);
    if (command.status) out->status = command.status;
    if (outcome->verdict == CONFORM_FAILED)
        add_message(out, "failure", outcome->result.detail, command.data ? command.data : "");
    else if (outcome->verdict != CONFORM_PASSED)
        add_message(out, "skipped", outcome->verdict == CONFORM_UNSUPPORTED ? outcome->result.detail : "not run", "");
    scry__text_adds(out, "</testcase>\n");
    scry__text_finish(&command);
}

/* A device that could not be checked, or not to the end, is a test case with an error. */
static void add_suite(scry__text *out, const struct conform_run *run, const struct conform_device *device)
{
    struct conform_summary all     = conform_summarize(run, device, SCRY_OP_COUNT);
    double                 seconds = 0;
    bool                   empty   = !device->status && !run->stopped && !all.passed && !all.failed;
    for (int i = 0; i < run->row_count; i++) seconds += device->outcomes[i].seconds;
    scry__text_adds(out, "  <testsuite");
    add_attribute(out, "name", device->heading);
    scry__text_addf(out, " tests=\"%d\" failures=\"%d\" errors=\"%d\" skipped=\"%d\" time=\"%.6f\">\n",
                    1 + all.passed + all.failed + all.unsupported + all.not_run, all.failed, device->status || empty,
                    all.unsupported + all.not_run, seconds);
    scry__text_adds(out, "    <testcase classname=\"device\" name=\"usable to the end\">");
    if (device->status) add_message(out, "error", scry_status_text(device->status), device->reason);
    if (empty) add_message(out, "error", "not one row passed", "");
    scry__text_adds(out, "</testcase>\n");
    for (int i = 0; i < run->row_count; i++)
        if (device->outcomes[i].verdict != CONFORM_LEFT_OUT) add_case(out, run, device, i);
    scry__text_adds(out, "  </testsuite>\n");
}

scry_status conform_junit(scry__text *out, const struct conform_run *run)
{
    scry__text_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"scry conform\">\n");
    for (int i = 0; i < run->device_count; i++) add_suite(out, run, &run->devices[i]);
    scry__text_adds(out, "</testsuites>\n");
    return out->status;
}
