/* Bytes as one .safetensors file, and as the index of a sharded checkpoint. */
#include "fuzz/fuzz.h"
#include "model/safetensors.h"

#include <stdio.h>
#include <string.h>

/* Reads the ends of every tensor: an address outside the map shows. */
static void touch(const scry__safetensors *checkpoint)
{
    volatile uint8_t sink = 0;
    for (int i = 0; i < checkpoint->count; i++) {
        const scry__stored *tensor = &checkpoint->tensors[i];
        char                text[SCRY__SHAPE_TEXT_SIZE];
        FUZZ_REQUIRE(tensor->rank >= 0 && tensor->rank <= SCRY__STORED_MAX_RANK);
        FUZZ_REQUIRE(scry__safetensors_find(checkpoint, tensor->name) == tensor);
        FUZZ_REQUIRE(strlen(scry__shape_text(text, tensor->rank, tensor->shape)) < sizeof text);
        if (tensor->bytes) sink ^= tensor->data[0] ^ tensor->data[tensor->bytes - 1];
    }
    (void)sink;
}

static void open_and_touch(const char *path)
{
    scry__safetensors *checkpoint = NULL;
    scry_status        status     = scry__safetensors_open(&checkpoint, path);
    fuzz_require_detail(status);
    FUZZ_REQUIRE(!status == (checkpoint != NULL));
    if (!status) touch(checkpoint);
    scry__safetensors_close(&checkpoint);
}

void fuzz_safetensors(const uint8_t *data, size_t size)
{
    open_and_touch(fuzz_file("one.safetensors", data, size));
}

/* Two shards of one tensor each stand beside the index that the bytes are. */
void fuzz_shards(const uint8_t *data, size_t size)
{
    static const char *const tensors[] = {"a", "b"};
    for (int i = 0; i < 2; i++) {
        char name[32], bytes[128] = {0};
        int  length = snprintf(bytes + 8, sizeof bytes - 8,
                               "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", tensors[i]);
        bytes[0]    = (char)length;
        snprintf(name, sizeof name, "%s.safetensors", tensors[i]);
        fuzz_file(name, (const uint8_t *)bytes, 8 + (size_t)length + 4);
    }
    fuzz_file("model.safetensors.index.json", data, size);
    open_and_touch(fuzz_folder());
}
