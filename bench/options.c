/* Command lines and input files of benchmark programs. See options.h. */
#include "bench/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool bench_parse(struct bench_options *options, const char *const *modes, int argc, char **argv)
{
    static const struct option known[] = {{"model", required_argument, NULL, 'm'},
                                          {"ids", required_argument, NULL, 'i'},
                                          {"input", required_argument, NULL, 'i'},
                                          {"count", required_argument, NULL, 'c'},
                                          {"repeat", required_argument, NULL, 'r'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"dump", required_argument, NULL, 'd'},
                                          {"device", required_argument, NULL, 'D'},
                                          {0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) switch (option) {
        case 'm':
            options->model_path = optarg;
            break;
        case 'i':
            options->data_path = optarg;
            break;
        case 'c':
            options->count = atoi(optarg);
            break;
        case 'r':
            options->repeat = atoi(optarg);
            break;
        case 't':
            options->threads = atoi(optarg);
            break;
        case 'd':
            options->dump_path = optarg;
            break;
        case 'D':
            options->device_name = optarg;
            break;
        default:
            return false;
        }
    if (optind + 1 != argc || options->count < 1 || options->repeat < 0 || options->repeat > BENCH_MAX_REPEAT)
        return false;
    for (; *modes; modes++)
        if (!strcmp(argv[optind], *modes)) options->mode = *modes;
    return options->mode && options->data_path;
}

void *bench_read(const char *path, size_t bytes)
{
    FILE *file  = fopen(path, "rb");
    void *data  = malloc(bytes);
    bool  whole = file && data && fread(data, 1, bytes, file) == bytes;
    if (file) fclose(file);
    if (whole) return data;
    fprintf(stderr, "%s: expected at least %zu bytes\n", path, bytes);
    free(data);
    return NULL;
}
