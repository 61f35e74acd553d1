#include "core/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/json_scan.h"

#define HEADER_MAX 1048576 /* bytes of JSON; our largest, 64 layers, is under 20 KiB */

/* --- writing ---------------------------------------------------------------------------- */

static void put_pair(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, ",\"%s\":\"%s\"", key, value);
}

static void put_header(const struct mlp *mlp, struct buf *out)
{
    const struct mlp_layer *last = &mlp->layers[mlp->n_layers - 1];
    buf_text(out, "{\"__metadata__\":{\"format\":\"mlpd\"");
    if (mlp->n_layers > 1)
        put_pair(out, "activation", act_name(mlp->layers[0].activation));
    put_pair(out, "output_activation", act_name(last->activation));
    put_pair(out, "loss", loss_name(mlp->loss));
    buf_putc(out, '}');
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        size_t middle = layer->biases_at;
        buf_printf(out,
                   ",\"layers.%zu.weight\":{\"dtype\":\"F32\",\"shape\":[%zu,%zu],"
                   "\"data_offsets\":[%zu,%zu]}",
                   l, layer->fan_in, layer->fan_out, 4 * layer->weights_at, 4 * middle);
        buf_printf(out,
                   ",\"layers.%zu.bias\":{\"dtype\":\"F32\",\"shape\":[%zu],"
                   "\"data_offsets\":[%zu,%zu]}",
                   l, layer->fan_out, 4 * middle, 4 * (middle + layer->fan_out));
    }
    buf_putc(out, '}');
}

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
    buf_init(&header, HEADER_MAX);
    put_header(mlp, &header);
    while (!header.out_of_memory &&
           header.len % 8 != 0) /* as the format wants: aligned */
        buf_putc(&header, ' ');
    out->out_of_memory = out->out_of_memory || header.out_of_memory;
    endian_put_u64(out, header.len);
    buf_put(out, header.bytes, header.len);
    put_floats(mlp->parameters, mlp->n_parameters, out);
    buf_clear(&header);
}

/* --- reading the header ----------------------------------------------------------------- */

enum part { PART_WEIGHT, PART_BIAS, PART_COUNT };

struct tensor {
    bool is_present;
    size_t n_dims;
    size_t dims[2];
    size_t offsets[2]; /* bytes, first and one past the last, within the data */
};

struct header {
    struct json_scan scan;
    struct err *err;
    struct tensor tensors[MLP_LAYERS_MAX][PART_COUNT];
    size_t n_layers;
    bool has_metadata;
    bool is_mlpd;
    enum act activation;        /* ACT_COUNT: not given */
    enum act output_activation; /* ACT_COUNT: not given */
    enum loss loss;             /* LOSS_COUNT: not given */
};

static int corrupt(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "corrupt_weights", "the weights do not decode: %s",
                   what);
}

static int next_token(struct header *h, struct json_token *token)
{
    if (json_scan_next(&h->scan, token, NULL) < 0)
        return corrupt(h->err, "the header is not valid JSON");
    return 0;
}

static int expect(struct header *h, enum json_scan_kind kind, const char *what)
{
    struct json_token token;
    if (next_token(h, &token) < 0)
        return -1;
    return token.kind == kind ? 0 : corrupt(h->err, what);
}

/* Digits only, few enough not to overflow. */
static bool read_size(const struct json_token *token, size_t *value)
{
    if (token->kind != JSON_SCAN_NUMBER || token->len > 15)
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < token->len; i++) {
        unsigned digit = (unsigned char)token->text[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        number = number * 10 + digit;
    }
    *value = (size_t)number;
    return number <= SIZE_MAX;
}

/* An array of at most two sizes. */
static int read_sizes(struct header *h, size_t values[2], size_t *n)
{
    static const char what[] = "a shape or offset is not a list of one or two sizes";
    struct json_token token;
    *n = 0;
    if (expect(h, JSON_SCAN_ARRAY_BEGIN, what) < 0)
        return -1;
    for (;;) {
        if (next_token(h, &token) < 0)
            return -1;
        if (token.kind == JSON_SCAN_ARRAY_END)
            return 0;
        if (*n == 2 || !read_size(&token, &values[*n]))
            return corrupt(h->err, what);
        (*n)++;
    }
}

static int read_dtype(struct header *h)
{
    struct json_token token;
    if (next_token(h, &token) < 0)
        return -1;
    if (token.kind != JSON_SCAN_STRING || !json_token_is(&token, "F32"))
        return corrupt(h->err, "a tensor's dtype is not F32");
    return 0;
}

/* {"dtype":"F32","shape":[…],"data_offsets":[…]}, each member once, nothing else. */
static int read_tensor(struct header *h, struct tensor *tensor)
{
    bool has_dtype = false;
    bool has_shape = false;
    bool has_offsets = false;
    size_t n_offsets = 0;
    struct json_token token;
    if (expect(h, JSON_SCAN_OBJECT_BEGIN, "a tensor is not an object") < 0)
        return -1;
    for (;;) {
        int rc = 0;
        if (next_token(h, &token) < 0)
            return -1;
        if (token.kind == JSON_SCAN_OBJECT_END)
            break;
        if (json_token_is(&token, "dtype") && !has_dtype) {
            has_dtype = true;
            rc = read_dtype(h);
        } else if (json_token_is(&token, "shape") && !has_shape) {
            has_shape = true;
            rc = read_sizes(h, tensor->dims, &tensor->n_dims);
        } else if (json_token_is(&token, "data_offsets") && !has_offsets) {
            has_offsets = true;
            rc = read_sizes(h, tensor->offsets, &n_offsets);
        } else {
            rc = corrupt(h->err, "a tensor has an unknown or repeated member");
        }
        if (rc < 0)
            return -1;
    }
    if (!has_dtype || tensor->n_dims == 0 || n_offsets != 2)
        return corrupt(h->err, "a tensor lacks its dtype, shape or data_offsets");
    tensor->is_present = true;
    return 0;
}

/* The tensor that is called "layers.N.weight" or "layers.N.bias"; NULL: no such name. */
static struct tensor *find_tensor(struct header *h, const struct json_token *name)
{
    static const char start[] = "layers.";
    const char *at = name->text + sizeof start - 1;
    const char *end = name->text + name->len;
    if (name->len < sizeof start || memcmp(name->text, start, sizeof start - 1) != 0)
        return NULL;
    const char *dot = memchr(at, '.', (size_t)(end - at));
    if (!dot || dot == at || dot - at > 2 || (*at == '0' && dot - at > 1))
        return NULL;
    struct json_token digits = {JSON_SCAN_NUMBER, at, (size_t)(dot - at), false};
    struct json_token part = {JSON_SCAN_STRING, dot + 1, (size_t)(end - dot - 1), false};
    size_t layer;
    if (!read_size(&digits, &layer) || layer >= MLP_LAYERS_MAX)
        return NULL;
    if (json_token_is(&part, "weight"))
        return &h->tensors[layer][PART_WEIGHT];
    return json_token_is(&part, "bias") ? &h->tensors[layer][PART_BIAS] : NULL;
}

static enum act find_act(const struct json_token *name)
{
    unsigned i = 0;
    while (i < ACT_COUNT && !json_token_is(name, act_name((enum act)i)))
        i++;
    return (enum act)i;
}

static enum loss find_loss(const struct json_token *name)
{
    unsigned i = 0;
    while (i < LOSS_COUNT && !json_token_is(name, loss_name((enum loss)i)))
        i++;
    return (enum loss)i;
}

/* One pair; keys that we do not know are left to whoever wrote them. */
static int read_pair(struct header *h, const struct json_token *key)
{
    struct json_token value;
    bool is_fine = true;
    if (next_token(h, &value) < 0)
        return -1;
    if (value.kind != JSON_SCAN_STRING)
        return corrupt(h->err, "a value of __metadata__ is not a string");
    if (json_token_is(key, "format")) {
        is_fine = !h->is_mlpd && json_token_is(&value, "mlpd");
        h->is_mlpd = true;
    } else if (json_token_is(key, "activation")) {
        is_fine = h->activation == ACT_COUNT;
        h->activation = find_act(&value);
        is_fine = is_fine && h->activation != ACT_COUNT;
    } else if (json_token_is(key, "output_activation")) {
        is_fine = h->output_activation == ACT_COUNT;
        h->output_activation = find_act(&value);
        is_fine = is_fine && h->output_activation != ACT_COUNT;
    } else if (json_token_is(key, "loss")) {
        is_fine = h->loss == LOSS_COUNT;
        h->loss = find_loss(&value);
        is_fine = is_fine && h->loss != LOSS_COUNT;
    }
    return is_fine ? 0 : corrupt(h->err, "unknown format, activation or loss");
}

static int read_metadata(struct header *h)
{
    struct json_token key;
    if (h->has_metadata)
        return corrupt(h->err, "__metadata__ is repeated");
    h->has_metadata = true;
    if (expect(h, JSON_SCAN_OBJECT_BEGIN, "__metadata__ is not an object") < 0)
        return -1;
    for (;;) {
        if (next_token(h, &key) < 0)
            return -1;
        if (key.kind == JSON_SCAN_OBJECT_END)
            return 0;
        if (read_pair(h, &key) < 0)
            return -1;
    }
}

static int read_member(struct header *h, const struct json_token *key)
{
    if (json_token_is(key, "__metadata__"))
        return read_metadata(h);
    struct tensor *tensor = find_tensor(h, key);
    if (!tensor)
        return corrupt(h->err, "a tensor is not called layers.N.weight or layers.N.bias");
    if (tensor->is_present)
        return corrupt(h->err, "a tensor is repeated");
    return read_tensor(h, tensor);
}

static int read_header(struct header *h, const char *json, size_t len)
{
    struct json_token token;
    json_scan_init(&h->scan, json, len);
    if (len == 0 || *json != '{')
        return corrupt(h->err, "the header is not a JSON object");
    if (next_token(h, &token) < 0)
        return -1;
    for (;;) {
        if (next_token(h, &token) < 0)
            return -1;
        if (token.kind == JSON_SCAN_OBJECT_END)
            break;
        if (read_member(h, &token) < 0)
            return -1;
    }
    return expect(h, JSON_SCAN_END, "something follows the header");
}

/* --- what the header says --------------------------------------------------------------- */

/* Layers are 0 … n_layers-1 without a gap, each with both parts. */
static int count_layers(struct header *h)
{
    bool has_ended = false;
    for (size_t l = 0; l < MLP_LAYERS_MAX; l++) {
        const struct tensor *parts = h->tensors[l];
        if (parts[PART_WEIGHT].is_present != parts[PART_BIAS].is_present)
            return corrupt(h->err, "a layer lacks its weight or its bias");
        if (parts[PART_WEIGHT].is_present && has_ended)
            return corrupt(h->err, "a layer is missing");
        has_ended = !parts[PART_WEIGHT].is_present;
        if (!has_ended)
            h->n_layers++;
    }
    return h->n_layers > 0 ? 0 : corrupt(h->err, "there are no layers");
}

/* Each layer takes what the one before it gives. */
static int check_shapes(const struct header *h)
{
    for (size_t l = 0; l < h->n_layers; l++) {
        const struct tensor *weight = &h->tensors[l][PART_WEIGHT];
        const struct tensor *bias = &h->tensors[l][PART_BIAS];
        if (weight->n_dims != 2 || bias->n_dims != 1 ||
            bias->dims[0] != weight->dims[1] ||
            (l > 0 && weight->dims[0] != h->tensors[l - 1][PART_WEIGHT].dims[1]))
            return corrupt(h->err, "the shapes of the layers do not fit each other");
    }
    return 0;
}

static int by_first_byte(const void *left, const void *right)
{
    const struct tensor *a = left;
    const struct tensor *b = right;
    return (a->offsets[0] > b->offsets[0]) - (a->offsets[0] < b->offsets[0]);
}

/* The tensors lie one behind the other and fill the data. Widths are known to be sane. */
static int check_offsets(const struct header *h, size_t data_len)
{
    struct tensor sorted[MLP_LAYERS_MAX * PART_COUNT];
    size_t n = h->n_layers * PART_COUNT;
    size_t at = 0;
    memcpy(sorted, h->tensors, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_first_byte);
    for (size_t i = 0; i < n; i++) {
        uint64_t cells = sorted[i].dims[0];
        if (sorted[i].n_dims == 2)
            cells *= sorted[i].dims[1];
        if (sorted[i].offsets[0] != at || sorted[i].offsets[1] < at ||
            (uint64_t)sorted[i].offsets[1] - at != 4 * cells)
            return corrupt(h->err,
                           "tensors overlap, leave gaps or differ from their shape");
        at = sorted[i].offsets[1];
    }
    return at == data_len ? 0 : corrupt(h->err, "the data is cut off or too long");
}

static int check_metadata(const struct header *h)
{
    if (!h->is_mlpd || h->output_activation == ACT_COUNT || h->loss == LOSS_COUNT ||
        (h->n_layers > 1 && h->activation == ACT_COUNT))
        return corrupt(h->err,
                       "__metadata__ lacks the format, an activation or the loss");
    return 0;
}

/* Refuses the sizes before any memory is taken for them. */
static int make_net(const struct header *h, size_t data_len, struct mlp *mlp)
{
    size_t hidden[MLP_LAYERS_MAX];
    size_t n_parameters;
    struct err inner = {0};
    for (size_t l = 0; l < h->n_layers; l++)
        hidden[l] = h->tensors[l][PART_WEIGHT].dims[1];
    struct mlp_spec spec = {
        .n_inputs = h->tensors[0][PART_WEIGHT].dims[0],
        .hidden_layer_sizes = hidden,
        .n_hidden = h->n_layers - 1,
        .n_outputs = hidden[h->n_layers - 1],
        .activation = h->n_layers > 1 ? h->activation : ACT_IDENTITY,
        .output_activation = h->output_activation,
        .loss = h->loss,
        .loss_options = loss_defaults(),
    };
    if (mlp_count(&spec, &n_parameters, &inner) < 0)
        return corrupt(h->err, inner.message);
    if (check_offsets(h, data_len) < 0)
        return -1;
    return mlp_new(&spec, mlp, h->err);
}

/* --- reading the data ------------------------------------------------------------------- */

static int read_floats(const unsigned char *bytes, float *values, size_t n,
                       struct err *err)
{
    bool is_finite = true;
    for (size_t i = 0; i < n; i++, bytes += 4) {
        uint32_t bits = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
                        (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        memcpy(&values[i], &bits, sizeof bits);
        is_finite = is_finite && isfinite(values[i]);
    }
    return is_finite ? 0 : corrupt(err, "a weight is not a finite number");
}

static int read_parameters(const struct header *h, const unsigned char *bytes,
                           struct mlp *mlp)
{
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        const struct tensor *parts = h->tensors[l];
        if (read_floats(bytes + parts[PART_WEIGHT].offsets[0],
                        mlp->parameters + layer->weights_at,
                        layer->fan_in * layer->fan_out, h->err) < 0 ||
            read_floats(bytes + parts[PART_BIAS].offsets[0],
                        mlp->parameters + layer->biases_at, layer->fan_out, h->err) < 0)
            return -1;
    }
    return 0;
}

int weights_decode(const void *bytes, size_t len, struct mlp *mlp, struct err *err)
{
    struct header h = {.err = err,
                       .activation = ACT_COUNT,
                       .output_activation = ACT_COUNT,
                       .loss = LOSS_COUNT};
    struct mlp made = {0};
    struct endian_reader reader;
    endian_reader_init(&reader, bytes, len);
    uint64_t header_len = endian_get_u64(&reader);
    if (reader.failed || header_len > endian_left(&reader))
        return corrupt(err, "the bytes are cut off");
    if (header_len > HEADER_MAX)
        return corrupt(err, "the header is too long");
    const char *json = endian_get_bytes(&reader, (size_t)header_len);
    if (!json || read_header(&h, json, (size_t)header_len) < 0 || count_layers(&h) < 0 ||
        check_shapes(&h) < 0 || check_metadata(&h) < 0 ||
        make_net(&h, endian_left(&reader), &made) < 0)
        return -1;
    if (read_parameters(&h, reader.at, &made) < 0) {
        mlp_clear(&made);
        return -1;
    }
    *mlp = made;
    return 0;
}
