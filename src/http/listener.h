/* listener: the listening TCP socket, bound by us so that port 0 and errors are ours to tell. */
#ifndef HTTP_LISTENER_H
#define HTTP_LISTENER_H

#include "base/err.h"

/*
 * Binds the numeric address `host` ("127.0.0.1", "::1") and listens: non-blocking, closed on
 * exec. Gives the descriptor, owned by the caller, and the port in use (the chosen one when
 * `port` is 0). ERR_IO naming the address and the reason.
 */
int listener_open(const char *host, unsigned port, int *fd, unsigned *bound_port,
                  struct err *err);

#endif
