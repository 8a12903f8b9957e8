/* Modules, pipelines and their layouts, kept for the life of the device and found again by what they were made from. */
#include "cache.h"
#include "shaders.h"
#include "validation.h"

#include <stdio.h>
#include <string.h>

enum { BUCKETS = 256 };

struct module {
    struct module *next;
    VkShaderModule made;
    char           name[48];
};

/* What every pipeline with that many bindings shares. */
struct layout {
    VkDescriptorSetLayout set;
    VkPipelineLayout      pipeline;
};

/* What a pipeline is made from. Zeroed before it is filled: keys are compared as bytes. */
struct key {
    const struct module *module;
    uint32_t             constants[SCRY__VK_CONSTANTS];
    int                  constant_count, bindings;
    uint32_t             subgroup_size;
};

struct pipeline {
    struct pipeline *next; /* of its bucket */
    struct key       key;
    VkPipeline       made;
    double           pace; /* see vk.h */
};

struct scry__vk_programs {
    struct module   *modules;
    struct layout    layout[SCRY__VK_BINDINGS + 1];
    struct pipeline *bucket[BUCKETS];
    VkPipelineCache  cache;
};

static scry_status find_module(struct module **out, struct scry__vk *vk, const char *name)
{
    struct module *module = vk->programs->modules;
    while (module && strcmp(module->name, name)) module = module->next;
    *out = module;
    if (module) return SCRY_OK;
    VkShaderModuleCreateInfo info   = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
    scry_status              status = SCRY_OUT_OF_MEMORY;
    uint32_t                *words  = NULL;
    module                          = scry__vk_host->allocate(1, sizeof *module);
    if (!module) return status;
    snprintf(module->name, sizeof module->name, "%s", name);
    status = scry__vk_shader_find(&words, &info.codeSize, name);
    if (status) goto fail;
    info.pCode = words;
    status = scry__vk_check(vk, vkCreateShaderModule(vk->device, &info, NULL, &module->made), "vkCreateShaderModule");
    if (status) goto fail;
    scry__vk_validation_name(vk, module->made, module->name);
    scry__vk_host->release(words);
    module->next          = vk->programs->modules;
    vk->programs->modules = module;
    *out                  = module;
    return SCRY_OK;

fail:
    scry__vk_host->release(words);
    scry__vk_host->release(module);
    return status;
}

/* A pipeline's layout: storage buffers 0 to `bindings` - 1, and the number of the dispatch's first group. */
static scry_status find_layout(struct layout **out, struct scry__vk *vk, int bindings)
{
    VkDescriptorSetLayoutBinding binding[SCRY__VK_BINDINGS];
    VkPushConstantRange          first_group = {VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(uint32_t)};
    struct layout               *layout      = &vk->programs->layout[bindings];
    *out                                     = layout;
    for (int i = 0; i < bindings; i++)
        binding[i] = (VkDescriptorSetLayoutBinding){.binding         = (uint32_t)i,
                                                    .descriptorType  = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                                    .descriptorCount = 1,
                                                    .stageFlags      = VK_SHADER_STAGE_COMPUTE_BIT};
    if (!layout->set) {
        VkDescriptorSetLayoutCreateInfo info   = {.sType        = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                                  .bindingCount = (uint32_t)bindings,
                                                  .pBindings    = binding};
        VkResult                        code   = vkCreateDescriptorSetLayout(vk->device, &info, NULL, &layout->set);
        scry_status                     status = scry__vk_check(vk, code, "vkCreateDescriptorSetLayout");
        if (status) return status;
    }
    if (layout->pipeline) return SCRY_OK;
    VkPipelineLayoutCreateInfo info = {.sType                  = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                       .setLayoutCount         = 1,
                                       .pSetLayouts            = &layout->set,
                                       .pushConstantRangeCount = 1,
                                       .pPushConstantRanges    = &first_group};
    return scry__vk_check(vk, vkCreatePipelineLayout(vk->device, &info, NULL, &layout->pipeline),
                          "vkCreatePipelineLayout");
}

/* Items of a group lie in full subgroups where a size is required, the device can promise it, and the group is whole
 * subgroups. */
static VkPipelineShaderStageCreateFlags stage_flags(const struct scry__vk *vk, const struct key *key)
{
    bool full = key->subgroup_size && vk->limits.full_subgroups && key->constants[0] % key->subgroup_size == 0;
    return full ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT_EXT : 0;
}

static scry_status build(struct scry__vk *vk, struct pipeline *pipeline, VkPipelineLayout layout)
{
    const struct key        *key = &pipeline->key;
    VkSpecializationMapEntry entries[SCRY__VK_CONSTANTS];
    for (int i = 0; i < key->constant_count; i++)
        entries[i] = (VkSpecializationMapEntry){(uint32_t)i, (uint32_t)(i * 4), 4};
    VkSpecializationInfo                                   constants = {.mapEntryCount = (uint32_t)key->constant_count,
                                                                        .pMapEntries   = entries,
                                                                        .dataSize = (size_t)key->constant_count * 4,
                                                                        .pData    = key->constants};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfoEXT required  = {
         .sType                = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO_EXT,
         .requiredSubgroupSize = key->subgroup_size};
    VkPipelineCreationFeedbackEXT           whole = {0}, stage = {0};
    VkPipelineCreationFeedbackCreateInfoEXT feedback = {
        .sType                              = VK_STRUCTURE_TYPE_PIPELINE_CREATION_FEEDBACK_CREATE_INFO_EXT,
        .pPipelineCreationFeedback          = &whole,
        .pipelineStageCreationFeedbackCount = 1,
        .pPipelineStageCreationFeedbacks    = &stage};
    VkComputePipelineCreateInfo info  = {.sType  = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                         .pNext  = vk->limits.tells_hits ? &feedback : NULL,
                                         .stage  = {.sType  = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                    .pNext  = key->subgroup_size ? &required : NULL,
                                                    .flags  = stage_flags(vk, key),
                                                    .stage  = VK_SHADER_STAGE_COMPUTE_BIT,
                                                    .module = key->module->made,
                                                    .pName  = "main",
                                                    .pSpecializationInfo = &constants},
                                         .layout = layout};
    double                      begin = scry__vk_now();
    VkResult    code   = vkCreateComputePipelines(vk->device, vk->programs->cache, 1, &info, NULL, &pipeline->made);
    scry_status status = scry__vk_check(vk, code, "vkCreateComputePipelines");
    vk->statistics.build_seconds += scry__vk_now() - begin;
    if (status) return status;
    bool hit = whole.flags & VK_PIPELINE_CREATION_FEEDBACK_APPLICATION_PIPELINE_CACHE_HIT_BIT_EXT;
    vk->statistics.programs_loaded += hit;
    vk->statistics.programs_built += !hit;
    return SCRY_OK;
}

/* Whether the device can be told to run in subgroups of that size. */
static bool can_require(const struct scry__vk *vk, uint32_t size)
{
    return vk->limits.subgroup_least && size >= vk->limits.subgroup_least && size <= vk->limits.subgroup_most &&
           !(size & (size - 1));
}

scry_status scry__vk_pipeline(struct scry__vk_pipeline *out, struct scry__vk *vk, const char *name,
                              const uint32_t *constants, int constant_count, int bindings, uint32_t subgroup_size)
{
    struct module   *module;
    struct layout   *layout;
    struct pipeline *pipeline = NULL;
    struct key       key;
    if (subgroup_size && !can_require(vk, subgroup_size))
        return scry__vk_host->fail(SCRY_UNSUPPORTED, "vulkan: kernel \"%s\": subgroups of %u cannot be required", name,
                                   subgroup_size);
    scry_status status = find_module(&module, vk, name);
    if (!status) status = find_layout(&layout, vk, bindings);
    if (status) return status;
    memset(&key, 0, sizeof key);
    key.module         = module;
    key.constant_count = constant_count;
    key.bindings       = bindings;
    key.subgroup_size  = subgroup_size;
    memcpy(key.constants, constants, (size_t)constant_count * sizeof *constants);

    struct pipeline **bucket = &vk->programs->bucket[scry__hash(SCRY__HASH_SEED, &key, sizeof key) % BUCKETS];
    for (pipeline = *bucket; pipeline; pipeline = pipeline->next)
        if (!memcmp(&pipeline->key, &key, sizeof key)) break;
    if (!pipeline) {
        pipeline = scry__vk_host->allocate(1, sizeof *pipeline);
        if (!pipeline) return SCRY_OUT_OF_MEMORY;
        memcpy(&pipeline->key, &key, sizeof key); /* with its padding */
        status = build(vk, pipeline, layout->pipeline);
        if (status) goto fail;
        pipeline->next = *bucket;
        *bucket        = pipeline;
    }
    *out = (struct scry__vk_pipeline){pipeline->made, layout->pipeline, layout->set, &pipeline->pace};
    return SCRY_OK;

fail:
    scry__vk_host->release(pipeline);
    return status;
}

scry_status scry__vk_programs_create(struct scry__vk *vk)
{
    vk->programs = scry__vk_host->allocate(1, sizeof *vk->programs);
    return vk->programs ? scry__vk_pipelines_open(&vk->programs->cache, vk) : SCRY_OUT_OF_MEMORY;
}

void scry__vk_programs_destroy(struct scry__vk *vk)
{
    struct scry__vk_programs *programs = vk->programs;
    if (!programs) return;
    for (int i = 0; i < BUCKETS; i++)
        while (programs->bucket[i]) {
            struct pipeline *pipeline = programs->bucket[i];
            programs->bucket[i]       = pipeline->next;
            vkDestroyPipeline(vk->device, pipeline->made, NULL);
            scry__vk_host->release(pipeline);
        }
    for (int i = 0; i <= SCRY__VK_BINDINGS; i++) {
        vkDestroyPipelineLayout(vk->device, programs->layout[i].pipeline, NULL);
        vkDestroyDescriptorSetLayout(vk->device, programs->layout[i].set, NULL);
    }
    while (programs->modules) {
        struct module *module = programs->modules;
        programs->modules     = module->next;
        vkDestroyShaderModule(vk->device, module->made, NULL);
        scry__vk_host->release(module);
    }
    scry__vk_pipelines_close(vk, programs->cache);
    scry__vk_host->release(programs);
    vk->programs = NULL;
}
