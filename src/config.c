#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/spell.h"

#define KIB 1024.0
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

enum option_kind { OPTION_TEXT, OPTION_COUNT, OPTION_FLAG, OPTION_LEVEL, OPTION_FORMAT };

struct option {
    const char *flag; /* without the dashes; MLPD_ + upper case is its variable */
    enum option_kind kind;
    size_t offset;        /* in struct config */
    const char *fallback; /* default, as it would be written; NULL: the number of cores */
    double least, most;   /* of a count */
    const char *meaning;
};

#define AT(member) offsetof(struct config, member)

static const struct option options[] = {
    {"db", OPTION_TEXT, AT(db), "mlpd.db", 0, 0, "database file, created when absent"},
    {"listen", OPTION_TEXT, AT(listen), "127.0.0.1:8080", 0, 0,
     "address and port; port 0 takes any free one"},
    {"workers", OPTION_COUNT, AT(workers), NULL, 1, 256, "jobs trained at a time"},
    {"threads", OPTION_COUNT, AT(threads), NULL, 1, 256,
     "threads of one training, while cores are idle"},
    {"http-threads", OPTION_COUNT, AT(http_threads), "2", 2, 64, "event threads"},
    {"control-threads", OPTION_COUNT, AT(control_threads), "4", 1, 64,
     "threads for requests that may block"},
    {"max-connections", OPTION_COUNT, AT(max_connections), "1024", 4, 100000,
     "open connections"},
    {"max-upload-bytes", OPTION_COUNT, AT(max_upload_bytes), "268435456", 1, 8 * GIB,
     "size of one uploaded table"},
    {"max-buffered-bytes", OPTION_COUNT, AT(max_buffered_bytes), "1073741824", 1,
     64 * GIB, "request bodies held in memory at a time"},
    {"cached-models", OPTION_COUNT, AT(cached_models), "64", 1, 10000,
     "models kept ready in memory"},
    {"insecure", OPTION_FLAG, AT(insecure), "false", 0, 0,
     "allow an address that others can reach, although there are no keys"},
    {"log-format", OPTION_FORMAT, AT(log_json), "text", 0, 0, "text or json"},
    {"log-level", OPTION_LEVEL, AT(log_level), "info", 0, 0,
     "error, warn, info or debug"},
};

#define N_OPTIONS (sizeof options / sizeof *options)

static void *member(struct config *config, const struct option *option)
{
    return (char *)config + option->offset;
}

static void variable_name(const struct option *option, char out[static 64])
{
    size_t len = (size_t)snprintf(out, 64, "MLPD_%s", option->flag);
    for (size_t i = 5; i < len; i++)
        out[i] =
            out[i] == '-' ? '_' : (char)(out[i] >= 'a' ? out[i] - 'a' + 'A' : out[i]);
}

static int refuse(const struct option *option, const char *value, const char *allowed,
                  struct err *err)
{
    return err_set(err, ERR_INVALID, "bad_option", "--%s: '%.100s' is not %s",
                   option->flag, value, allowed);
}

static int set_count(struct config *config, const struct option *option,
                     const char *value, struct err *err)
{
    double number = 0;
    char allowed[100];
    if (!decimal_parse(value, strlen(value), &number) ||
        number != (double)(size_t)number || number < option->least ||
        number > option->most) {
        snprintf(allowed, sizeof allowed, "a whole number from %.0f to %.0f",
                 option->least, option->most);
        return refuse(option, value, allowed, err);
    }
    *(size_t *)member(config, option) = (size_t)number;
    return 0;
}

static int set_level(struct config *config, const struct option *option,
                     const char *value, struct err *err)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(value, names[i]) == 0) {
            *(enum log_level *)member(config, option) = (enum log_level)i;
            return 0;
        }
    }
    return refuse(option, value, "error, warn, info or debug", err);
}

/* A switch that is on or off, under two names. */
static int set_switch(struct config *config, const struct option *option,
                      const char *value, const char *const names[2], struct err *err)
{
    char allowed[60];
    for (int i = 0; i < 2; i++) {
        if (strcmp(value, names[i]) == 0) {
            *(bool *)member(config, option) = i == 1;
            return 0;
        }
    }
    snprintf(allowed, sizeof allowed, "%s or %s", names[0], names[1]);
    return refuse(option, value, allowed, err);
}

static int set_option(struct config *config, const struct option *option,
                      const char *value, struct err *err)
{
    static const char *const flags[2] = {"false", "true"};
    static const char *const formats[2] = {"text", "json"};
    switch (option->kind) {
    case OPTION_TEXT:
        if (value[0] == '\0')
            return refuse(option, value, "a text", err);
        *(const char **)member(config, option) = value;
        return 0;
    case OPTION_COUNT:
        return set_count(config, option, value, err);
    case OPTION_FLAG:
        return set_switch(config, option, value, flags, err);
    case OPTION_FORMAT:
        return set_switch(config, option, value, formats, err);
    case OPTION_LEVEL:
        return set_level(config, option, value, err);
    }
    return -1;
}

static int set_default(struct config *config, const struct option *option,
                       struct err *err)
{
    if (option->fallback)
        return set_option(config, option, option->fallback, err);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *(size_t *)member(config, option) = cores > 0 && cores < 256 ? (size_t)cores : 1;
    return 0;
}

static const struct option *find_option(const char *flag, size_t len)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (strlen(options[i].flag) == len && memcmp(options[i].flag, flag, len) == 0)
            return &options[i];
    return NULL;
}

static int unknown_option(const char *argument, struct err *err)
{
    const char *known[N_OPTIONS];
    for (size_t i = 0; i < N_OPTIONS; i++)
        known[i] = options[i].flag;
    const char *nearest = strncmp(argument, "--", 2) == 0
                              ? spell_nearest(argument + 2, known, N_OPTIONS)
                              : NULL;
    return err_set(err, ERR_INVALID, "bad_option",
                   "unknown option '%.100s'%s%s%s (see mlpd help)", argument,
                   nearest ? "; did you mean --" : "", nearest ? nearest : "",
                   nearest ? "?" : "");
}

/* Reads the option at argv[i] and returns how many arguments it took, or -1. */
static int read_argument(struct config *config, int argc, char **argv, int i,
                         struct err *err)
{
    const char *argument = argv[i];
    size_t len = strcspn(argument, "=");
    const struct option *option =
        strncmp(argument, "--", 2) == 0 ? find_option(argument + 2, len - 2) : NULL;
    if (!option)
        return unknown_option(argument, err);
    if (argument[len] == '=')
        return set_option(config, option, argument + len + 1, err) < 0 ? -1 : 1;
    if (option->kind == OPTION_FLAG)
        return set_option(config, option, "true", err) < 0 ? -1 : 1;
    if (i + 1 == argc)
        return err_set(err, ERR_INVALID, "bad_option", "--%s needs a value",
                       option->flag);
    return set_option(config, option, argv[i + 1], err) < 0 ? -1 : 2;
}

/* --- the address --------------------------------------------------------------------- */

static bool is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, host, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static bool is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static int split_listen(struct config *config, struct err *err)
{
    const char *text = config->listen;
    const char *colon = strrchr(text, ':');
    double port = -1;
    size_t len = colon ? (size_t)(colon - text) : 0;
    bool is_bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
    if (is_bracketed) {
        text++;
        len -= 2;
    }
    if (colon && len < sizeof config->host)
        snprintf(config->host, sizeof config->host, "%.*s", (int)len, text);
    if (!colon || !is_address(config->host) ||
        !decimal_parse(colon + 1, strlen(colon + 1), &port) || port < 0 || port > 65535 ||
        port != (double)(unsigned)port)
        return err_set(
            err, ERR_INVALID, "bad_option",
            "--listen: '%.100s' is not ADDRESS:PORT, for example 127.0.0.1:8080 "
            "or [::1]:8080",
            config->listen);
    config->port = (unsigned)port;
    if (!config->insecure && !is_loopback(config->host))
        return err_set(
            err, ERR_INVALID, "insecure",
            "--listen %.60s would let others reach a server without keys: put a "
            "proxy before a loopback address, or say --insecure",
            config->listen);
    return 0;
}

int config_read(struct config *config, int argc, char **argv, struct err *err)
{
    struct config read = {0};
    for (size_t i = 0; i < N_OPTIONS; i++) {
        char name[64];
        variable_name(&options[i], name);
        const char *value = getenv(name);
        int result = value ? set_option(&read, &options[i], value, err)
                           : set_default(&read, &options[i], err);
        if (result < 0)
            return -1;
    }
    for (int i = 0; i < argc;) {
        int taken = read_argument(&read, argc, argv, i, err);
        if (taken < 0)
            return -1;
        i += taken;
    }
    if (split_listen(&read, err) < 0)
        return -1;
    *config = read;
    return 0;
}

void config_help(struct buf *out)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        char name[64];
        variable_name(&options[i], name);
        buf_printf(out, "  --%-19s %-24s %-15s %s\n", options[i].flag, name,
                   options[i].fallback ? options[i].fallback : "cores",
                   options[i].meaning);
    }
}
