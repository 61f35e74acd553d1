/*
 * The peer of the HTTP bench: the same libmicrohttpd, set up as src/http/server.c does it,
 * that takes the body and answers a constant. What we add to it is what the ratio shows.
 *
 *   usage: constant ANSWER_FILE   prints its port and serves until stdin ends
 */
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static char answer[1 << 16];
static size_t answer_len;

static enum MHD_Result on_call(void *cls, struct MHD_Connection *connection,
                               const char *url, const char *method, const char *version,
                               const char *upload, size_t *upload_len, void **con_cls)
{
    (void)cls;
    (void)url;
    (void)method;
    (void)version;
    (void)upload;
    if (!*con_cls || *upload_len) {
        *con_cls = answer;
        *upload_len = 0;
        return MHD_YES;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer_len, answer, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file)
        return 2;
    answer_len = fread(answer, 1, sizeof answer, file);
    fclose(file);
    signal(SIGPIPE, SIG_IGN);
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0,
                         NULL, NULL, on_call, NULL, MHD_OPTION_THREAD_POOL_SIZE, 2U,
                         MHD_OPTION_CONNECTION_TIMEOUT, 60U, MHD_OPTION_END);
    if (!daemon)
        return 1;
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    MHD_stop_daemon(daemon);
    return 0;
}
