#include "base/digest.h"

void digest_init(struct digest *digest)
{
    crypto_hash_sha256_init(&digest->state);
}

void digest_add(struct digest *digest, const void *bytes, size_t len)
{
    crypto_hash_sha256_update(&digest->state, bytes, len);
}

void digest_finish(struct digest *digest, unsigned char out[static DIGEST_SIZE])
{
    crypto_hash_sha256_final(&digest->state, out);
}

static void print_hex(const unsigned char sum[static DIGEST_SIZE],
                      char out[static DIGEST_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *digit = out;
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        *digit++ = digits[sum[i] >> 4];
        *digit++ = digits[sum[i] & 15];
    }
    *digit = '\0';
}

void digest_hex(const void *bytes, size_t len, char out[static DIGEST_HEX_SIZE])
{
    unsigned char sum[DIGEST_SIZE];
    crypto_hash_sha256(sum, bytes, len);
    print_hex(sum, out);
}
