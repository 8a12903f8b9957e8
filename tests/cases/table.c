/* The whole table: the rows of all ops, one after another. See cases.h. */
#include "cases/judge.h"

#include <string.h>

static const scry__case_table *const tables[] = {
    &scry__matmul_table,
    &scry__softmax_table,
    &scry__attention_table,
    &scry__rope_table,
    &scry__norm_table,
    &scry__lens_table,
    &scry__embed_table,
    &scry__add_table,
    &scry__scale_table,
    &scry__activation_table,
    &scry__copy_table,
    &scry__fill_table,
    &scry__sum_table,
    &scry__activation_backward_table,
    &scry__norm_backward_table,
    &scry__embed_backward_table,
    &scry__attention_backward_table,
    &scry__loss_table,
    &scry__adamw_table,
    &scry__sgd_table,
};
enum { TABLES = sizeof tables / sizeof *tables };

int scry__case_count(void)
{
    int count = 0;
    for (int i = 0; i < TABLES; i++) count += tables[i]->count;
    return count;
}

/* The table of a row, whose number inside it is left in *index. */
static const scry__case_table *table_of(int *index)
{
    int table = 0;
    while (*index >= tables[table]->count) *index -= tables[table++]->count;
    return tables[table];
}

/* FNV-1a: a row keeps its data when others are added around it. */
static uint64_t hash_of(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3;
    return hash;
}

scry__case scry__case_at(int index)
{
    const scry__case_table *table = table_of(&index);
    scry__case              row   = table->describe(index);
    row.kind                      = table->kind;
    row.seed                      = hash_of(row.name);
    return row;
}

int scry__case_find(const char *name)
{
    for (int i = 0; i < scry__case_count(); i++)
        if (!strcmp(scry__case_at(i).name, name)) return i;
    return -1;
}

scry_status scry__plan_build(scry__plan *plan, int index, uint64_t seed)
{
    scry__case row = scry__case_at(index);
    *plan          = (scry__plan){.op.kind = row.kind};
    scry__random_seed(&plan->random, seed ? seed : row.seed);
    table_of(&index)->build(plan, index);
    return plan->status;
}
