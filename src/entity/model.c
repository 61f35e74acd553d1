#include "entity/model.h"

#include <stdlib.h>

void model_version_clear(struct model_version *version)
{
    metrics_clear(&version->metrics);
    free(version->encoder);
    free(version->weights);
    free(version->findings);
    *version = (struct model_version){0};
}

void model_clear(struct model *model)
{
    for (size_t i = 0; i < model->n_versions; i++)
        model_version_clear(&model->versions[i]);
    free(model->versions);
    *model = (struct model){0};
}
