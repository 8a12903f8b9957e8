/* Outputs that may be added to. See gradients.h. */
#include "cases/gradients.h"

#include "cases/bounds.h"

scry__array *scry__gradient_add(scry__plan *plan, scry_tensor *tensor, const char *name, bool accumulate,
                                unsigned layout, int rank, const int64_t *shape)
{
    scry__array *output =
        scry__plan_add(plan, tensor, name, accumulate ? SCRY__UPDATED : SCRY__OUTPUT, SCRY_F32, layout, rank, shape);
    if (accumulate) scry__array_fill_usual(plan, output);
    return output;
}

void scry__gradient_judge(const scry__plan *plan, scry__verdict *verdict, const scry__array *output, int64_t index,
                          double value, double error)
{
    if (!output) return;
    bool   adds = output->role == SCRY__UPDATED && &plan->operands[output->storage] == output; /* not in place */
    double old  = adds ? scry__array_get(output, index) : 0;
    if (adds && (value != 0 || error > 0)) error += 2 * verdict->unit * (fabs(old) + fabs(value)) + SCRY__TINY;
    scry__verdict_result(verdict, output, index, old + value, plan->exact ? 0 : error);
}

void scry__gradient_add_term(scry__gradient_sum *sum, double factor, double factor_error, double other)
{
    sum->value += factor * other;
    sum->size += (fabs(factor) + factor_error) * fabs(other);
    sum->error += factor_error * fabs(other) + SCRY__TINY;
}

void scry__gradient_judge_sum(const scry__plan *plan, scry__verdict *verdict, const scry__array *output, int64_t index,
                              const scry__gradient_sum *sum, double roundings, double factor)
{
    double error = sum->error + gamma_of(roundings, verdict->unit) * sum->size;
    /* Without any term, or with zeros alone, there is nothing to round. */
    scry__gradient_judge(plan, verdict, output, index, factor * sum->value,
                         sum->size > 0 ? fabs(factor) * error + SCRY__TINY : 0);
}

double *scry__gradient_read(const scry__array *operand, double *into)
{
    if (!operand) return NULL;
    for (int64_t e = 0; e < scry__array_count(operand); e++) into[e] = scry__array_get(operand, e);
    return into;
}
