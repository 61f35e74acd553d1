#include "http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

static int cannot_listen(const char *host, unsigned port, const char *reason,
                         struct err *err)
{
    bool is_v6 = strchr(host, ':') != NULL;
    return err_set(err, ERR_IO, "cannot_listen", "cannot listen on %s%s%s:%u: %s",
                   is_v6 ? "[" : "", host, is_v6 ? "]" : "", port, reason);
}

static int read_port(int fd, unsigned *port)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len))
        return -1;
    if (address.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &address, sizeof in6);
        *port = ntohs(in6.sin6_port);
    } else {
        struct sockaddr_in in4;
        memcpy(&in4, &address, sizeof in4);
        *port = ntohs(in4.sin_port);
    }
    return 0;
}

/* -1 with errno set. */
static int open_on(const struct addrinfo *address, int *fd, unsigned *port)
{
    const int on = 1;
    int made = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0)
        return -1;
    if (setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
        bind(made, address->ai_addr, address->ai_addrlen) || listen(made, BACKLOG) ||
        read_port(made, port)) {
        int reason = errno;
        close(made);
        errno = reason;
        return -1;
    }
    *fd = made;
    return 0;
}

int listener_open(const char *host, unsigned port, int *fd, unsigned *bound_port,
                  struct err *err)
{
    char service[16];
    snprintf(service, sizeof service, "%u", port);
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
        .ai_socktype = SOCK_STREAM,
    };
    struct addrinfo *address = NULL;
    if (port > 65535)
        return cannot_listen(host, port, "no such port", err);
    int rc = getaddrinfo(host, service, &hints, &address);
    if (rc)
        return cannot_listen(host, port, gai_strerror(rc), err);
    rc = open_on(address, fd, bound_port);
    if (rc)
        cannot_listen(host, port, strerror(errno), err);
    freeaddrinfo(address);
    return rc;
}
