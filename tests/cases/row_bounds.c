/* Bounds of a softmax row. See row_bounds.h.
 *
 * With scores s known to within delta, p_j = exp(s_j - max) / Z moves in the log domain by at most
 *     delta_j + L,  L = ln(sum p exp(delta))
 * (the shift of ln Z: upwards L, downwards no more, by Jensen's inequality). The device's own arithmetic adds to each
 * exponential eta_j, of exp itself and of the rescaling of an online softmax, which multiplies by another exponential
 * at most once in each run of 32 keys; the arguments of these add up to that of one exp(s_j - max). The sum of K terms
 * adds gamma(K). The entropy moves with the scores by sum p_j |ln p_j + H| delta_j, and by the arithmetic of ln Z + sum
 * p (max - s) or of -sum p ln p, whichever the device uses. */
#include "cases/row_bounds.h"

#include "cases/bounds.h"

#include <string.h>

/* p = exp(s - max) / Z. Returns ln Z; leaves max in *largest. */
static double exact_row(scry__softmax_row *row, double *largest)
{
    double z = 0;
    *largest = -INFINITY;
    for (int64_t j = 0; j < row->count; j++) *largest = fmax(*largest, row->scores[j]);
    row->empty = true;
    for (int64_t j = 0; j < row->count; j++) {
        bool masked           = row->scores[j] == -INFINITY;
        row->empty            = row->empty && masked;
        row->probabilities[j] = masked ? 0 : exp(row->scores[j] - *largest);
        z += row->probabilities[j];
    }
    for (int64_t j = 0; !row->empty && j < row->count; j++) row->probabilities[j] /= z;
    return log(z);
}

/* Sum of p times what rounding and score errors do to it: exp(L) - 1. */
static double mean_growth(const scry__softmax_row *row)
{
    double growth = 0;
    for (int64_t j = 0; j < row->count; j++)
        if (row->probabilities[j] > 0) growth += row->probabilities[j] * expm1(row->log_errors[j]);
    return growth;
}

static void bound_entropy(scry__softmax_row *row, double largest, double log_z, double sum_error, double u)
{
    double moved = 0, rounded = 0, weighted = 0, widest = 0;
    for (int64_t j = 0; j < row->count; j++) {
        if (!(row->probabilities[j] > 0)) continue;
        double p = row->probabilities[j], below = largest - row->scores[j], log_p = -below - log_z;
        row->entropy -= p * log_p;
        weighted += p * below;
        rounded += p * (1 + below + fabs(log_p)) * (exp_error(below, u) + 8 * u);
        widest = fmax(widest, row->log_errors[j]);
    }
    for (int64_t j = 0; j < row->count; j++) {
        double p = row->probabilities[j];
        if (p > 0)
            moved += p * exp(row->log_errors[j]) * (fabs(log(p) + row->entropy) + 2 * widest) * row->score_errors[j];
    }
    if (isnan(row->lse)) row->entropy = (double)NAN;
    row->entropy_error = moved + rounded + log_error(log_z, u) +
                         (sum_error + gamma_of(8, u)) * (1 + fabs(log_z) + weighted + row->entropy);
}

void scry__softmax_row_bounds(scry__softmax_row *row, double u)
{
    double largest, log_z = exact_row(row, &largest);
    double rescalings = 1 + (double)row->count / 32;
    double sum_error  = gamma_of((double)row->count + rescalings, u);
    row->entropy = row->entropy_error = row->lse_error = row->largest_error = row->largest = 0;
    row->lse = row->empty ? -INFINITY : largest + log_z;
    for (int64_t j = 0; j < row->count; j++) {
        bool masked    = row->scores[j] == -INFINITY;
        row->errors[j] = 0;
        row->log_errors[j] =
            masked ? 0 : row->score_errors[j] + exp_error(row->scores[j] - largest, u) + rescalings * 9 * u;
    }
    if (row->empty) return;

    double shift   = log1p(mean_growth(row));
    row->lse_error = shift + sum_error + log_error(log_z, u) + 4 * u * (fabs(largest) + fabs(log_z));
    for (int64_t j = 0; j < row->count; j++) {
        if (row->scores[j] == -INFINITY) continue;
        row->log_errors[j] += shift + sum_error + 6 * u;
        /* Far below the largest score p is 0, whatever the error of its exponent. */
        double p           = row->probabilities[j];
        row->errors[j]     = (p > 0 ? p * expm1(row->log_errors[j]) : 0) + 2 * SCRY__TINY;
        row->largest_error = fmax(row->largest_error, row->errors[j]);
        row->largest       = fmax(row->largest, p);
    }
    if (isnan(row->lse)) row->largest = (double)NAN;
    bound_entropy(row, largest, log_z, sum_error, u);
}

double scry__divergence_of(const scry__softmax_row *p, const scry__softmax_row *q, double u, double *bound)
{
    double kl = 0, size = 0, moved = 0, last = gamma_of((double)p->count * (1 + 1. / 32) + 8, u);
    *bound = 0;
    if (!memcmp(p->scores, q->scores, (size_t)p->count * sizeof *p->scores)) return p->lse - q->lse;
    for (int64_t j = 0; j < p->count; j++)
        if (p->scores[j] != -INFINITY) kl += p->probabilities[j] * ((p->scores[j] - p->lse) - (q->scores[j] - q->lse));
    for (int64_t j = 0; j < p->count; j++) {
        if (p->scores[j] == -INFINITY) continue;
        double ratio = (p->scores[j] - p->lse) - (q->scores[j] - q->lse), between = fabs(p->scores[j] - q->scores[j]);
        moved += p->errors[j] * fabs(ratio - kl) + p->probabilities[j] * p->log_errors[j] * fabs(ratio - kl);
        moved += (fabs(p->probabilities[j] - q->probabilities[j]) + p->errors[j] + q->errors[j]) * q->score_errors[j];
        moved += (p->probabilities[j] + p->errors[j]) * 2 * u * (fabs(p->scores[j]) + fabs(q->scores[j]));
        size += p->probabilities[j] * (between + fabs(ratio));
    }
    /* Both lse are rounded and subtracted; their errors from the scores' are counted in `moved`. */
    *bound = moved + last * (size + 2 + fabs(p->lse) + fabs(q->lse)) + log_error(p->lse, u) + log_error(q->lse, u);
    return kl;
}
