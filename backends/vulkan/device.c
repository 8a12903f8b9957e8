/* The devices that the Vulkan loader lists, in its order: what they are, and opening and closing one.
 *
 * Each listing and each open device has an instance of its own, so that they do not depend on each other. */
#include "probe.h"
#include "validation.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const struct scry_host *scry__vk_host;

SCRY_API scry_backend_entry_function scry_backend_entry;

enum { MOST_DEVICES = 32 };

double scry__vk_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Drivers such as MoltenVK, which lack a corner of Vulkan that nothing here uses, are listed only to those who ask. */
static bool lists_portable(void)
{
#ifdef VK_KHR_portability_enumeration
    enum { MOST = 64 };
    VkExtensionProperties listed[MOST];
    uint32_t              count = MOST;
    VkResult              code  = vkEnumerateInstanceExtensionProperties(NULL, &count, listed);
    if (code != VK_SUCCESS && code != VK_INCOMPLETE) return false;
    for (uint32_t i = 0; i < count; i++)
        if (!strcmp(listed[i].extensionName, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) return true;
#endif
    return false;
}

static scry_status create_instance(VkInstance *out, struct scry__vk_validation *validation)
{
    VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .pApplicationName = "scry", .apiVersion = VK_API_VERSION_1_2};
    const char          *names[2];
    VkInstanceCreateInfo info = {.sType                   = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pApplicationInfo        = &application,
                                 .ppEnabledExtensionNames = names};
#ifdef VK_KHR_portability_enumeration
    if (lists_portable()) {
        info.flags                          = VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
        names[info.enabledExtensionCount++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
    }
#endif
    scry__vk_validation_ask(validation, &info, names);
    VkResult    code   = vkCreateInstance(&info, NULL, out);
    scry_status status = scry__vk_validation_begin(validation, *out, code);
    if (status) return status;
    if (code == VK_ERROR_INCOMPATIBLE_DRIVER)
        return scry__vk_host->fail(SCRY_NO_DEVICE,
                                   "no Vulkan driver is installed that the loader can use (vkCreateInstance: "
                                   "VK_ERROR_INCOMPATIBLE_DRIVER): expected a driver's ICD, such as the "
                                   "package mesa-vulkan-drivers");
    return scry__vk_check(NULL, code, "vkCreateInstance");
}

static scry_status list_devices(VkInstance instance, VkPhysicalDevice *devices, uint32_t *count)
{
    *count        = MOST_DEVICES;
    VkResult code = vkEnumeratePhysicalDevices(instance, count, devices);
    if (code == VK_INCOMPLETE) code = VK_SUCCESS;
    scry_status status = scry__vk_check(NULL, code, "vkEnumeratePhysicalDevices");
    if (status) *count = 0;
    if (!status && !*count) status = scry__vk_host->fail(SCRY_NO_DEVICE, "no Vulkan driver lists a device");
    return status;
}

static void describe(const struct scry__vk_limits *limits, scry_device_info *info)
{
    *info = (scry_device_info){.backend = "vulkan"};
    snprintf(info->description, sizeof info->description, "%.120s", limits->name);
    snprintf(info->driver, sizeof info->driver, "%.120s", limits->driver);
    switch ((int)limits->type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        info->type = SCRY_DEVICE_DISCRETE_GPU;
        break;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        info->type = SCRY_DEVICE_INTEGRATED_GPU;
        break;
    default:
        info->type = SCRY_DEVICE_SOFTWARE_GPU;
    }
    /* The cpu backend has 100: it is faster than Vulkan on the same processor. */
    static const int scores[] = {
        [SCRY_DEVICE_SOFTWARE_GPU] = 40, [SCRY_DEVICE_INTEGRATED_GPU] = 210, [SCRY_DEVICE_DISCRETE_GPU] = 310};
    info->score            = scores[info->type];
    info->memory_bytes     = limits->memory_bytes;
    info->max_buffer_bytes = limits->most_bound;
    info->shared_bytes     = limits->shared_bytes;
    info->subgroup_size    = limits->subgroup_size;
}

static scry_status find(scry_device_info *infos, int capacity, int *count)
{
    VkPhysicalDevice       devices[MOST_DEVICES];
    VkInstance             instance = NULL;
    struct scry__vk_limits limits;
    uint32_t               listed = 0;
    *count                        = 0;
    scry_status status            = create_instance(&instance, NULL);
    if (status) return status;
    status = list_devices(instance, devices, &listed);
    for (int i = 0; i < (int)listed && i < capacity && !status; i++) {
        status = scry__vk_probe(&limits, devices[i]);
        if (!status) describe(&limits, &infos[i]);
    }
    if (!status) *count = (int)listed;
    vkDestroyInstance(instance, NULL);
    return status;
}

static void destroy(struct scry__vk *vk)
{
    if (!vk) return;
    scry__vk_drain(vk);
    scry__vk_programs_destroy(vk);
    scry__vk_recorder_destroy(vk);
    scry__vk_pool_destroy(vk);
    if (vk->device) vkDestroyDevice(vk->device, NULL);
    scry__vk_validation_end(vk->validation, vk->instance);
    if (vk->instance) vkDestroyInstance(vk->instance, NULL);
    scry__vk_validation_destroy(vk);
    scry__vk_host->release(vk);
}

static scry_status choose(struct scry__vk *vk, int index)
{
    VkPhysicalDevice devices[MOST_DEVICES];
    uint32_t         count  = 0;
    scry_status      status = list_devices(vk->instance, devices, &count);
    if (status) return status;
    if (index < 0 || index >= (int)count)
        return scry__vk_host->fail(SCRY_NO_DEVICE, "vulkan: device %d of %u is gone", index, count);
    vk->physical = devices[index];
    status       = scry__vk_probe(&vk->limits, vk->physical);
    if (!status) status = scry__vk_probe_matrices(&vk->limits, vk->instance, vk->physical);
    if (!status && *vk->limits.lacks)
        status = scry__vk_host->fail(SCRY_NO_DEVICE, "vulkan: \"%s\" lacks %s, which every kernel needs",
                                     vk->limits.name, vk->limits.lacks);
    return status;
}

static scry_status device_open(scry_device *device, int index, const scry_device_options *options)
{
    (void)options;
    scry_status      status = SCRY_OUT_OF_MEMORY;
    struct scry__vk *vk     = scry__vk_host->allocate(1, sizeof *vk);
    if (!vk) return status;
    vk->front = device;
    vk->store = (struct scry__store){
        .host = scry__vk_host, .name = "vulkan", .without = "pipelines are built anew each time", .most_files = 32};
    status = scry__vk_validation_create(vk);
    if (!status) status = create_instance(&vk->instance, vk->validation);
    if (!status) status = choose(vk, index);
    if (!status) status = scry__vk_device_create(&vk->device, vk->physical, &vk->limits);
    if (status) goto fail;
    vkGetDeviceQueue(vk->device, vk->limits.queue_family, 0, &vk->queue);
    status = scry__vk_pool_create(vk);
    if (!status) status = scry__vk_recorder_create(vk);
    if (!status) status = scry__vk_programs_create(vk);
    device->impl = vk;
    if (!status) status = scry__vk_paths_prove(vk);
    if (status) goto fail;
    return SCRY_OK;

fail:
    device->impl = NULL;
    destroy(vk);
    return status;
}

static void device_close(scry_device *device)
{
    destroy(device->impl);
    device->impl = NULL;
}

static scry_status finish(scry_device *device)
{
    return scry__vk_wait(device->impl);
}

static void statistics(const scry_device *device, scry_device_statistics *out)
{
    const struct scry__vk *vk = device->impl;
    *out                      = vk->statistics;
}

const struct scry_backend *scry_backend_entry(const struct scry_host *host)
{
    static const struct scry_backend backend = {
        .abi_version    = SCRY_BACKEND_ABI,
        .struct_size    = sizeof(struct scry_backend),
        .name           = "vulkan",
        .find           = find,
        .open           = device_open,
        .close          = device_close,
        .buffer_create  = scry__vk_buffer_create,
        .buffer_wrap    = scry__vk_buffer_wrap,
        .buffer_destroy = scry__vk_buffer_destroy,
        .buffer_write   = scry__vk_buffer_write,
        .buffer_read    = scry__vk_buffer_read,
        .query          = scry__vk_query,
        .run            = scry__vk_run,
        .finish         = finish,
        .reaches        = scry__vk_reaches,
        .kernels        = scry__vk_kernels,
        .statistics     = statistics,
        .properties     = scry__vk_properties,
    };
    scry__vk_host = host;
    return &backend;
}
