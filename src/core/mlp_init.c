#include "base/rng.h"
#include "core/mlp.h"

void mlp_init_biases(struct mlp *mlp, double std, uint64_t seed)
{
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct mlp_layer *layer = &mlp->layers[l];
        float *biases = mlp->parameters + layer->biases_at;
        /* Epochs below MLP_LAYERS_MAX are the layers' weights. */
        for (size_t i = 0; i < layer->fan_out; i++)
            biases[i] =
                std > 0.0
                    ? (float)(std * rng_normal(seed, RNG_INIT, MLP_LAYERS_MAX + l, i))
                    : 0.0F;
    }
}

enum mlp_init mlp_init_for(enum act activation)
{
    switch (activation) {
    case ACT_RELU:
    case ACT_LEAKY_RELU:
    case ACT_ELU:
    case ACT_GELU:
    case ACT_SILU:
    case ACT_MISH:
    case ACT_SOFTPLUS:
        return MLP_HE_NORMAL;
    case ACT_SELU:
        return MLP_LECUN_NORMAL;
    case ACT_IDENTITY:
    case ACT_LOGISTIC:
    case ACT_TANH:
    case ACT_STEP:
    case ACT_SOFTMAX:
    case ACT_COUNT:
        break;
    }
    return MLP_GLOROT_UNIFORM;
}
