/* Bytes as the config.json of a checkpoint whose weights are a fixture's: what opens is run, on the oracle. */
#include "base/alloc.h"
#include "base/file.h"
#include "fuzz/fuzz.h"
#include "scry/lens.h"

static scry_device *device; /* opened once; reachable until the process ends */

static void prepare(void)
{
    static const char weights[] = SCRY_SOURCE_DIR "/tests/fixtures/models/llama/model.safetensors";
    char             *data;
    size_t            size;
    if (device) return;
    FUZZ_REQUIRE(scry__file_read(&data, &size, weights, 1 << 20) == SCRY_OK);
    fuzz_file("model.safetensors", (const uint8_t *)data, size);
    scry__free(data);
    FUZZ_REQUIRE(scry_device_open(&device, &(scry_device_options){.name = "reference"}) == SCRY_OK);
}

void fuzz_model(const uint8_t *data, size_t size)
{
    static const int32_t ids[] = {1, 5, 5, 130};
    scry_model          *model = NULL;
    scry_lens           *lens  = NULL;
    prepare();
    fuzz_file("config.json", data, size);
    scry_status status = scry_model_open(&model, device, fuzz_folder(), NULL);
    fuzz_require_detail(status);
    FUZZ_REQUIRE(!status == (model != NULL));
    if (!status) {
        status = scry_lens_run(&lens, model, NULL, &(scry_lens_options){.ids = ids, .id_count = 4, .top = 3});
        fuzz_require_detail(status);
        FUZZ_REQUIRE(!status == (lens != NULL));
    }
    if (lens) FUZZ_REQUIRE(lens->layer_count > 0 && lens->token_count == 4);
    scry_lens_destroy(&lens);
    scry_model_destroy(&model);
}
