/* main: the command line. Exit codes: 0 done, 1 failed, 2 wrong usage. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "app.h"
#include "base/buf.h"
#include "base/log.h"
#include "config.h"

#define EXIT_USAGE 2

static int fail(const struct err *err, int code)
{
    fprintf(stderr, "mlpd: %s\n", err->message);
    return code;
}

static int run_serve(int argc, char **argv)
{
    struct config config;
    struct err err = {0};
    if (config_read(&config, argc, argv, &err) < 0)
        return fail(&err, EXIT_USAGE);
    log_open(config.log_level, config.log_json);
    return app_run(&config, &err) < 0 ? fail(&err, 1) : 0;
}

/* --- healthcheck --------------------------------------------------------------------- */

/* An address to listen on everywhere is reached through loopback. */
static int dial(const struct config *config)
{
    struct sockaddr_in four = {.sin_family = AF_INET,
                               .sin_port = htons((in_port_t)config->port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6,
                               .sin6_port = htons((in_port_t)config->port)};
    bool is_four = inet_pton(AF_INET, config->host, &four.sin_addr) == 1;
    if (is_four && four.sin_addr.s_addr == htonl(INADDR_ANY))
        four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!is_four && inet_pton(AF_INET6, config->host, &six.sin6_addr) == 1 &&
        IN6_IS_ADDR_UNSPECIFIED(&six.sin6_addr))
        six.sin6_addr = in6addr_loopback;

    const struct timeval patience = {.tv_sec = 3};
    int fd = socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const struct sockaddr *address =
        is_four ? (const struct sockaddr *)&four : (const struct sockaddr *)&six;
    if (connect(fd, address, is_four ? sizeof four : sizeof six) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool is_healthy(int fd)
{
    static const char request[] =
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char answer[64] = "";
    size_t len = 0;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1)
        return false;
    while (len < sizeof answer - 1) {
        ssize_t got = recv(fd, answer + len, sizeof answer - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    return strncmp(answer, "HTTP/1.1 200 ", 13) == 0;
}

static int run_healthcheck(int argc, char **argv)
{
    struct config config;
    struct err err = {0};
    if (config_read(&config, argc, argv, &err) < 0)
        return fail(&err, EXIT_USAGE);
    int fd = dial(&config);
    bool ok = fd >= 0 && is_healthy(fd);
    if (fd >= 0)
        close(fd);
    if (!ok)
        fprintf(stderr, "mlpd: no healthy server at %s\n", config.listen);
    return ok ? 0 : 1;
}

/* --- the rest ------------------------------------------------------------------------ */

static int run_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("mlpd %s\n", MLPD_VERSION);
    return 0;
}

static int run_help(int argc, char **argv);

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *meaning;
} commands[] = {
    {"serve", run_serve, "run the server in the foreground"},
    {"healthcheck", run_healthcheck, "exit 0 when the server at --listen answers"},
    {"version", run_version, "print the version"},
    {"help", run_help, "print this"},
};

#define N_COMMANDS (sizeof commands / sizeof *commands)

static int run_help(int argc, char **argv)
{
    struct buf options;
    (void)argc;
    (void)argv;
    buf_init(&options, 1 << 16);
    config_help(&options);
    printf("mlpd %s: turns a table into a served neural network\n\nusage: mlpd COMMAND "
           "[OPTIONS]\n\n",
           MLPD_VERSION);
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("  %-12s %s\n", commands[i].name, commands[i].meaning);
    printf("\noptions of serve and healthcheck, their variables and defaults:\n\n%s",
           options.bytes ? options.bytes : "");
    buf_clear(&options);
    return 0;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run(argc - 2, argv + 2);
    fprintf(stderr, "mlpd: unknown command '%s' (see mlpd help)\n", name);
    return EXIT_USAGE;
}
