/* Shape classes: each op falls into one, where the borders are, and that each class is measured on one of its own. */
#include "device/shape_class.h"

#include "cases/plan.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Never looked into. */
static char memory;

static scry_buffer *any_buffer(void)
{
    return (scry_buffer *)(void *)&memory;
}

/* A row's op as a device would see it. */
static scry_op op_of_row(int row)
{
    static scry__plan plan;
    cr_assert_eq(scry__plan_build(&plan, row, 0), SCRY_OK, "%s", scry__case_at(row).name);
    for (int i = 0; i < plan.count; i++)
        if (!plan.operands[i].dropped) {
            scry_tensor *tensor = scry__plan_tensor(&plan.op, &plan.operands[i]);
            *tensor             = plan.operands[i].view;
            tensor->buffer      = any_buffer();
        }
    scry_op op = plan.op;
    scry__plan_finish(&plan);
    return op;
}

Test(shape_class, every_row__has_one_class_of_its_op)
{
    for (int row = 0; row < scry__case_count(); row++) {
        scry__case at = scry__case_at(row);
        if (at.tier == SCRY__TIER_FULL) continue; /* large, and nothing new */
        scry_op op = op_of_row(row);
        int class  = scry__shape_class(&op);
        cr_expect(class >= 0 && class < scry__shape_class_count(at.kind), "%s: %d", at.name, class);
    }
}

Test(shape_class, names__are_told_apart)
{
    for (int kind = 0; kind < SCRY_OP_COUNT; kind++) {
        int count = scry__shape_class_count((scry_op_kind)kind);
        cr_expect(count > 0 && count <= SCRY__MAX_CLASSES);
        for (int class = 0; class < count; class ++)
            cr_expect_eq(scry__shape_class_find((scry_op_kind)kind, scry__shape_class_name((scry_op_kind)kind, class)),
                         class);
        cr_expect_eq(scry__shape_class_find((scry_op_kind)kind, "nonesuch"), -1);
    }
}

Test(shape_class, representative__lies_in_its_class, .timeout = 120)
{
    for (int kind = 0; kind < SCRY_OP_COUNT; kind++)
        for (int class = 0; class < scry__shape_class_count((scry_op_kind)kind); class ++) {
            const char *name = scry__shape_class_name((scry_op_kind)kind, class);
            int         row  = scry__case_of_class((scry_op_kind)kind, name);
            cr_assert_geq(row, 0, "%s %s: no row", scry_op_text((scry_op_kind)kind), name);
            scry_op op = op_of_row(row);
            cr_expect_eq((int)op.kind, kind);
            cr_expect_eq(scry__shape_class(&op), class, "%s is of class %s, not %s", scry__case_at(row).name,
                         scry__shape_class_name((scry_op_kind)kind, scry__shape_class(&op)), name);
        }
}

static scry_tensor tensor_of(scry_dtype dtype, int64_t rows, int64_t columns)
{
    return scry_tensor_of(any_buffer(), 0, dtype, 2, (int64_t[]){rows, columns});
}

Test(shape_class, matmul__goes_by_size_layout_and_type)
{
    static const struct {
        int64_t    m, n, k;
        bool       turned;
        scry_dtype dtype;
        const char *class;
    } cases[] = {
        {1, 1, 1, false, SCRY_F32, "tiny"},
        {0, 5, 7, false, SCRY_F32, "tiny"},
        {5, 7, 0, false, SCRY_F32, "tiny"},
        {16, 256, 256, true, SCRY_BF16, "tiny"},
        {16, 256, 257, false, SCRY_F32, "short-kn-f32"},
        {8, 4096, 4096, false, SCRY_F32, "few-kn-f32"},
        {8, 4096, 4096, true, SCRY_F32, "few-nk-f32"},
        {1, 4096, 4096, false, SCRY_F16, "few-kn-half"},
        {1, 4096, 4096, true, SCRY_BF16, "few-nk-half"},
        {1, 64, 1 << 20, true, SCRY_BF16, "few-nk-half"},
        {9, 4096, 4096, true, SCRY_BF16, "short-nk-half"},
        {256, 4096, 4096, true, SCRY_F32, "short-nk-f32"},
        {257, 4096, 4096, true, SCRY_F32, "long-nk-f32"},
        {257, 4096, 4096, false, SCRY_F16, "long-kn-half"},
        {128, 128, 2048, false, SCRY_F32, "deep"},
        {128, 128, 2047, false, SCRY_F32, "short-kn-f32"},
        {128, 129, 2048, false, SCRY_F32, "short-kn-f32"},
        {1024, 64, 1024, true, SCRY_F32, "thin"},
        {1024, 65, 1024, true, SCRY_F32, "long-nk-f32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_op op  = {.kind = SCRY_OP_MATMUL};
        op.matmul.a = tensor_of(SCRY_F32, cases[i].m, cases[i].k);
        op.matmul.b = tensor_of(cases[i].dtype, cases[i].k, cases[i].n);
        op.matmul.c = tensor_of(SCRY_F32, cases[i].m, cases[i].n);
        if (cases[i].turned) op.matmul.b.stride[0] = 1, op.matmul.b.stride[1] = cases[i].k;
        cr_expect_str_eq(scry__shape_class_name(SCRY_OP_MATMUL, scry__shape_class(&op)), cases[i].class, "case %zu", i);
    }
}

Test(shape_class, attention__goes_by_length_head_and_capture)
{
    static const struct {
        int64_t queries, keys, size;
        int     capture; /* 1: a statistic, 2: a tile */
        const char *class;
    } cases[] = {
        {1, 5000, 64, 0, "few-narrow"},           {8, 5000, 65, 1, "few-wide-captured"},
        {9, 256, 64, 2, "short-narrow-captured"}, {9, 256, 128, 0, "short-wide"},
        {9, 257, 64, 0, "long-narrow"},           {4096, 4096, 128, 1, "long-wide-captured"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t q[] = {1, cases[i].queries, 2, cases[i].size}, k[] = {1, cases[i].keys, 2, cases[i].size};
        const int64_t rows[] = {1, 2, cases[i].queries}, tile[] = {1, 2, cases[i].queries, cases[i].keys};
        scry_op       op = {.kind = SCRY_OP_ATTENTION};
        op.attention.q = op.attention.out = scry_tensor_of(any_buffer(), 0, SCRY_F32, 4, q);
        op.attention.k = op.attention.v = scry_tensor_of(any_buffer(), 0, SCRY_F32, 4, k);
        scry_attention_capture *capture = &op.attention.capture;
        if (cases[i].capture == 1) capture->rows.lse = scry_tensor_of(any_buffer(), 0, SCRY_F32, 3, rows);
        if (cases[i].capture == 2) capture->probabilities = scry_tensor_of(any_buffer(), 0, SCRY_F32, 4, tile);
        cr_expect_str_eq(scry__shape_class_name(SCRY_OP_ATTENTION, scry__shape_class(&op)), cases[i].class, "case %zu",
                         i);
    }
}
