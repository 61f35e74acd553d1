/*
 * Times one cold start: from before the fork until GET /readyz is answered with 200.
 *
 *   usage: start MLPD DATABASE   → MILLISECONDS MIB (resident, half a second after)
 *
 * The server's own "listening on" line tells the port; it is stopped at the end.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static pid_t spawn(const char *binary, const char *database, FILE **log)
{
    int ends[2];
    if (pipe(ends) < 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(binary, binary, "serve", "--db", database, "--listen", "127.0.0.1:0",
              (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *log = fdopen(ends[0], "r");
    return child;
}

static unsigned read_port(FILE *log)
{
    static const char words[] = "listening on http://127.0.0.1:";
    char line[1024];
    while (log && fgets(line, sizeof line, log)) {
        const char *found = strstr(line, words);
        if (found)
            return (unsigned)strtoul(found + sizeof words - 1, NULL, 10);
    }
    return 0;
}

static int is_ready(unsigned port)
{
    static const char request[] =
        "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((in_port_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[16] = "";
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int ok = fd >= 0 &&
             connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
             write(fd, request, sizeof request - 1) == sizeof request - 1 &&
             read(fd, answer, sizeof answer - 1) > 0 &&
             strncmp(answer, "HTTP/1.1 200", 12) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

static double resident_mib(pid_t pid)
{
    char path[64];
    char line[256];
    double mib = 0.0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmRSS:", 6) == 0)
            mib = (double)strtoul(line + 6, NULL, 10) / 1024.0;
    if (file)
        fclose(file);
    return mib;
}

int main(int argc, char **argv)
{
    const struct timespec half = {.tv_nsec = 500000000};
    FILE *log = NULL;
    if (argc != 3)
        return 2;
    int64_t begin = clock_monotonic_ns();
    pid_t child = spawn(argv[1], argv[2], &log);
    if (child < 0)
        return 1;
    unsigned port = read_port(log);
    int ok = port && is_ready(port);
    int64_t spent = clock_monotonic_ns() - begin;
    nanosleep(&half, NULL);
    double mib = resident_mib(child);
    kill(child, SIGTERM);
    waitpid(child, NULL, 0);
    if (ok)
        printf("%.1f %.1f\n", (double)spent * 1e-6, mib);
    return ok ? 0 : 1;
}
