/* Where pages come from. See page.h. */
#include "cli/page.h"

#include <string.h>
#include <time.h>

const char *cli_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

void cli_page_origin(struct scry__report *page, const scry_model *model, char date[CLI_DATE_SIZE])
{
    time_t    now = time(NULL);
    struct tm utc;
    *date = 0;
    if (gmtime_r(&now, &utc)) strftime(date, CLI_DATE_SIZE, "%Y-%m-%d", &utc);
    page->date = date;
    if (!model) return;
    page->model      = scry_model_get_info(model);
    page->model_name = cli_base_name(page->model->path);
    page->device     = scry_device_get_info(scry_model_device(model));
    page->fallbacks  = scry_device_fallbacks(scry_model_device(model));
}
