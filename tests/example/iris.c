/* Learns to tell three kinds of iris apart and prints how well it does on rows it has not
 * seen. Build with: cc iris.c $(pkg-config --cflags --libs --static libmlp) */
#include <stdio.h>
#include <string.h>

#include <libmlp.h>

enum { INPUTS = 4, ROWS_MAX = 200 };

struct table {
    float x[ROWS_MAX * INPUTS];
    float y[ROWS_MAX];
    size_t n;
};

/* Reads lines like "5.1,3.5,1.4,0.2,setosa"; every fifth row is kept for the test. */
static int read_iris(const char *path, struct table *train, struct table *test)
{
    static const char *const kinds[] = {"setosa", "versicolor", "virginica"};
    char line[100], kind[32];
    float x[INPUTS];
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    for (size_t row = 0; row < ROWS_MAX && fgets(line, sizeof line, file);) {
        if (sscanf(line, "%f,%f,%f,%f,%31s", &x[0], &x[1], &x[2], &x[3], kind) != 5)
            continue; /* the header */
        struct table *table = row++ % 5 == 0 ? test : train;
        memcpy(table->x + table->n * INPUTS, x, sizeof x);
        for (int k = 0; k < 3; k++)
            if (strcmp(kind, kinds[k]) == 0)
                table->y[table->n] = (float)k;
        table->n++;
    }
    fclose(file);
    return train->n && test->n ? 0 : -1;
}

int main(int argc, char **argv)
{
    static struct table train, test;
    struct libmlp_options options;
    struct libmlp_error error = {"", ""};
    struct libmlp *mlp = NULL;
    float first[3];
    double accuracy = 0;

    if (argc != 2 || read_iris(argv[1], &train, &test) < 0) {
        fprintf(stderr, "usage: iris iris.csv\n");
        return 2;
    }
    const struct libmlp_rows learnt = {train.x, train.n, INPUTS, train.y, 1, NULL};
    const struct libmlp_rows unseen = {test.x, test.n, INPUTS, test.y, 1, NULL};
    libmlp_options_init(&options, LIBMLP_CLASSIFIER);
    options.learning_rate = 0.01;
    options.batch_size = 30;
    if (libmlp_new(&options, &mlp, &error) == 0 &&
        libmlp_fit(mlp, &learnt, &error) == 0 &&
        libmlp_predict_proba(mlp, test.x, 1, INPUTS, first, &error) == 0 &&
        libmlp_score(mlp, &unseen, &accuracy, &error) == 0)
        printf("first: %.3f %.3f %.3f\naccuracy %.3f\n", (double)first[0],
               (double)first[1], (double)first[2], accuracy);
    else
        fprintf(stderr, "iris: %s: %s\n", error.field, error.message);
    libmlp_free(mlp);
    return accuracy > 0 ? 0 : 1;
}
