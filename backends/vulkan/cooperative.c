/* Cooperative matrices: the shape that the device multiplies f16 in, and how a group's subgroups share a tile. */
#include "matmul.h"
#include "probe.h"

#include <string.h>

const struct scry__vk_tile scry__vk_matrices64  = {.m = 64, .n = 64, .steps = 16, .items = 128};
const struct scry__vk_tile scry__vk_matrices128 = {.m = 128, .n = 128, .steps = 16, .items = 256};

/* The least power of two whose square is no less than `count`. */
static uint32_t side_of(uint32_t count)
{
    uint32_t side = 1;
    while (side * side < count) side *= 2;
    return side;
}

struct scry__vk_grid scry__vk_grid(const struct scry__vk_limits *limits, const struct scry__vk_tile *tile)
{
    enum { SHARED_STEPS = 2 /* tiles of A and B at once */, HALF_BYTES = 2 };
    const uint32_t      *shape = limits->matrix_shape;
    struct scry__vk_grid none  = {0}, grid;
    if (!shape[0] || !limits->subgroup_size || tile->items % limits->subgroup_size) return none;
    uint32_t subgroups = tile->items / limits->subgroup_size;
    uint64_t bytes     = (uint64_t)(tile->m + tile->n) * tile->steps * SHARED_STEPS * HALF_BYTES +
                     (uint64_t)subgroups * shape[0] * shape[1] * sizeof(float);
    grid.down   = side_of(subgroups);
    grid.across = subgroups / grid.down;
    bool fits   = grid.across && grid.down * grid.across == subgroups && tile->m % (grid.down * shape[0]) == 0 &&
                tile->n % (grid.across * shape[1]) == 0 && tile->steps % shape[2] == 0;
    return fits && bytes <= limits->shared_bytes ? grid : none;
}

#ifdef VK_KHR_cooperative_matrix

enum { MOST_SHAPES = 64 };

/* Products of f16 with sums in f32, made by a subgroup, of sides that lie at multiples of 16 bytes in shared memory. */
static bool is_wanted(const VkCooperativeMatrixPropertiesKHR *given)
{
    return given->AType == VK_COMPONENT_TYPE_FLOAT16_KHR && given->BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
           given->CType == VK_COMPONENT_TYPE_FLOAT32_KHR && given->ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
           given->scope == VK_SCOPE_SUBGROUP_KHR && !given->saturatingAccumulation && given->MSize % 8 == 0 &&
           given->NSize % 8 == 0;
}

scry_status scry__vk_probe_matrices(struct scry__vk_limits *out, VkInstance instance, VkPhysicalDevice physical)
{
    static const char                name[] = "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR";
    VkCooperativeMatrixPropertiesKHR given[MOST_SHAPES];
    uint32_t                         count = MOST_SHAPES, largest = 0;
    if (!out->cooperative_matrix) return SCRY_OK;
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR list =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)vkGetInstanceProcAddr(instance, name);
    if (!list) return SCRY_OK;
    for (int i = 0; i < MOST_SHAPES; i++)
        given[i] = (VkCooperativeMatrixPropertiesKHR){.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR};
    VkResult    code   = list(physical, &count, given);
    scry_status status = code == VK_INCOMPLETE ? SCRY_OK : scry__vk_check(NULL, code, name);
    for (uint32_t i = 0; i < count && !status; i++) {
        const uint32_t shape[3] = {given[i].MSize, given[i].NSize, given[i].KSize};
        if (!is_wanted(&given[i]) || shape[0] * shape[1] * shape[2] <= largest) continue;
        struct scry__vk_limits with = *out;
        memcpy(with.matrix_shape, shape, sizeof shape);
        if (!scry__vk_grid(&with, &scry__vk_matrices64).down) continue;
        memcpy(out->matrix_shape, shape, sizeof shape);
        largest = shape[0] * shape[1] * shape[2];
    }
    return status;
}

#else

scry_status scry__vk_probe_matrices(struct scry__vk_limits *out, VkInstance instance, VkPhysicalDevice physical)
{
    (void)out, (void)instance, (void)physical;
    return SCRY_OK;
}

#endif
