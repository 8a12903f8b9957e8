/* Self-tests of optional paths, against plain loops on the host. See prove.h; shaders/prove_*.comp. */
#include "prove.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { GROUPS = 8 /* so that several run at once */ };

void scry__vk_find(struct scry__vk_finding *finding, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
}

static void bind(struct scry__vk_call *call, const struct scry__vk_mapped *memory, size_t bytes, unsigned access)
{
    call->bindings[call->binding_count++] = (struct scry__vk_touched){memory->buffer, 0, bytes, access};
}

scry_status scry__vk_find_refused(struct scry__vk_finding *finding, scry_status status)
{
    if (status != SCRY_UNSUPPORTED && status != SCRY_NO_DEVICE) return status;
    scry__vk_find(finding, "the driver does not take its kernel");
    return SCRY_OK;
}

/* Runs `groups` groups and waits. */
static scry_status run(struct scry__vk_call *call, int64_t groups, struct scry__vk_finding *finding)
{
    scry_status status = scry__vk_launch(call, groups, (double)groups * call->constants[0] * 32);
    if (!status) status = scry__vk_wait(call->vk);
    return scry__vk_find_refused(finding, status);
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* --- Subgroups --- */

enum { MOST_ITEMS = 256 };

/* What prove_subgroups.comp writes for an item. */
struct row {
    uint32_t lane, subgroup, subgroups, sum, sum_to_here, largest, least_key, beside, below, group_sum, group_largest,
        group_least;
};

/* Multiples of 1/4 whose sums f32 holds. */
static float value_of(uint32_t index)
{
    return (float)((int)(index * 37 % 61) - 30) / 4;
}

/* What item `own` of a group has to write, from where each item says it is. `members`: 0 is the subgroup, 1 those of
 * them up to the item's lane, 2 the group. */
static void expect(struct row *out, const struct row *group, uint32_t first, uint32_t items, uint32_t own)
{
    float    sum[3] = {0}, largest[3] = {-INFINITY, -INFINITY, -INFINITY};
    uint32_t key[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    *out            = group[own];
    out->below      = 0;
    for (uint32_t i = 0; i < items; i++) {
        const bool  together  = group[i].subgroup == group[own].subgroup;
        const bool  member[3] = {together, together && group[i].lane <= group[own].lane, true};
        const float value     = value_of(first + i);
        if (together && group[i].lane < group[own].lane && value > 0) out->below++;
        if (together && group[i].lane == (group[own].lane ^ 1)) out->beside = i;
        for (int j = 0; j < 3; j++) {
            if (!member[j]) continue;
            sum[j] += value;
            if (value > largest[j]) largest[j] = value;
            if (items - i < key[j]) key[j] = items - i;
        }
    }
    out->sum           = bits_of(sum[0]);
    out->sum_to_here   = bits_of(sum[1]);
    out->largest       = bits_of(largest[0]);
    out->least_key     = key[0];
    out->group_sum     = bits_of(sum[2]);
    out->group_largest = bits_of(largest[2]);
    out->group_least   = key[2];
}

/* Whether every lane of every subgroup is one item. */
static bool are_places(const struct row *group, uint32_t items, uint32_t size)
{
    bool taken[MOST_ITEMS] = {false};
    for (uint32_t i = 0; i < items; i++) {
        uint32_t place = group[i].subgroup * size + group[i].lane;
        if (group[i].subgroups != items / size || group[i].lane >= size || group[i].subgroup >= items / size ||
            taken[place])
            return false;
        taken[place] = true;
    }
    return true;
}

static void judge_group(struct scry__vk_finding *finding, const struct row *group, uint32_t first, uint32_t items,
                        uint32_t asked)
{
    static const char *const names[] = {"lane",
                                        "subgroup",
                                        "number of subgroups",
                                        "sum",
                                        "sum of lanes",
                                        "maximum",
                                        "minimum",
                                        "shuffle",
                                        "ballot",
                                        "sum of a group",
                                        "maximum of a group",
                                        "minimum of a group"};
    uint32_t                 size    = group->subgroups ? items / group->subgroups : 0;
    if (!size || (asked && size != asked) || !are_places(group, items, size)) {
        scry__vk_find(finding, "subgroups of %u: items lie in %u subgroups, or two in one place", asked,
                      group->subgroups);
        return;
    }
    for (uint32_t i = 0; i < items; i++) {
        struct row expected;
        uint32_t   had[12], has[12];
        expect(&expected, group, first, items, i);
        memcpy(had, &group[i], sizeof had);
        memcpy(has, &expected, sizeof has);
        for (int j = 0; j < 12; j++) {
            if (had[j] == has[j]) continue;
            scry__vk_find(finding, "subgroups of %u: %s is %08x, expected %08x", size, names[j], had[j], has[j]);
            return;
        }
    }
}

_Static_assert(sizeof(struct row) == 12 * sizeof(uint32_t), "as prove_subgroups.comp writes it");

static scry_status prove_size(struct scry__vk *vk, uint32_t size, struct scry__vk_mapped *x,
                              struct scry__vk_mapped *out, struct scry__vk_finding *finding)
{
    const uint32_t       items  = (uint32_t)least(MOST_ITEMS, vk->limits.most_items);
    struct scry__vk_call call   = scry__vk_call(vk, "prove_subgroups", items);
    float               *values = x->host;
    const struct row    *rows   = out->host;
    for (uint32_t i = 0; i < GROUPS * items; i++) values[i] = value_of(i);
    memset(out->host, 0xff, GROUPS * items * sizeof *rows);
    call.subgroup_size = size;
    bind(&call, x, GROUPS * items * sizeof *values, SCRY__VK_READ);
    bind(&call, out, GROUPS * items * sizeof *rows, SCRY__VK_WRITE);
    scry_status status = run(&call, GROUPS, finding);
    for (uint32_t i = 0; i < GROUPS && !status && !*finding->text; i++)
        judge_group(finding, rows + i * items, i * items, items, size);
    return status;
}

/* In subgroups as the driver likes them, and in each size that can be required. */
scry_status scry__vk_prove_subgroups(struct scry__vk *vk, struct scry__vk_finding *finding)
{
    struct scry__vk_mapped x = {0}, out = {0};
    scry_status            status = scry__vk_mapped_create(&x, vk, GROUPS * MOST_ITEMS * sizeof(float));
    if (!status) status = scry__vk_mapped_create(&out, vk, GROUPS * MOST_ITEMS * sizeof(struct row));
    if (!status) status = prove_size(vk, 0, &x, &out, finding);
    for (uint32_t size = vk->limits.subgroup_least; size && size <= vk->limits.subgroup_most; size *= 2)
        if (!status && !*finding->text) status = prove_size(vk, size, &x, &out, finding);
    scry__vk_mapped_destroy(vk, &out);
    scry__vk_mapped_destroy(vk, &x);
    return status;
}

/* --- Arithmetic in f16 --- */

static float float_of_half(uint32_t half)
{
    const int  exponent = (int)(half >> 10 & 31), fraction = (int)(half & 1023);
    const bool negative = half >> 15 & 1;
    float      value    = exponent ? ldexpf((float)(fraction + 1024), exponent - 25) : ldexpf((float)fraction, -24);
    if (exponent == 31) value = fraction ? NAN : INFINITY;
    return negative ? -value : value;
}

static void halves_of(float out[2], uint32_t word)
{
    out[0] = float_of_half(word & 0xffff);
    out[1] = float_of_half(word >> 16);
}

/* Whether `given` is a nearest f16 to a number in its range. */
static bool is_nearest(float given, float exact)
{
    return exact == 0 ? given == 0 : fabsf(given - exact) <= ldexpf(1, ilogbf(exact) - 11);
}

/* What prove_float16.comp rounds; f32 holds it, and no result is near the ends of the range of f16. */
static void judge_roundings(struct scry__vk_finding *finding, float x, const uint32_t *words)
{
    const float beside[2] = {x * 1.000244140625f, x * 1.000732421875f};
    float       converted[2], computed[2];
    halves_of(converted, words[0]);
    halves_of(computed, words[1]);
    for (int i = 0; i < 2; i++)
        if (!is_nearest(converted[i], beside[i]))
            scry__vk_find(finding, "%.9g as f16 is %.9g", (double)beside[i], (double)converted[i]);
    if (!is_nearest(computed[0], x * 1.25f))
        scry__vk_find(finding, "%.9g * 1.25 in f16 is %.9g", (double)x, (double)computed[0]);
    if (!is_nearest(computed[1], x + 1.25f))
        scry__vk_find(finding, "%.9g + 1.25 in f16 is %.9g", (double)x, (double)computed[1]);
}

static void judge_float16(struct scry__vk_finding *finding, uint32_t index, const uint32_t *row)
{
    const float    a = (float)(int)(index % 37) - 18, b = (float)(int)(index / 37 % 29) - 14;
    const float    converted = float_of_half(index), dot = a * b + b * a;
    float          given, given_dot, halves[2];
    const uint32_t nan = isnan(converted), exponent = index >> 10 & 31;
    halves_of(halves, row[1]);
    memcpy(&given, &row[0], sizeof given);
    memcpy(&given_dot, &row[2], sizeof given_dot);
    if (nan ? !isnan(given) : row[0] != bits_of(converted))
        scry__vk_find(finding, "f16 %04x as f32 is %08x, expected %08x", index, row[0], bits_of(converted));
    else if (halves[0] != a * b + a || halves[1] != b * a + a)
        scry__vk_find(finding, "%g * %g + %g is %g and %g", (double)a, (double)b, (double)a, (double)halves[0],
                      (double)halves[1]);
    else if (given_dot != dot)
        scry__vk_find(finding, "%g * %g + %g * %g is %g", (double)a, (double)b, (double)b, (double)a,
                      (double)given_dot);
    else if (exponent >= 7 && exponent <= 25)
        judge_roundings(finding, converted, row + 3);
}

static scry_status prove_halves(struct scry__vk *vk, struct scry__vk_finding *finding)
{
    enum { HALVES = 1 << 16, ITEMS = 64, WORDS = 5 };
    struct scry__vk_mapped out    = {0};
    struct scry__vk_call   call   = scry__vk_call(vk, "prove_float16", ITEMS);
    scry_status            status = scry__vk_mapped_create(&out, vk, HALVES * WORDS * sizeof(uint32_t));
    if (status) return status;
    memset(out.host, 0xff, HALVES * WORDS * sizeof(uint32_t));
    bind(&call, &out, HALVES * WORDS * sizeof(uint32_t), SCRY__VK_WRITE);
    status = run(&call, HALVES / ITEMS, finding);
    for (uint32_t i = 0; i < HALVES && !status && !*finding->text; i++)
        judge_float16(finding, i, (const uint32_t *)out.host + (size_t)i * WORDS);
    scry__vk_mapped_destroy(vk, &out);
    return status;
}

/* Its arithmetic, and the kernel that uses it. */
scry_status scry__vk_prove_float16(struct scry__vk *vk, struct scry__vk_finding *finding)
{
    scry_status status = prove_halves(vk, finding);
    return status || *finding->text ? status : scry__vk_prove_matmul(vk, "half", finding);
}

scry_status scry__vk_prove_cooperative(struct scry__vk *vk, struct scry__vk_finding *finding)
{
    return scry__vk_prove_matmul(vk, "cooperative", finding);
}
