/* The data of an HTML report, as the page's script reads it. */
#ifndef SCRY_REPORT_HTML_DATA_H
#define SCRY_REPORT_HTML_DATA_H

#include "base/text.h"
#include "report/html.h"

/* Appends the JSON (schema scry.page/1) with every '<' written as \u003c, so that it can stand in a <script>. */
scry_status scry__html_data(scry__text *out, const struct scry__report *report);

#endif
