#include "core/weights.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/mem.h"
#include "core/weights_header.h"

/* --- writing ---------------------------------------------------------------------------- */

static void put_floats(const float *values, size_t n, struct buf *out)
{
    unsigned char block[4096];
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        for (unsigned shift = 0; shift < 32; shift += 8)
            block[used++] = (unsigned char)(bits >> shift);
        if (used == sizeof block || i + 1 == n) {
            buf_put(out, block, used);
            used = 0;
        }
    }
}

void weights_encode(const struct mlp *mlp, struct buf *out)
{
    struct buf header;
    buf_init(&header, WEIGHTS_HEADER_MAX);
    weights_header_write(mlp, &header);
    while (!header.out_of_memory &&
           header.len % 8 != 0) /* as the format wants: aligned */
        buf_putc(&header, ' ');
    out->out_of_memory = out->out_of_memory || header.out_of_memory;
    endian_put_u64(out, header.len);
    buf_put(out, header.bytes, header.len);
    put_floats(mlp->parameters, mlp->n_parameters, out);
    put_floats(mlp->statistics, mlp->n_statistics, out);
    buf_clear(&header);
}

/* --- what the header says --------------------------------------------------------------- */

/* Layers are 0 … n-1 without a gap. */
static int count_layers(const struct weights_header *h, size_t *n, struct err *err)
{
    size_t last = MLP_LAYERS_MAX;
    *n = 0;
    for (size_t l = 0; l < MLP_LAYERS_MAX; l++)
        for (size_t i = 0; i < WEIGHTS_HEADER_PART_COUNT; i++)
            if (h->tensors[l][i].is_present)
                last = l;
    if (last == MLP_LAYERS_MAX)
        return weights_header_corrupt(err, "there are no layers");
    *n = last + 1;
    return 0;
}

static int check_metadata(const struct weights_header *h, size_t n_layers,
                          struct err *err)
{
    const struct {
        bool is_missing;
        const char *key;
    } rows[] = {
        {h->format < 0, "format"},
        {h->output_activation < 0, "output_activation"},
        {h->loss < 0, "loss"},
        {h->activation < 0 && n_layers > 1, "activation"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].is_missing)
            return weights_header_corrupt(err, "__metadata__ lacks %s", rows[i].key);
    if (n_layers == 1 && h->normalization > MLP_NORMALIZATION_NONE)
        return weights_header_corrupt(err, "normalization without a hidden layer");
    return 0;
}

/* Each layer has the parts that the metadata promise, in the form that they have. */
static int check_layer(const struct weights_header *h, size_t l, size_t n_layers,
                       struct err *err)
{
    struct mlp_layer layer = {.normalization = MLP_NORMALIZATION_NONE};
    const struct weights_header_tensor *weight = &h->tensors[l][WEIGHTS_HEADER_WEIGHT];
    if (l + 1 < n_layers && h->normalization >= 0)
        layer.normalization = (enum mlp_normalization)h->normalization;
    for (int i = 0; i < WEIGHTS_HEADER_PART_COUNT; i++) {
        enum weights_header_part part = (enum weights_header_part)i;
        const struct weights_header_tensor *tensor = &h->tensors[l][i];
        const char *name = weights_header_part_name(part);
        size_t n_dims = part == WEIGHTS_HEADER_WEIGHT ? 2 : 1;
        if (tensor->is_present != weights_header_has(&layer, part))
            return weights_header_corrupt(err, "layers.%zu.%s %s", l, name,
                                          tensor->is_present ? "is not part of such a net"
                                                             : "is missing");
        if (tensor->is_present &&
            (tensor->n_dims != n_dims || tensor->dims[n_dims - 1] != weight->dims[1]))
            return weights_header_corrupt(err, "the shape of layers.%zu.%s does not fit",
                                          l, name);
    }
    return 0;
}

/* Each layer takes what the one before it gives. */
static int check_shapes(const struct weights_header *h, size_t n_layers, struct err *err)
{
    size_t width = h->tensors[0][WEIGHTS_HEADER_WEIGHT].dims[0];
    for (size_t l = 0; l < n_layers; l++) {
        const struct weights_header_tensor *weight = h->tensors[l];
        if (check_layer(h, l, n_layers, err) < 0)
            return -1;
        if (weight->dims[0] != width)
            return weights_header_corrupt(
                err, "layers.%zu.weight takes %zu columns where there are %zu", l,
                weight->dims[0], width);
        width = weight->dims[1];
    }
    if (h->scale.is_present && /* they are of embedded inputs too */
        (h->scale.n_dims != 1 ||
         h->scale.dims[0] != h->tensors[0][WEIGHTS_HEADER_WEIGHT].dims[0]))
        return weights_header_corrupt(err, "the shape of feature_scale does not fit");
    return 0;
}

static int by_first_byte(const void *left, const void *right)
{
    const struct weights_header_tensor *a = left;
    const struct weights_header_tensor *b = right;
    return (a->offsets[0] > b->offsets[0]) - (a->offsets[0] < b->offsets[0]);
}

/* The tensors lie one behind the other and fill the data. Widths are known to be sane. */
static int check_offsets(const struct weights_header *h, size_t data_len, struct err *err)
{
    struct weights_header_tensor sorted[MLP_LAYERS_MAX * WEIGHTS_HEADER_PART_COUNT + 2];
    const struct weights_header_tensor *all = h->tensors[0];
    size_t n = 0;
    size_t at = 0;
    if (h->scale.is_present)
        sorted[n++] = h->scale;
    if (h->periodic.is_present)
        sorted[n++] = h->periodic;
    for (size_t i = 0; i < (size_t)MLP_LAYERS_MAX * WEIGHTS_HEADER_PART_COUNT; i++)
        if (all[i].is_present)
            sorted[n++] = all[i];
    qsort(sorted, n, sizeof *sorted, by_first_byte);
    for (size_t i = 0; i < n; i++) {
        uint64_t cells = sorted[i].dims[0];
        if (sorted[i].n_dims == 2)
            cells *= sorted[i].dims[1];
        if (sorted[i].offsets[0] != at || sorted[i].offsets[1] < at ||
            (uint64_t)sorted[i].offsets[1] - at != 4 * cells)
            return weights_header_corrupt(
                err, "tensors overlap, leave gaps or differ from their shape");
        at = sorted[i].offsets[1];
    }
    if (at != data_len)
        return weights_header_corrupt(err, "the data is cut off or too long");
    return 0;
}

/* The list "0,2,5" as *inputs [*n], owned by the caller. */
static int read_inputs(const struct weights_header *h, size_t **inputs, size_t *n,
                       struct err *err)
{
    const char *at = h->periodic_inputs;
    const char *end = at + h->periodic_inputs_len;
    *inputs = mem_new(h->periodic_inputs_len / 2 + 1, sizeof **inputs, err);
    if (!*inputs)
        return -1;
    for (*n = 0;; (*n)++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        if (!weights_header_size(at, (size_t)(stop - at), &(*inputs)[*n]))
            return weights_header_corrupt(err, "periodic_inputs is not a list of sizes");
        if (!comma)
            break;
        at = comma + 1;
    }
    (*n)++;
    return 0;
}

/* Embeddings widen what the first layer takes: n_inputs is what remains. *inputs is owned by
 * the caller, after an error too. */
static int read_periodic(const struct weights_header *h, struct mlp_spec *spec,
                         size_t **inputs, struct err *err)
{
    struct periodic *periodic = &spec->periodic;
    bool is_given = h->periodic_inputs && h->periodic_frequencies && h->periodic_width;
    bool is_any = h->periodic_inputs || h->periodic_frequencies || h->periodic_width;
    if (!is_any && !h->periodic.is_present)
        return 0;
    if (!is_given || !h->periodic.is_present)
        return weights_header_corrupt(err, "embeddings lack their %s",
                                      is_given ? "tensor periodic"
                                               : "inputs, frequencies or width");
    if (h->periodic_frequencies > PERIODIC_FREQUENCIES_MAX ||
        h->periodic_width > PERIODIC_WIDTH_MAX)
        return weights_header_corrupt(err, "periodic_frequencies or _width is too large");
    if (read_inputs(h, inputs, &periodic->n, err) < 0)
        return -1;
    periodic->inputs = *inputs;
    periodic->n_frequencies = h->periodic_frequencies;
    periodic->width = h->periodic_width;
    if (h->periodic.n_dims != 2 || h->periodic.dims[0] != periodic->n ||
        h->periodic.dims[1] != periodic_n_parameters(periodic))
        return weights_header_corrupt(err, "the shape of periodic does not fit");
    if (periodic->n * periodic->width >= spec->n_inputs)
        return weights_header_corrupt(err, "layers.0.weight leaves no room for inputs");
    spec->n_inputs -= periodic->n * periodic->width;
    return 0;
}

/* Refuses the sizes before any memory is taken for them. */
static int make_net(const struct weights_header *h, size_t n_layers, size_t data_len,
                    struct mlp *mlp, struct err *err)
{
    size_t widths[MLP_LAYERS_MAX];
    size_t *inputs = NULL;
    size_t n_parameters;
    int result = -1;
    struct err inner = {0};
    for (size_t l = 0; l < n_layers; l++)
        widths[l] = h->tensors[l][WEIGHTS_HEADER_WEIGHT].dims[1];
    struct mlp_spec spec = {
        .n_inputs = h->tensors[0][WEIGHTS_HEADER_WEIGHT].dims[0],
        .hidden_layer_sizes = widths,
        .n_hidden = n_layers - 1,
        .n_outputs = widths[n_layers - 1],
        .activation = n_layers > 1 ? (enum act)h->activation : ACT_IDENTITY,
        .output_activation = (enum act)h->output_activation,
        .loss = (enum loss)h->loss,
        .loss_options = h->loss_options,
        .normalization = h->normalization > 0 ? (enum mlp_normalization)h->normalization
                                              : MLP_NORMALIZATION_NONE,
        .ntk_parametrization = h->parametrization > 0,
        .feature_scale = h->scale.is_present,
    };
    if (read_periodic(h, &spec, &inputs, err) < 0)
        goto out;
    if (mlp_count(&spec, &n_parameters, &inner) < 0) {
        weights_header_corrupt(err, "%s", inner.message);
        goto out;
    }
    if (check_offsets(h, data_len, err) == 0)
        result = mlp_new(&spec, mlp, err);
out:
    free(inputs);
    return result;
}

/* --- reading the data ------------------------------------------------------------------- */

/* Reads n floats; false when one of them is not finite or under `least`. */
static bool read_floats(const unsigned char *bytes, float *values, size_t n, float least)
{
    bool is_fine = true;
    for (size_t i = 0; i < n; i++, bytes += 4) {
        uint32_t bits = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
                        (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        memcpy(&values[i], &bits, sizeof bits);
        is_fine = is_fine && isfinite(values[i]) && values[i] >= least;
    }
    return is_fine;
}

static int read_layer(const struct weights_header *h, const unsigned char *bytes,
                      struct mlp *mlp, size_t l, struct err *err)
{
    const struct mlp_layer *layer = &mlp->layers[l];
    for (int i = 0; i < WEIGHTS_HEADER_PART_COUNT; i++) {
        enum weights_header_part part = (enum weights_header_part)i;
        bool is_variance = part == WEIGHTS_HEADER_VARIANCE;
        if (!weights_header_has(layer, part))
            continue;
        size_t at = weights_header_at(mlp, l, part);
        size_t n = part == WEIGHTS_HEADER_WEIGHT ? layer->fan_in * layer->fan_out
                                                 : layer->fan_out;
        float *values = at < mlp->n_parameters
                            ? mlp->parameters + at
                            : mlp->statistics + (at - mlp->n_parameters);
        if (!read_floats(bytes + h->tensors[l][i].offsets[0], values, n,
                         is_variance ? 0.0F : -INFINITY))
            return weights_header_corrupt(
                err, "layers.%zu.%s has a number that is not finite%s", l,
                weights_header_part_name(part), is_variance ? " or is negative" : "");
    }
    return 0;
}

static int read_values(const struct weights_header *h, const unsigned char *bytes,
                       struct mlp *mlp, struct err *err)
{
    const struct periodic *periodic = &mlp->periodic;
    if (mlp->has_scales && !read_floats(bytes + h->scale.offsets[0], mlp->parameters,
                                        mlp->layers[0].fan_in, -INFINITY))
        return weights_header_corrupt(err,
                                      "feature_scale has a number that is not finite");
    if (periodic->n > 0 &&
        !read_floats(bytes + h->periodic.offsets[0], mlp->parameters + mlp->periodic_at,
                     periodic->n * periodic_n_parameters(periodic), -INFINITY))
        return weights_header_corrupt(err, "periodic has a number that is not finite");
    for (size_t l = 0; l < mlp->n_layers; l++)
        if (read_layer(h, bytes, mlp, l, err) < 0)
            return -1;
    return 0;
}

int weights_decode(const void *bytes, size_t len, struct mlp *mlp, struct err *err)
{
    struct weights_header h;
    struct mlp made = {0};
    size_t n_layers;
    struct endian_reader reader;
    endian_reader_init(&reader, bytes, len);
    uint64_t header_len = endian_get_u64(&reader);
    if (reader.failed || header_len > endian_left(&reader))
        return weights_header_corrupt(err, "the bytes are cut off");
    if (header_len > WEIGHTS_HEADER_MAX)
        return weights_header_corrupt(err, "the header is too long");
    const char *json = endian_get_bytes(&reader, (size_t)header_len);
    if (!json || weights_header_read(json, (size_t)header_len, &h, err) < 0 ||
        count_layers(&h, &n_layers, err) < 0 || check_metadata(&h, n_layers, err) < 0 ||
        check_shapes(&h, n_layers, err) < 0 ||
        make_net(&h, n_layers, endian_left(&reader), &made, err) < 0)
        return -1;
    if (read_values(&h, reader.at, &made, err) < 0) {
        mlp_clear(&made);
        return -1;
    }
    *mlp = made;
    return 0;
}
