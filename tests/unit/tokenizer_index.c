/* Tests of the tokenizer's hash index. */
#include "model/tokenizer_index.h"

#include <criterion/criterion.h>
#include <string.h>

enum { KEYS = 5000 };

Test(tokenizer_index, find__gives_what_was_put)
{
    scry__index index = {0};
    cr_assert_eq(scry__index_create(&index, KEYS), SCRY_OK);
    for (int32_t i = 0; i < KEYS; i++) cr_assert_eq(scry__index_put(&index, (uint64_t)i << 32 | 7, i), SCRY_OK);
    for (int32_t i = 0; i < KEYS; i++) {
        cr_assert_eq(scry__index_find(&index, (uint64_t)i << 32 | 7), i);
        cr_assert_eq(scry__index_find(&index, (uint64_t)i << 32 | 8), -1);
    }
    cr_expect_eq(scry__index_put(&index, 7, 99), SCRY_OK);
    cr_expect_eq(scry__index_find(&index, 7), 99);
    scry__index_finish(&index);
}

Test(tokenizer_index, key__depends_on_every_byte_and_the_length)
{
    char bytes[40] = {0};
    for (size_t size = 0; size < sizeof bytes; size++) {
        uint64_t key = scry__index_key(bytes, size);
        cr_expect_neq(key, scry__index_key(bytes, size + 1), "%zu zero bytes", size);
        for (size_t i = 0; i < size; i++) {
            bytes[i] = 1;
            cr_expect_neq(key, scry__index_key(bytes, size), "byte %zu of %zu", i, size);
            bytes[i] = 0;
        }
    }
}

/* The inverse of the function that spreads keys: what an attacker would use. */
static uint64_t unmix(uint64_t x)
{
    static const uint64_t multiplier = 0x9e3779b97f4a7c15;
    uint64_t              inverse    = 1;
    for (int i = 0; i < 6; i++) inverse *= 2 - multiplier * inverse; /* Newton: each step doubles the right bits */
    x ^= x >> 32;
    x *= inverse;
    x ^= x >> 29 ^ x >> 58;
    x *= inverse;
    return x ^ x >> 32;
}

Test(tokenizer_index, put__refuses_keys_chosen_to_crowd)
{
    scry__index index  = {0};
    scry_status status = scry__index_create(&index, KEYS);
    int         count  = 0;
    while (!status && count < KEYS) status = scry__index_put(&index, unmix((uint64_t)count++ << 40), 1);
    cr_expect_eq(status, SCRY_BAD_INPUT);
    cr_expect_eq(count, 1025);
    cr_expect(strstr(scry_last_error(), "share one place"), "%s", scry_last_error());
    cr_expect_eq(scry__index_find(&index, unmix((uint64_t)KEYS << 40)), -1);
    scry__index_finish(&index);
}
