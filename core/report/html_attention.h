/* What html_attention.c keeps of attention patterns, for html_data.c to write. */
#ifndef SCRY_REPORT_HTML_ATTENTION_H
#define SCRY_REPORT_HTML_ATTENTION_H

#include "report/html.h"

/* Where a head looks from the last token; the first token, a common sink, and the last itself are left out. */
struct scry__look {
    int   layer, head, key;
    float weight; /* 0: no token lies between */
};

struct scry__report_attention {
    int                layer_count, head_count, token_count;
    int                block;  /* positions on a side that one code stands for */
    int                grid;   /* codes on a side: ceil(token_count / block) */
    int                levels; /* 65,535, 255 or 31: the code of weight 1 */
    size_t             head_codes, layer_bytes;
    uint8_t           *codes; /* [layer_count][head_count][grid * (grid + 1) / 2], 1 or 2 bytes each */
    bool              *present;
    struct scry__look *looks; /* [layer_count, head_count]: each head's strongest */
    struct scry__look  look;  /* the strongest of all */
};

/* How hard a head looks; 0 where no token lies between, or its layer was not added. */
float scry__report_attention_look(const scry__report_attention *attention, int layer, int head);

#endif
