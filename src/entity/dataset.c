#include "entity/dataset.h"

void dataset_clear(struct dataset *dataset)
{
    table_clear(&dataset->table);
    warnings_clear(&dataset->warnings);
    *dataset = (struct dataset){0};
}
