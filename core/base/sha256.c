/* SHA-256. See sha256.h; names are those of FIPS 180-4. */
#include "base/sha256.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 64, LENGTH_BYTES = 8 };

static const uint32_t k[BLOCK] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t turn(uint32_t x, int bits)
{
    return x >> bits | x << (32 - bits);
}

static void take_block(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[BLOCK], a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8 |
               block[4 * t + 3];
    for (int t = 16; t < BLOCK; t++)
        w[t] = (turn(w[t - 2], 17) ^ turn(w[t - 2], 19) ^ w[t - 2] >> 10) + w[t - 7] +
               (turn(w[t - 15], 7) ^ turn(w[t - 15], 18) ^ w[t - 15] >> 3) + w[t - 16];
    for (int t = 0; t < BLOCK; t++) {
        uint32_t t1 = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + k[t] + w[t];
        uint32_t t2 = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1;
        d = c, c = b, b = a, a = t1 + t2;
    }
    const uint32_t add[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++) state[i] += add[i];
}

void scry__sha256_begin(scry__sha256 *hash)
{
    *hash = (scry__sha256){
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void scry__sha256_add(scry__sha256 *hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    while (size) {
        size_t held  = (size_t)(hash->size % BLOCK);
        size_t taken = size < BLOCK - held ? size : BLOCK - held;
        memcpy(hash->block + held, bytes, taken);
        hash->size += taken;
        bytes += taken;
        size -= taken;
        if (held + taken == BLOCK) take_block(hash->state, hash->block);
    }
}

void scry__sha256_end(scry__sha256 *hash, char out[SCRY__SHA256_TEXT])
{
    static const uint8_t padding[BLOCK] = {0x80};
    uint64_t             bits           = hash->size * 8;
    uint8_t              length[LENGTH_BYTES];
    size_t               held = (size_t)(hash->size % BLOCK);
    for (int i = 0; i < LENGTH_BYTES; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
    scry__sha256_add(hash, padding, (held < BLOCK - LENGTH_BYTES ? BLOCK : 2 * BLOCK) - LENGTH_BYTES - held);
    scry__sha256_add(hash, length, sizeof length);
    for (int i = 0; i < 8; i++) snprintf(out + 8 * i, 9, "%08x", hash->state[i]);
}

scry_status scry__sha256_file(char out[SCRY__SHA256_TEXT], const char *path)
{
    scry__map    map;
    scry__sha256 hash;
    scry_status  status = scry__map_open(&map, path);
    if (status) return status;
    scry__sha256_begin(&hash);
    scry__sha256_add(&hash, map.data, map.size);
    scry__sha256_end(&hash, out);
    scry__map_close(&map);
    return SCRY_OK;
}
