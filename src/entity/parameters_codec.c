#include "entity/parameters.h"

#include <math.h>
#include <string.h>

#include "base/decimal.h"

/* A comma behind each entry of a list tells it from one share for all. */
static void encode_shares(const struct parameters *parameters, struct buf *out)
{
    char text[DECIMAL_TEXT_SIZE];
    decimal_print(parameters->dropout[0], text);
    if (parameters->n_dropout == 0)
        buf_text(out, text);
    for (size_t i = 0; i < parameters->n_dropout; i++) {
        decimal_print(parameters->dropout[i], text);
        buf_printf(out, "%s,", text);
    }
}

static void encode_field(const struct parameters *parameters,
                         const struct parameters_field *field, struct buf *out)
{
    char text[DECIMAL_TEXT_SIZE];
    buf_printf(out, "%s=", field->name);
    switch (field->kind) {
    case PARAMETERS_REAL:
        decimal_print(parameters_real(parameters, field), text);
        buf_text(out, text);
        break;
    case PARAMETERS_WHOLE:
        buf_printf(out, "%llu", (unsigned long long)parameters_whole(parameters, field));
        break;
    case PARAMETERS_FLAG:
        buf_text(out, parameters_flag(parameters, field) ? "true" : "false");
        break;
    case PARAMETERS_CHOICE:
        buf_text(out, parameters_choice(parameters, field));
        break;
    case PARAMETERS_SIZES:
        for (size_t i = 0; i < parameters->n_hidden; i++)
            buf_printf(out, "%s%llu", i ? "," : "",
                       (unsigned long long)parameters->hidden_layer_sizes[i]);
        break;
    case PARAMETERS_SHARES:
        encode_shares(parameters, out);
        break;
    }
    buf_putc(out, '\n');
}

void parameters_encode(const struct parameters *parameters, struct buf *out)
{
    for (size_t i = 0; i < parameters_n_fields; i++)
        encode_field(parameters, &parameters_fields[i], out);
}

static int decode_sizes(struct parameters *parameters,
                        const struct parameters_field *field, char *text, struct err *err)
{
    parameters->n_hidden = 0;
    for (char *at = text; *at;) {
        char *end = at + strcspn(at, ",");
        double size = 0;
        if (!decimal_parse(at, (size_t)(end - at), &size) ||
            parameters_add_size(parameters, field, (int64_t)size, err) < 0)
            return -1;
        at = *end ? end + 1 : end;
    }
    return 0;
}

static int decode_shares(struct parameters *parameters,
                         const struct parameters_field *field, char *text,
                         struct err *err)
{
    double share = 0;
    if (decimal_parse(text, strlen(text), &share))
        return parameters_set_share(parameters, field, share, err);
    parameters_begin_shares(parameters, field);
    for (char *at = text; *at;) {
        char *end = at + strcspn(at, ",");
        if (!*end || !decimal_parse(at, (size_t)(end - at), &share) ||
            parameters_add_share(parameters, field, share, err) < 0)
            return -1;
        at = end + 1;
    }
    return 0;
}

static int decode_value(struct parameters *parameters,
                        const struct parameters_field *field, char *text, struct err *err)
{
    double number = 0;
    bool is_number = decimal_parse(text, strlen(text), &number);
    switch (field->kind) {
    case PARAMETERS_REAL:
        return is_number ? parameters_set_real(parameters, field, number, err) : -1;
    case PARAMETERS_WHOLE:
        if (is_number && number == 0 && field->may_be_auto)
            return parameters_set_choice(parameters, field, "auto", err);
        if (!is_number || !(fabs(number) <= 9007199254740991.0))
            return -1;
        return parameters_set_whole(parameters, field, (int64_t)number, err);
    case PARAMETERS_FLAG:
        parameters_set_flag(parameters, field, strcmp(text, "true") == 0);
        return 0;
    case PARAMETERS_CHOICE:
        return parameters_set_choice(parameters, field, text, err);
    case PARAMETERS_SIZES:
        return decode_sizes(parameters, field, text, err);
    case PARAMETERS_SHARES:
        return decode_shares(parameters, field, text, err);
    }
    return -1;
}

/* By way of the stored form, which every kind of field has. */
int parameters_take_field(struct parameters *parameters, const struct parameters *from,
                          const struct parameters_field *field, bool *was_same,
                          struct err *err)
{
    struct buf had;
    struct buf has;
    int result = -1;

    buf_init(&had, 4096);
    buf_init(&has, 4096);
    encode_field(parameters, field, &had);
    encode_field(from, field, &has);
    if (buf_check(&had, err) < 0 || buf_check(&has, err) < 0)
        goto out;
    bool is_same = strcmp(had.bytes, has.bytes) == 0;
    char *text = strchr(has.bytes, '=') + 1;
    text[strcspn(text, "\n")] = '\0';
    if (!is_same && decode_value(parameters, field, text, err) < 0) {
        err_set(err, ERR_INTERNAL, "bad_parameter", "%.60s cannot be taken over",
                field->name);
        goto out;
    }
    if (was_same)
        *was_same = is_same;
    result = 0;
out:
    buf_clear(&had);
    buf_clear(&has);
    return result;
}

static int decode_line(struct parameters *parameters, char *line, struct err *err)
{
    char *equals = strchr(line, '=');
    if (!equals)
        return err_set(err, ERR_CORRUPT, "corrupt",
                       "stored parameters: a line without '='");
    *equals = '\0';
    const struct parameters_field *field = parameters_find(line);
    struct err why = {0};
    if (field && decode_value(parameters, field, equals + 1, &why) < 0)
        return err_set(err, ERR_CORRUPT, "corrupt",
                       "stored parameters: bad value of %.60s", line);
    return 0;
}

int parameters_decode(const char *text, size_t len, struct parameters *parameters,
                      struct err *err)
{
    struct parameters decoded;
    parameters_init(&decoded, PARAMETERS_PRESET_AUTO);
    char line[4096];
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end ? (size_t)(end - (text + at)) : len - at;
        if (line_len >= sizeof line)
            return err_set(err, ERR_CORRUPT, "corrupt",
                           "stored parameters: overlong line");
        memcpy(line, text + at, line_len);
        line[line_len] = '\0';
        if (decode_line(&decoded, line, err) < 0)
            return -1;
        at += line_len + 1;
    }
    *parameters = decoded;
    return 0;
}
