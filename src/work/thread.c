#include "work/thread.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

void thread_settle(const char *name, int niceness)
{
    pthread_setname_np(pthread_self(), name);
    if (niceness == 0)
        return;
    id_t self = (id_t)gettid();
    errno = 0;
    int now = getpriority(PRIO_PROCESS, self);
    if (now != -1 || errno == 0)
        setpriority(PRIO_PROCESS, self, now + niceness);
}
