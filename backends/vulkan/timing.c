/* How long kernels take on this device, so that submissions can be planned.
 *
 * A kernel's pace is seconds for an operation. Until it was seen, a cautious figure for the type of device stands in;
 * then timestamps around its longer dispatches tell, or the clock on the wall for whole submissions where the device
 * has no timestamps. */
#include "timing.h"

/* Shorter ones say more about the cost of a dispatch than about the kernel. */
#define LONG_ENOUGH 5e-4

scry_status scry__vk_timing_create(struct scry__vk_timing *out, struct scry__vk *vk)
{
    VkQueryPoolCreateInfo info = {.sType      = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                  .queryType  = VK_QUERY_TYPE_TIMESTAMP,
                                  .queryCount = 2 * SCRY__VK_TIMED};
    if (!vk->limits.timestamp_bits) return SCRY_OK;
    return scry__vk_check(vk, vkCreateQueryPool(vk->device, &info, NULL, &out->stamps), "vkCreateQueryPool");
}

void scry__vk_timing_destroy(struct scry__vk_timing *timing, struct scry__vk *vk)
{
    vkDestroyQueryPool(vk->device, timing->stamps, NULL);
    timing->stamps = VK_NULL_HANDLE;
}

/* Slower than devices of that type are. */
static double cautious_pace(VkPhysicalDeviceType type)
{
    switch ((int)type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return 1 / 2e10;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return 1 / 4e9;
    default:
        return 1 / 1e9;
    }
}

double scry__vk_timing_expect(const struct scry__vk *vk, double pace, double operations)
{
    return operations * (pace > 0 ? pace : cautious_pace(vk->limits.type));
}

static void stamp(const struct scry__vk_timing *timing, VkCommandBuffer commands, int which)
{
    if (timing->stamps)
        vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, timing->stamps,
                            (uint32_t)(2 * timing->count + which));
}

bool scry__vk_timing_begin(struct scry__vk_timing *timing, const struct scry__vk *vk, VkCommandBuffer commands,
                           double *pace, double operations)
{
    if (timing->count == SCRY__VK_TIMED || scry__vk_timing_expect(vk, *pace, operations) < LONG_ENOUGH) return false;
    if (timing->stamps) vkCmdResetQueryPool(commands, timing->stamps, (uint32_t)(2 * timing->count), 2);
    timing->timed[timing->count].pace       = pace;
    timing->timed[timing->count].operations = operations;
    stamp(timing, commands, 0);
    return true;
}

void scry__vk_timing_end(struct scry__vk_timing *timing, VkCommandBuffer commands)
{
    stamp(timing, commands, 1);
    timing->count++;
}

/* That a kernel is slower is believed at once, up to a factor: something else may have run meanwhile. That it is faster
 * is believed by and by. */
static void learn(const struct scry__vk *vk, double *pace, double operations, double seconds)
{
    double seen = seconds / operations, known = scry__vk_timing_expect(vk, *pace, 1);
    if (seen > 4 * known) seen = 4 * known;
    *pace = seen > known || *pace <= 0 ? seen : (known + seen) / 2;
}

static void learn_from_stamps(struct scry__vk_timing *timing, struct scry__vk *vk)
{
    uint64_t stamps[2 * SCRY__VK_TIMED];
    uint32_t bits   = vk->limits.timestamp_bits;
    uint64_t mask   = bits < 64 ? ((uint64_t)1 << bits) - 1 : UINT64_MAX;
    double   period = vk->limits.timestamp_period * 1e-9;
    VkResult code   = vkGetQueryPoolResults(vk->device, timing->stamps, 0, (uint32_t)(2 * timing->count), sizeof stamps,
                                            stamps, sizeof *stamps, VK_QUERY_RESULT_64_BIT);
    if (code != VK_SUCCESS) return;
    for (int i = 0; i < timing->count; i++) {
        double seconds = (double)((stamps[2 * i + 1] - stamps[2 * i]) & mask) * period;
        learn(vk, timing->timed[i].pace, timing->timed[i].operations, seconds);
    }
}

/* Shared out as it was planned. */
static void learn_from_wall(struct scry__vk_timing *timing, struct scry__vk *vk, double waited)
{
    double planned = 0;
    for (int i = 0; i < timing->count; i++)
        planned += scry__vk_timing_expect(vk, *timing->timed[i].pace, timing->timed[i].operations);
    for (int i = 0; i < timing->count; i++) {
        double operations = timing->timed[i].operations;
        double expected   = scry__vk_timing_expect(vk, *timing->timed[i].pace, operations);
        learn(vk, timing->timed[i].pace, operations, waited * expected / planned);
    }
}

void scry__vk_timing_learn(struct scry__vk_timing *timing, struct scry__vk *vk, double waited)
{
    if (!timing->count) return;
    if (timing->stamps)
        learn_from_stamps(timing, vk);
    else if (waited > 0)
        learn_from_wall(timing, vk, waited);
    timing->count = 0;
}
