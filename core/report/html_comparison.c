/* A comparison in an HTML report's data. See html_comparison.h. */
#include "report/html_comparison.h"

#include "report/html_parts.h"

scry_status scry__html_comparison(json_t **out, int count, const char *const *names,
                                  scry__report_attention *const *attention, json_t *diff)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_new_object(&builder);
    json_t            *texts   = scry__json_new_array(&builder);
    json_t            *all     = scry__json_new_array(&builder);
    for (int i = 0; i < count; i++) {
        scry__json_append_text(&builder, texts, names[i]);
        scry__json_append(&builder, all, i ? scry__html_attention(&builder, attention[i]) : json_null());
    }
    scry__json_set(&builder, object, "names", texts);
    scry__json_set(&builder, object, "attention", all);
    scry__json_set(&builder, object, "diff", json_incref(diff));
    return scry__json_finish(&builder, object, out);
}
