/* Copying patterns. See copy.h. */
#include "train/copy.h"

#include "base/noise.h"

#include <math.h>

enum { KINDS = SCRY__COPY_MOST - SCRY__COPY_LEAST + 1, DRAWS = 8 /* numbers set aside for a row */ };

/* Uniform in [0, bound), within 2^-32 of it. */
static int draw(uint64_t stream, uint64_t index, int bound)
{
    return (int)((scry__noise_bits(stream, index) >> 32) * (uint64_t)bound >> 32);
}

void scry__copy_row(int32_t *row, int length, int vocabulary, uint64_t stream, uint64_t number)
{
    uint64_t first   = number * DRAWS;
    int      pattern = SCRY__COPY_LEAST + draw(stream, first, KINDS);
    for (int i = 0; i < length; i++)
        row[i] = i < pattern ? draw(stream, first + 1 + (uint64_t)i, vocabulary) : row[i - pattern];
}

/* The optimal predictor: after `seen` tokens, the weight of each pattern length that they leave possible. Lengths are
 * equally likely; one of n has made the first min(n, seen) tokens, each one of the vocabulary, and all behind them
 * follow. */
struct predictor {
    int    vocabulary, seen;
    double weights[KINDS];
};

static struct predictor start(int vocabulary)
{
    struct predictor predictor = {.vocabulary = vocabulary};
    for (int kind = 0; kind < KINDS; kind++) predictor.weights[kind] = 1.0 / KINDS;
    return predictor;
}

/* The probability that it gives to the next token of a row that repeats `tokens` after `period`; it then takes it in.
 */
static double take(struct predictor *predictor, const int32_t *tokens, int period)
{
    int    at     = predictor->seen++;
    double before = 0, behind = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        int pattern = SCRY__COPY_LEAST + kind;
        before += predictor->weights[kind];
        predictor->weights[kind] *=
            at < pattern ? 1.0 / predictor->vocabulary : tokens[at % period] == tokens[(at - pattern) % period];
        behind += predictor->weights[kind];
    }
    return behind / before;
}

double scry__copy_best(const int32_t *row, int length, int vocabulary)
{
    struct predictor predictor = start(vocabulary);
    double           sum       = 0;
    take(&predictor, row, length);
    while (predictor.seen < length) sum -= log(take(&predictor, row, length));
    return sum / (length - 1);
}

/* A row's losses depend only on which of its pattern's tokens are equal. So instead of all patterns those count whose
 * new tokens are 0, 1, 2, ... in this order, each for all that look alike. */
struct census {
    double *losses;
    int     length, vocabulary, pattern;
    int32_t tokens[SCRY__COPY_MOST];
};

static void add_losses(const struct census *census, double share)
{
    struct predictor predictor = start(census->vocabulary);
    for (int at = 0; at < census->length; at++)
        census->losses[at] -= share * log(take(&predictor, census->tokens, census->pattern));
}

/* Every way to go on with token `at` of the pattern, of which `distinct` differ so far. */
static void count_patterns(struct census *census, int at, int distinct, double share)
{
    if (at == census->pattern) {
        add_losses(census, share);
        return;
    }
    for (int token = 0; token <= distinct && token < census->vocabulary; token++) {
        double alike       = token < distinct ? 1 : census->vocabulary - distinct;
        census->tokens[at] = token;
        count_patterns(census, at + 1, distinct + (token == distinct), share * alike / census->vocabulary);
    }
}

double scry__copy_bound(double *losses, int length, int vocabulary)
{
    double sum = 0;
    for (int at = 0; at < length; at++) losses[at] = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        struct census census = {
            .losses = losses, .length = length, .vocabulary = vocabulary, .pattern = SCRY__COPY_LEAST + kind};
        count_patterns(&census, 0, 0, 1.0 / KINDS);
    }
    for (int at = 1; at < length; at++) sum += losses[at];
    return sum / (length - 1);
}
