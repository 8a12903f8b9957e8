/* Fuzz targets: each reads arbitrary bytes as one kind of input, and aborts where a promise is broken.
 *
 * With libFuzzer (the fuzz preset) entry.c makes a program of each; in every build replay.c runs them on files, and the
 * unit tests run them on the corpus. */
#ifndef SCRY_TESTS_FUZZ_H
#define SCRY_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(name): the target is fuzz_name, its seeds lie in corpus/name, its words in name.dict */
#define FUZZ_TARGET_LIST(X)                                                                                            \
    X(safetensors)                                                                                                     \
    X(shards)                                                                                                          \
    X(config)                                                                                                          \
    X(model)                                                                                                           \
    X(tokenizer)                                                                                                       \
    X(text)                                                                                                            \
    X(tuning)                                                                                                          \
    X(arrays)                                                                                                          \
    X(recipe)

#define FUZZ_DECLARE(name) void fuzz_##name(const uint8_t *data, size_t size);
FUZZ_TARGET_LIST(FUZZ_DECLARE)
#undef FUZZ_DECLARE

/* Aborts with the condition's text. */
#define FUZZ_REQUIRE(condition)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) fuzz_broken(#condition, __FILE__, __LINE__);                                                 \
    } while (0)
_Noreturn void fuzz_broken(const char *condition, const char *file, int line);

/* A folder of this process, and a file in it that is rewritten with the bytes; both paths live on. */
const char *fuzz_folder(void);
const char *fuzz_file(const char *name, const uint8_t *data, size_t size);

/* After a call that returned `failed`: a failure must have said why. */
void fuzz_require_detail(bool failed);

#endif
