#include "core/estimator.h"

#include <stdio.h>
#include <string.h>

/* From "/hidden_layer_sizes/1" to "hidden_layer_sizes[1]". */
static void write_field(const char *pointer, char *field, size_t size)
{
    const char *name = *pointer == '/' ? pointer + 1 : pointer;
    const char *index = strchr(name, '/');
    if (index)
        snprintf(field, size, "%.*s[%s]", (int)(index - name), name, index + 1);
    else
        snprintf(field, size, "%.*s", (int)size - 1, name);
}

int estimator_finish(int rc, const struct err *err, struct libmlp_error *error)
{
    if (rc < 0 && error) {
        bool is_memory = err->code == ERR_NO_MEMORY;
        write_field(err->pointer, error->field, sizeof error->field);
        snprintf(error->message, sizeof error->message, "%.255s",
                 is_memory ? "out of memory" : err->message);
    }
    return rc;
}

int estimator_check_given(const void *argument, const char *field, struct err *err)
{
    if (argument)
        return 0;
    return err_set_at(err, ERR_INVALID, "missing", field, "%s is NULL", field + 1);
}

bool estimator_is_fitted(const struct libmlp *mlp)
{
    return mlp->net.n_layers > 0;
}

int estimator_check_fitted(const struct libmlp *mlp, struct err *err)
{
    if (estimator_check_given(mlp, "/mlp", err) < 0)
        return -1;
    if (estimator_is_fitted(mlp))
        return 0;
    return err_set_at(err, ERR_INVALID, "not_fitted", "/mlp",
                      "the net is not trained yet: fit or load it first");
}

int estimator_check_width(const struct libmlp *mlp, size_t n_inputs, struct err *err)
{
    if (n_inputs == mlp_n_inputs(&mlp->net))
        return 0;
    return err_set_at(err, ERR_INVALID, "wrong_width", "/n_inputs",
                      "n_inputs is %zu, but the net has %zu", n_inputs,
                      mlp_n_inputs(&mlp->net));
}
