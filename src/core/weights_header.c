#include "core/weights_header.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/decimal.h"
#include "base/json_scan.h"

int weights_header_corrupt(struct err *err, const char *fmt, ...)
{
    char what[240];
    va_list list;
    va_start(list, fmt);
    vsnprintf(what, sizeof what, fmt, list);
    va_end(list);
    return err_set(err, ERR_CORRUPT, "corrupt_weights", "the weights do not decode: %s",
                   what);
}

/* --- what there is ---------------------------------------------------------------------- */

static bool is_normalised(const struct mlp_layer *layer)
{
    return layer->normalization != MLP_NORMALIZATION_NONE;
}

static bool has_statistics(const struct mlp_layer *layer)
{
    return layer->normalization == MLP_BATCH_NORM;
}

static const struct {
    const char *name;
    bool (*is_in)(const struct mlp_layer *layer); /* NULL: every layer has it */
} parts[WEIGHTS_HEADER_PART_COUNT] = {
    [WEIGHTS_HEADER_WEIGHT] = {"weight", NULL},
    [WEIGHTS_HEADER_BIAS] = {"bias", NULL},
    [WEIGHTS_HEADER_GAIN] = {"norm.weight", is_normalised},
    [WEIGHTS_HEADER_MEAN] = {"norm.running_mean", has_statistics},
    [WEIGHTS_HEADER_VARIANCE] = {"norm.running_var", has_statistics},
};

bool weights_header_has(const struct mlp_layer *layer, enum weights_header_part part)
{
    return !parts[part].is_in || parts[part].is_in(layer);
}

const char *weights_header_part_name(enum weights_header_part part)
{
    return parts[part].name;
}

size_t weights_header_at(const struct mlp *mlp, size_t layer,
                         enum weights_header_part part)
{
    const struct mlp_layer *at = &mlp->layers[layer];
    switch (part) {
    case WEIGHTS_HEADER_WEIGHT:
        return at->weights_at;
    case WEIGHTS_HEADER_BIAS:
        return at->biases_at;
    case WEIGHTS_HEADER_GAIN:
        return at->gains_at;
    case WEIGHTS_HEADER_MEAN:
        return mlp->n_parameters + at->statistics_at;
    case WEIGHTS_HEADER_VARIANCE:
        return mlp->n_parameters + at->statistics_at + at->fan_out;
    case WEIGHTS_HEADER_PART_COUNT:
        break;
    }
    return 0;
}

static const char *format_at(int i)
{
    (void)i;
    return "mlpd";
}

static const char *act_at(int i)
{
    return act_name((enum act)i);
}

static const char *loss_at(int i)
{
    return loss_name((enum loss)i);
}

static const char *normalization_at(int i)
{
    return mlp_normalization_name((enum mlp_normalization)i);
}

static const char *parametrization_at(int i)
{
    return i ? "ntk" : "standard";
}

/* Keys of __metadata__ whose value is one of some names. */
static const struct {
    const char *key;
    size_t offset; /* of the int in struct weights_header */
    const char *(*name)(int i);
    int n;
} choices[] = {
    {"format", offsetof(struct weights_header, format), format_at, 1},
    {"activation", offsetof(struct weights_header, activation), act_at, ACT_COUNT},
    {"output_activation", offsetof(struct weights_header, output_activation), act_at,
     ACT_COUNT},
    {"loss", offsetof(struct weights_header, loss), loss_at, LOSS_COUNT},
    {"normalization", offsetof(struct weights_header, normalization), normalization_at,
     MLP_NORMALIZATION_COUNT},
    {"parametrization", offsetof(struct weights_header, parametrization),
     parametrization_at, 2},
};
#define N_CHOICES (sizeof choices / sizeof *choices)

/* Keys whose value is a number, kept as text; and the losses that use it. */
static const struct {
    const char *key;
    size_t offset; /* of the double in struct loss_options */
    enum loss losses[2];
} options[WEIGHTS_HEADER_N_OPTIONS] = {
    {"delta", offsetof(struct loss_options, delta), {LOSS_HUBER, LOSS_HUBER}},
    {"over",
     offsetof(struct loss_options, over),
     {LOSS_ASYMMETRIC_SQUARED, LOSS_ASYMMETRIC_SQUARED}},
    {"under",
     offsetof(struct loss_options, under),
     {LOSS_ASYMMETRIC_SQUARED, LOSS_ASYMMETRIC_SQUARED}},
    {"q", offsetof(struct loss_options, q), {LOSS_QUANTILE, LOSS_QUANTILE}},
    {"label_smoothing",
     offsetof(struct loss_options, label_smoothing),
     {LOSS_BINARY_CROSS_ENTROPY, LOSS_CROSS_ENTROPY}},
};

/* Keys whose value is a size, kept as text. */
static const struct {
    const char *key;
    size_t offset; /* of the size_t in struct weights_header */
} sizes[] = {
    {"periodic_frequencies", offsetof(struct weights_header, periodic_frequencies)},
    {"periodic_width", offsetof(struct weights_header, periodic_width)},
};
#define N_SIZES (sizeof sizes / sizeof *sizes)

/* --- writing ---------------------------------------------------------------------------- */

static void put_pair(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, ",\"%s\":\"%s\"", key, value);
}

/* What the loss uses and is not as usual. */
static void put_options(const struct mlp *mlp, struct buf *out)
{
    const struct loss_options usual = loss_defaults();
    for (size_t i = 0; i < WEIGHTS_HEADER_N_OPTIONS; i++) {
        double value;
        double usually;
        char text[DECIMAL_TEXT_SIZE];
        memcpy(&value, (const char *)&mlp->loss_options + options[i].offset,
               sizeof value);
        memcpy(&usually, (const char *)&usual + options[i].offset, sizeof usually);
        if ((options[i].losses[0] != mlp->loss && options[i].losses[1] != mlp->loss) ||
            value == usually)
            continue;
        decimal_print(value, text);
        put_pair(out, options[i].key, text);
    }
}

/* Of a layer with one input c is 1 in both parametrisations: it need not be told. */
static bool is_ntk(const struct mlp *mlp)
{
    for (size_t l = 0; l < mlp->n_layers; l++)
        if (mlp->layers[l].factor != 1.0F)
            return true;
    return false;
}

static void put_periodic(const struct periodic *periodic, struct buf *out)
{
    buf_text(out, ",\"periodic_inputs\":\"");
    for (size_t i = 0; i < periodic->n; i++)
        buf_printf(out, "%s%zu", i ? "," : "", periodic->inputs[i]);
    buf_printf(out, "\",\"periodic_frequencies\":\"%zu\",\"periodic_width\":\"%zu\"",
               periodic->n_frequencies, periodic->width);
}

static void put_metadata(const struct mlp *mlp, struct buf *out)
{
    const struct mlp_layer *first = &mlp->layers[0];
    const struct mlp_layer *last = &mlp->layers[mlp->n_layers - 1];
    buf_text(out, "\"__metadata__\":{\"format\":\"mlpd\"");
    if (mlp->n_layers > 1)
        put_pair(out, "activation", act_name(first->activation));
    put_pair(out, "output_activation", act_name(last->activation));
    put_pair(out, "loss", loss_name(mlp->loss));
    put_options(mlp, out);
    if (is_normalised(first))
        put_pair(out, "normalization", mlp_normalization_name(first->normalization));
    if (is_ntk(mlp))
        put_pair(out, "parametrization", "ntk");
    if (mlp->periodic.n > 0)
        put_periodic(&mlp->periodic, out);
    buf_putc(out, '}');
}

/* `at` counts floats; n_in 0: the tensor has one dimension. */
static void put_tensor(struct buf *out, size_t n_in, size_t n_out, size_t at)
{
    size_t n = n_in ? n_in * n_out : n_out;
    buf_text(out, "{\"dtype\":\"F32\",\"shape\":[");
    if (n_in)
        buf_printf(out, "%zu,", n_in);
    buf_printf(out, "%zu],\"data_offsets\":[%zu,%zu]}", n_out, 4 * at, 4 * (at + n));
}

static void put_layer(const struct mlp *mlp, size_t l, struct buf *out)
{
    const struct mlp_layer *layer = &mlp->layers[l];
    for (int i = 0; i < WEIGHTS_HEADER_PART_COUNT; i++) {
        enum weights_header_part part = (enum weights_header_part)i;
        if (!weights_header_has(layer, part))
            continue;
        buf_printf(out, ",\"layers.%zu.%s\":", l, parts[part].name);
        put_tensor(out, part == WEIGHTS_HEADER_WEIGHT ? layer->fan_in : 0, layer->fan_out,
                   weights_header_at(mlp, l, part));
    }
}

void weights_header_write(const struct mlp *mlp, struct buf *out)
{
    buf_putc(out, '{');
    put_metadata(mlp, out);
    if (mlp->has_scales) {
        buf_text(out, ",\"feature_scale\":");
        put_tensor(out, 0, mlp->layers[0].fan_in, 0);
    }
    if (mlp->periodic.n > 0) {
        buf_text(out, ",\"periodic\":");
        put_tensor(out, mlp->periodic.n, periodic_n_parameters(&mlp->periodic),
                   mlp->periodic_at);
    }
    for (size_t l = 0; l < mlp->n_layers; l++)
        put_layer(mlp, l, out);
    buf_putc(out, '}');
}

/* --- reading ---------------------------------------------------------------------------- */

struct reading {
    struct json_scan scan;
    struct weights_header *header; /* borrowed */
    struct err *err;               /* borrowed */
};

static int corrupt(struct reading *r, const char *what)
{
    return weights_header_corrupt(r->err, "%s", what);
}

/* The same, naming a key or string that came from outside. */
static int corrupt_name(struct reading *r, const struct json_token *name,
                        const char *what)
{
    char shown[64];
    size_t n = 0;
    for (; n < name->len && n + 1 < sizeof shown; n++)
        shown[n] = name->text[n] >= ' ' && name->text[n] <= '~' ? name->text[n] : '?';
    shown[n] = '\0';
    return weights_header_corrupt(r->err, "%s %s", shown, what);
}

static int next_token(struct reading *r, struct json_token *token)
{
    if (json_scan_next(&r->scan, token, NULL) < 0)
        return corrupt(r, "the header is not valid JSON");
    return 0;
}

static int expect(struct reading *r, enum json_scan_kind kind, const char *what)
{
    struct json_token token;
    if (next_token(r, &token) < 0)
        return -1;
    return token.kind == kind ? 0 : corrupt(r, what);
}

bool weights_header_size(const char *text, size_t len, size_t *value)
{
    if (len < 1 || len > 15)
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned char)text[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        number = number * 10 + digit;
    }
    *value = (size_t)number;
    return number <= SIZE_MAX;
}

static bool read_size(const struct json_token *token, size_t *value)
{
    return token->kind == JSON_SCAN_NUMBER &&
           weights_header_size(token->text, token->len, value);
}

/* An array of at most two sizes. */
static int read_sizes(struct reading *r, size_t values[2], size_t *n)
{
    static const char what[] = "a shape or offset is not a list of one or two sizes";
    struct json_token token;
    *n = 0;
    if (expect(r, JSON_SCAN_ARRAY_BEGIN, what) < 0)
        return -1;
    for (;;) {
        if (next_token(r, &token) < 0)
            return -1;
        if (token.kind == JSON_SCAN_ARRAY_END)
            return 0;
        if (*n == 2 || !read_size(&token, &values[*n]))
            return corrupt(r, what);
        (*n)++;
    }
}

static int read_dtype(struct reading *r)
{
    struct json_token token;
    if (next_token(r, &token) < 0)
        return -1;
    if (token.kind != JSON_SCAN_STRING || !json_token_is(&token, "F32"))
        return corrupt(r, "a tensor's dtype is not F32");
    return 0;
}

/* {"dtype":"F32","shape":[…],"data_offsets":[…]}, each member once, nothing else. */
static int read_tensor(struct reading *r, struct weights_header_tensor *tensor)
{
    bool has_dtype = false;
    bool has_shape = false;
    bool has_offsets = false;
    size_t n_offsets = 0;
    struct json_token token;
    if (expect(r, JSON_SCAN_OBJECT_BEGIN, "a tensor is not an object") < 0)
        return -1;
    for (;;) {
        int rc = 0;
        if (next_token(r, &token) < 0)
            return -1;
        if (token.kind == JSON_SCAN_OBJECT_END)
            break;
        if (json_token_is(&token, "dtype") && !has_dtype) {
            has_dtype = true;
            rc = read_dtype(r);
        } else if (json_token_is(&token, "shape") && !has_shape) {
            has_shape = true;
            rc = read_sizes(r, tensor->dims, &tensor->n_dims);
        } else if (json_token_is(&token, "data_offsets") && !has_offsets) {
            has_offsets = true;
            rc = read_sizes(r, tensor->offsets, &n_offsets);
        } else {
            rc = corrupt(r, "a tensor has an unknown or repeated member");
        }
        if (rc < 0)
            return -1;
    }
    if (!has_dtype || tensor->n_dims == 0 || n_offsets != 2)
        return corrupt(r, "a tensor lacks its dtype, shape or data_offsets");
    tensor->is_present = true;
    return 0;
}

/* The tensor that is called "feature_scale", "periodic" or "layers.N.PART"; NULL: no such name. */
static struct weights_header_tensor *find_tensor(struct weights_header *header,
                                                 const struct json_token *name)
{
    static const char start[] = "layers.";
    const char *at = name->text + sizeof start - 1;
    const char *end = name->text + name->len;
    if (json_token_is(name, "feature_scale"))
        return &header->scale;
    if (json_token_is(name, "periodic"))
        return &header->periodic;
    if (name->len < sizeof start || memcmp(name->text, start, sizeof start - 1) != 0)
        return NULL;
    const char *dot = memchr(at, '.', (size_t)(end - at));
    if (!dot || dot == at || dot - at > 2 || (*at == '0' && dot - at > 1))
        return NULL;
    struct json_token digits = {JSON_SCAN_NUMBER, at, (size_t)(dot - at), false};
    struct json_token rest = {JSON_SCAN_STRING, dot + 1, (size_t)(end - dot - 1), false};
    size_t layer;
    if (!read_size(&digits, &layer) || layer >= MLP_LAYERS_MAX)
        return NULL;
    for (size_t i = 0; i < WEIGHTS_HEADER_PART_COUNT; i++)
        if (json_token_is(&rest, parts[i].name))
            return &header->tensors[layer][i];
    return NULL;
}

/* Index of the name in a row of `choices`; −1: there is no such name. */
static int find_name(size_t row, const struct json_token *name)
{
    for (int i = 0; i < choices[row].n; i++)
        if (json_token_is(name, choices[row].name(i)))
            return i;
    return -1;
}

/* A size from 1 on, or the list of embedded inputs; 1: the key is none of these. */
static int read_periodic(struct reading *r, const struct json_token *key,
                         const struct json_token *value)
{
    struct weights_header *h = r->header;
    if (json_token_is(key, "periodic_inputs")) {
        if (h->periodic_inputs)
            return corrupt_name(r, key, "is repeated");
        h->periodic_inputs = value->text;
        h->periodic_inputs_len = value->len;
        return 0;
    }
    for (size_t i = 0; i < N_SIZES; i++) {
        size_t *size = (size_t *)(void *)((char *)h + sizes[i].offset);
        if (!json_token_is(key, sizes[i].key))
            continue;
        if (*size > 0)
            return corrupt_name(r, key, "is repeated");
        if (!weights_header_size(value->text, value->len, size) || *size == 0)
            return corrupt_name(r, key, "is not a number from 1 on");
        return 0;
    }
    return 1;
}

/* One pair; keys that we do not know are left to whoever wrote them. */
static int read_pair(struct reading *r, const struct json_token *key)
{
    struct json_token value;
    if (next_token(r, &value) < 0)
        return -1;
    if (value.kind != JSON_SCAN_STRING)
        return corrupt_name(r, key, "in __metadata__ is not a string");
    for (size_t i = 0; i < N_CHOICES; i++) {
        int *choice = (int *)(void *)((char *)r->header + choices[i].offset);
        if (!json_token_is(key, choices[i].key))
            continue;
        if (*choice >= 0)
            return corrupt_name(r, key, "is repeated");
        *choice = find_name(i, &value);
        return *choice >= 0 ? 0 : corrupt_name(r, key, "has an unknown value");
    }
    for (size_t i = 0; i < WEIGHTS_HEADER_N_OPTIONS; i++) {
        double number;
        if (!json_token_is(key, options[i].key))
            continue;
        if (r->header->has_option[i])
            return corrupt_name(r, key, "is repeated");
        if (!decimal_parse(value.text, value.len, &number))
            return corrupt_name(r, key, "is not a number");
        r->header->has_option[i] = true;
        memcpy((char *)&r->header->loss_options + options[i].offset, &number,
               sizeof number);
        return 0;
    }
    return read_periodic(r, key, &value) < 0 ? -1 : 0;
}

static int read_metadata(struct reading *r)
{
    struct json_token key;
    if (r->header->has_metadata)
        return corrupt(r, "__metadata__ is repeated");
    r->header->has_metadata = true;
    if (expect(r, JSON_SCAN_OBJECT_BEGIN, "__metadata__ is not an object") < 0)
        return -1;
    for (;;) {
        if (next_token(r, &key) < 0)
            return -1;
        if (key.kind == JSON_SCAN_OBJECT_END)
            return 0;
        if (read_pair(r, &key) < 0)
            return -1;
    }
}

static int read_member(struct reading *r, const struct json_token *key)
{
    if (json_token_is(key, "__metadata__"))
        return read_metadata(r);
    struct weights_header_tensor *tensor = find_tensor(r->header, key);
    if (!tensor)
        return corrupt_name(r, key, "is not the name of a tensor");
    if (tensor->is_present)
        return corrupt_name(r, key, "is repeated");
    return read_tensor(r, tensor);
}

int weights_header_read(const char *json, size_t len, struct weights_header *header,
                        struct err *err)
{
    struct reading r = {.header = header, .err = err};
    struct json_token token;
    *header = (struct weights_header){.format = -1,
                                      .activation = -1,
                                      .output_activation = -1,
                                      .loss = -1,
                                      .normalization = -1,
                                      .parametrization = -1,
                                      .loss_options = loss_defaults()};
    json_scan_init(&r.scan, json, len);
    if (len == 0 || *json != '{')
        return corrupt(&r, "the header is not a JSON object");
    if (next_token(&r, &token) < 0)
        return -1;
    for (;;) {
        if (next_token(&r, &token) < 0)
            return -1;
        if (token.kind == JSON_SCAN_OBJECT_END)
            break;
        if (read_member(&r, &token) < 0)
            return -1;
    }
    return expect(&r, JSON_SCAN_END, "something follows the header");
}
