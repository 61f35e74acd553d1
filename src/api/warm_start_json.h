/* warm_start_json: reads the member "warm_start" of a job: the model version to go on from. */
#ifndef API_WARM_START_JSON_H
#define API_WARM_START_JSON_H

#include <jansson.h>

#include "entity/model.h"

/*
 * Takes {"model": "name", "version": 3} (without a version: the newest) and, as in the paths
 * of the API, "name" or "name/versions/3". Absent: reference->model is "". ERR_INVALID at the
 * member at fault.
 */
int warm_start_json_read(const json_t *root, struct model_reference *reference,
                         struct err *err);

#endif
