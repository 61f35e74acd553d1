/* encoder_task: what a target column asks for, and the classes of a numeric one. Part of the
 * encoder; encoder_task_of is declared in encoder.h. */
#ifndef TABLE_ENCODER_TASK_H
#define TABLE_ENCODER_TASK_H

#include "table/encoder.h"

/* Different values of a numeric column, ascending, into values [max + 1]; returns how many,
 * at most max + 1: more than max means that there are too many. Missing ones do not count. */
size_t encoder_task_values(const struct table_column *column, size_t n_rows, size_t max,
                           double *values);

#endif
