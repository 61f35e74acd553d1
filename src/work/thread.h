/* thread: how the threads of this folder begin: without signals, with a name and a priority. */
#ifndef WORK_THREAD_H
#define WORK_THREAD_H

#include <pthread.h>

/* pthread_create with every signal blocked in the new thread: signals are for the main one.
 * Returns 0 or the error's number. */
int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);

/* The calling thread gets `name` (at most 15 letters) for debuggers, and `niceness` added to
 * its scheduling priority (Linux: per thread; 0 leaves it; a refusal only costs fairness). */
void thread_settle(const char *name, int niceness);

#endif
