/*
 * Makes the tables of the upload bench, always the same.
 *
 *   usage: csv pixels|decimals BYTES >FILE
 *     pixels    784 whole numbers 0 to 255, four in five of them 0, and a label, as MNIST is
 *     decimals  20 numbers with five decimals
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static size_t print_header(size_t n_columns)
{
    size_t len = 0;
    for (size_t j = 0; j < n_columns; j++)
        len += (size_t)printf("c%zu%c", j, j + 1 < n_columns ? ',' : '\n');
    return len;
}

static size_t print_pixels(size_t row, size_t n_columns)
{
    size_t len = 0;
    for (size_t j = 0; j + 1 < n_columns; j++) {
        uint64_t bits = rng_bits(1, RNG_TEST, row, j);
        len += (size_t)printf("%u,", bits % 5 ? 0 : (unsigned)(bits >> 32) % 256);
    }
    return len + (size_t)printf("%zu\n", row % 10);
}

static size_t print_decimals(size_t row, size_t n_columns)
{
    size_t len = 0;
    for (size_t j = 0; j < n_columns; j++)
        len += (size_t)printf("%.5f%c", rng_normal(1, RNG_TEST, row, j) * 100,
                              j + 1 < n_columns ? ',' : '\n');
    return len;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int is_pixels = strcmp(argv[1], "pixels") == 0;
    size_t bytes = strtoul(argv[2], NULL, 10);
    size_t n_columns = is_pixels ? 785 : 20;
    size_t len = print_header(n_columns);
    for (size_t row = 0; len < bytes; row++)
        len += is_pixels ? print_pixels(row, n_columns) : print_decimals(row, n_columns);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
