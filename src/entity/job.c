#include "entity/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/endian.h"
#include "base/mem.h"

static const char *const state_names[] = {
    [JOB_QUEUED] = "queued",         [JOB_RUNNING] = "running",
    [JOB_CANCELLING] = "cancelling", [JOB_SUCCEEDED] = "succeeded",
    [JOB_FAILED] = "failed",         [JOB_CANCELLED] = "cancelled",
};

/* may_move[from]: the states it may go to, as bits. */
#define TO(state) (1U << (state))
static const unsigned may_move[] = {
    [JOB_QUEUED] = TO(JOB_RUNNING) | TO(JOB_CANCELLED),
    /* back to queued: the process died or is draining */
    [JOB_RUNNING] =
        TO(JOB_QUEUED) | TO(JOB_CANCELLING) | TO(JOB_SUCCEEDED) | TO(JOB_FAILED),
    [JOB_CANCELLING] = TO(JOB_CANCELLED) | TO(JOB_FAILED),
    [JOB_SUCCEEDED] = 0,
    [JOB_FAILED] = 0,
    [JOB_CANCELLED] = 0,
};

const char *job_state_name(enum job_state state)
{
    return state_names[state];
}

int job_state_find(const char *name)
{
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        if (strcmp(state_names[i], name) == 0)
            return i;
    return -1;
}

bool job_may_move(enum job_state from, enum job_state to)
{
    return may_move[from] & TO(to);
}

bool job_is_terminal(enum job_state state)
{
    return may_move[state] == 0;
}

void job_clear(struct job *job)
{
    free(job->target);
    for (size_t i = 0; job->features && i < job->n_features; i++)
        free(job->features[i]);
    free(job->features);
    free(job->sample_weight);
    metrics_clear(&job->metrics);
    free(job->transitions);
    free(job->findings);
    warnings_clear(&job->warnings);
    *job = (struct job){0};
}

void job_encode_features(const struct job *job, struct buf *out)
{
    endian_put_u8(out, job->features != NULL);
    endian_put_u32(out, (uint32_t)job->n_features);
    for (size_t i = 0; job->features && i < job->n_features; i++)
        endian_put_text(out, job->features[i], strlen(job->features[i]));
}

int job_decode_features(const void *bytes, size_t len, struct job *job, struct err *err)
{
    struct endian_reader reader;
    char **features = NULL;
    size_t n = 0;

    endian_reader_init(&reader, bytes, len);
    bool has_features = endian_get_u8(&reader);
    size_t promised = endian_get_u32(&reader);
    if (reader.failed || promised > endian_left(&reader) / 4)
        goto corrupt;
    if (has_features && !(features = mem_new(promised, sizeof *features, err)))
        return -1;
    for (; has_features && n < promised; n++) {
        size_t text_len;
        const char *text = endian_get_text(&reader, &text_len);
        if (!text)
            goto corrupt;
        if (!(features[n] = mem_text(text, text_len, err)))
            goto out;
    }
    if (endian_left(&reader))
        goto corrupt;
    job->features = features;
    job->n_features = n;
    return 0;

corrupt:
    err_set(err, ERR_CORRUPT, "corrupt", "the stored feature list is damaged");
out:
    for (size_t i = 0; i < n; i++)
        free(features[i]);
    free(features);
    return -1;
}
