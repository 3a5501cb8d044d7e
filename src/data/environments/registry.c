/* registry.c - the table of environments, and helpers of their pages. */
#include <math.h>
#include <string.h>

#include "data/environments/environments.h"

#define GLIA_ENV_ROW(name) extern const glia_env_kind glia_env_##name;
#include "environments.def"
#undef GLIA_ENV_ROW

static const glia_env_kind *const kinds[] = {
#define GLIA_ENV_ROW(name) &glia_env_##name,
#include "environments.def"
#undef GLIA_ENV_ROW
};

const glia_env_kind *glia_env_at_index(int index) {
    return index >= 0 && index < GLIA_COUNT(kinds) ? kinds[index] : NULL;
}

const glia_env_kind *glia_env_find(const char *name) {
    for (int i = 0; name && i < GLIA_COUNT(kinds); i++) {
        if (!strcmp(kinds[i]->name, name) || (kinds[i]->alias && !strcmp(kinds[i]->alias, name))) return kinds[i];
    }
    return NULL;
}

void glia_env_fail_unknown(const char *name, glia_error *error) {
    const char *names[2 * GLIA_COUNT(kinds)];
    int n = 0;
    for (int i = 0; i < GLIA_COUNT(kinds); i++) {
        names[n++] = kinds[i]->name;
        if (kinds[i]->alias) names[n++] = kinds[i]->alias;
    }
    const char *near = glia_nearest(name, names, n);
    glia_fail(error, GLIA_E_NOT_FOUND, "there is no environment '%.64s'%s%s%s", name, near ? "; did you mean '" : "",
              near ? near : "", near ? "'?" : "");
}

double glia_env_uniform(glia_env_random *random, double low, double high) {
    if (!random) return NAN;
    return low + (high - low) * (random->script ? *random->script++ : glia_rng_uniform(&random->rng));
}

int64_t glia_env_below(glia_env_random *random, int64_t n) {
    if (!random || n < 1) return 0;
    if (random->script) return (int64_t)(*random->script++ * (double)n);
    return (int64_t)glia_rng_below(&random->rng, (uint64_t)n);
}

int glia_env_choose(glia_env_random *random, const double *probabilities, int n) {
    const double drawn = glia_env_uniform(random, 0, 1);
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += probabilities[i];
        if (sum > drawn) return i;
    }
    return 0; /* as argmax of nothing but false */
}

glia_mark glia_env_cell(int row, int column, int rows, int columns, uint32_t colour) {
    enum { BORDER = 20 }; /* parts of a cell */
    const int most = GLIA_MAX(rows, columns);
    const float size = 1 / (float)most, gap = size / BORDER;
    const float x = 0.5f + ((float)column - (float)columns / 2) * size,
                y = 0.5f + ((float)rows / 2 - (float)row) * size;
    return (glia_mark){ GLIA_MARK_BOX, x + gap, y - size + gap, x + size - gap, y - gap, 0, colour };
}
