/* Softmax over a vocabulary, row by row: its log-sum-exp, and the divergence of two. Shared by lens and loss. */
#include "reference.h"

struct log_sum scry__reference_log_sum_exp(const double *logits, int64_t count)
{
    int64_t    best    = scry__reference_next_largest(logits, count, -1);
    double     largest = best < 0 ? 0 : logits[best];
    struct sum total   = {0};
    for (int64_t v = 0; v < count; v++) sum_add(&total, exp(logits[v] - largest));
    return (struct log_sum){largest, log(sum_value(&total))};
}

/* Equal logits give exactly 0, since every term is; rounding never makes it negative. */
double scry__reference_divergence(const double *p, const double *q, int64_t count)
{
    struct log_sum p_lse = scry__reference_log_sum_exp(p, count), q_lse = scry__reference_log_sum_exp(q, count);
    struct sum     kl = {0};
    for (int64_t v = 0; v < count; v++) {
        double log_p = log_probability(p[v], &p_lse);
        if (exp(log_p) != 0) sum_add(&kl, exp(log_p) * (log_p - log_probability(q[v], &q_lse)));
    }
    return sum_value(&kl) < 0 ? 0 : sum_value(&kl);
}
