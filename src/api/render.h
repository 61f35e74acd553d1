/* render: entities as JSON members, in the shapes of the contract (openapi.json). */
#ifndef API_RENDER_H
#define API_RENDER_H

#include "api/writer.h"
#include "entity/dataset.h"
#include "entity/job.h"
#include "entity/model.h"

void render_warnings(struct writer *writer, const struct warnings *warnings);
void render_findings(struct writer *writer, const struct doctor_finding *findings,
                     size_t n);

/* The members of one, within an object. */
void render_finding(struct writer *writer, const struct doctor_finding *finding);
void render_dataset(struct writer *writer, const char *key,
                    const struct dataset *dataset);
void render_job(struct writer *writer, const char *key, const struct job *job);
void render_model(struct writer *writer, const char *key, const struct model *model);
void render_version(struct writer *writer, const struct model_version *version,
                    const struct encoder *encoder);

/* The class labels as an array: numbers bare, texts quoted. */
void render_classes(struct writer *writer, const struct encoder_target *target);

/* One class label. */
void render_class(struct writer *writer, const struct encoder_target *target, size_t i);

#endif
