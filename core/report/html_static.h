/* The parts of an HTML report that need no script: facts, summary, tables. Each appends HTML. */
#ifndef SCRY_REPORT_HTML_STATIC_H
#define SCRY_REPORT_HTML_STATIC_H

#include "base/text.h"
#include "report/html.h"

/* Text as HTML text or attribute value: special characters as references, after scry__label_prose. */
void scry__html_escape(scry__text *out, const char *text);

/* The next token's candidates: those given, else the lens' last cell; NULL and 0 without a lens. */
const scry_candidate *scry__html_next(const struct scry__report *report, int *count);

void scry__html_title(scry__text *out, const struct scry__report *report);
void scry__html_facts(scry__text *out, const struct scry__report *report);
void scry__html_summary(scry__text *out, const struct scry__report *report);
void scry__html_candidates(scry__text *out, const struct scry__report *report);
void scry__html_layers(scry__text *out, const struct scry__report *report);
void scry__html_footer(scry__text *out, const struct scry__report *report);

#endif
