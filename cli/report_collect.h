/* What scry report gathers for its page: every analysis of the prompt. */
#ifndef SCRY_CLI_REPORT_COLLECT_H
#define SCRY_CLI_REPORT_COLLECT_H

#include "cli/command.h"
#include "cli/output.h"

#include "report/html.h"

enum { REPORT_PARTS = 8 };

struct report_data {
    struct cli_common       *common;                /* opened by the caller */
    const char              *text;                  /* NULL: the ids of `common` */
    const char              *tuned;                 /* file of the lens; NULL: the logit lens */
    const char              *context;               /* a part of it that the prediction is to rest on; NULL: none */
    const char              *corrupt, *corrupt_ids; /* another prompt that is patched; both NULL: none */
    scry_token_choice        answer, wrong;         /* of the patching */
    bool                     align;                 /* its prompts, where they are of unequal length */
    scry_patch_method        method;                /* of its effects */
    int                      tokens;                /* to be generated after the prompt */
    bool                     quick;                 /* leave out what takes many passes */
    struct cli_progress      progress;
    scry_lens               *lens;
    scry__report_attention  *attention;
    scry__report_neurons    *neurons; /* NULL where the model does not offer them */
    scry_model              *twin;    /* while heads and induction need it */
    scry_heads              *heads;
    scry_generation         *generation; /* NULL where the prompt fills the context, or nothing was wanted */
    struct scry__report_part parts[REPORT_PARTS];
    int                      part_count;
};

scry_status report_collect(struct report_data *data);
void        report_release(struct report_data *data);

#endif
