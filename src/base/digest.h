/* digest: SHA-256 (FIPS 180-4), streaming and at once, and its hexadecimal form. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <sodium/crypto_hash_sha256.h>
#include <stddef.h>

#define DIGEST_SIZE     32
#define DIGEST_HEX_SIZE 65 /* with the NUL */

struct digest {
    crypto_hash_sha256_state state;
};

void digest_init(struct digest *digest);
void digest_add(struct digest *digest, const void *bytes, size_t len);
void digest_finish(struct digest *digest, unsigned char out[static DIGEST_SIZE]);

/* SHA-256 of `len` bytes as 64 lower-case hexadecimal digits and a NUL. */
void digest_hex(const void *bytes, size_t len, char out[static DIGEST_HEX_SIZE]);

#endif
