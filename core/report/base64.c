/* Base64. See base64.h. */
#include "report/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode(char out[4], const uint8_t *bytes, size_t count)
{
    uint32_t bits = (uint32_t)bytes[0] << 16 | (count > 1 ? (uint32_t)bytes[1] << 8 : 0) | (count > 2 ? bytes[2] : 0);
    for (int i = 0; i < 4; i++) out[i] = alphabet[bits >> (18 - 6 * i) & 63];
    if (count < 3) out[3] = '=';
    if (count < 2) out[2] = '=';
}

void scry__base64_add(scry__text *out, const void *data, size_t size)
{
    enum { piece = 3072 };
    const uint8_t *bytes = data;
    char           text[piece / 3 * 4];
    for (size_t done = 0; done < size;) {
        size_t taken = size - done < piece ? size - done : piece, used = 0;
        for (size_t i = 0; i < taken; i += 3, used += 4)
            encode(text + used, bytes + done + i, taken - i < 3 ? taken - i : 3);
        scry__text_add(out, text, used);
        done += taken;
    }
}
