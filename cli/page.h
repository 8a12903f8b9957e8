/* What pages say of where they come from, whichever command writes them. */
#ifndef SCRY_CLI_PAGE_H
#define SCRY_CLI_PAGE_H

#include "report/html.h"

enum { CLI_DATE_SIZE = 32 };

/* The last part of a path. */
const char *cli_base_name(const char *path);

/* Model, device, fallbacks and date; `date` is where the page has its from. Without a model: the date alone. */
void cli_page_origin(struct scry__report *page, const scry_model *model, char date[CLI_DATE_SIZE]);

#endif
