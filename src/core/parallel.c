#include "core/parallel.h"

void parallel_run(const struct parallel *parallel, void (*task)(void *arg, size_t i),
                  void *arg, size_t n_tasks)
{
    if (parallel && n_tasks > 1) {
        parallel->run(parallel->ctx, task, arg, n_tasks);
        return;
    }
    for (size_t i = 0; i < n_tasks; i++)
        task(arg, i);
}
