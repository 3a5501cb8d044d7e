/* registry.c - the table of models.def, and look-up by name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "builders.h"

#define SHAPE(...)                                                                                                     \
    {                                                                                                                  \
        .rank = (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), .dim = { __VA_ARGS__ }                    \
    }
/* The same for pictures whose sides must be multiples of a number of pixels. */
#define SIDES(multiple_, ...) SHAPE(__VA_ARGS__), .multiple = multiple_
#define SCHEDULE(...)                                                                                                  \
    { .kind = __VA_ARGS__ }
#define FIELDS(...) __VA_ARGS__
/* What all rows have; `own`, in parentheses, are the fields of one kind of rows. */
#define RECIPE(own, name_, summary_, method_, data_, epochs_, batch_, ...)                                             \
    { .name = name_,                                                                                                   \
      .summary = summary_,                                                                                             \
      .method = method_,                                                                                               \
      .data = data_,                                                                                                   \
      .epochs = epochs_,                                                                                               \
      .batch = batch_,                                                                                                 \
      .optimizer = { __VA_ARGS__ },                                                                                    \
      FIELDS own },
#define MODEL(name_, builder_, summary_, sample_, outputs_, data_, epochs_, batch_, loss_, normalize_, schedule_, ...) \
    RECIPE((.build = glia_build_##builder_, .sample = sample_, .outputs = outputs_, .loss = loss_,                     \
            .normalize = normalize_, .schedule = schedule_),                                                           \
           name_, summary_, "fit", data_, epochs_, batch_, __VA_ARGS__)
#define TOKENS(name_, builder_, summary_, length_, vocabulary_, outputs_, data_, epochs_, batch_, loss_, schedule_,    \
               ...)                                                                                                    \
    RECIPE((.build_tokens = glia_build_##builder_, .sample = SHAPE(length_), .vocabulary = vocabulary_,                \
            .outputs = outputs_, .loss = loss_, .schedule = schedule_),                                                \
           name_, summary_, "fit", data_, epochs_, batch_, __VA_ARGS__)
#define NETWORKS(name_, builder_, summary_, sample_, data_, epochs_, batch_, method_, settings_, schedule_, ...)       \
    RECIPE((.build_networks = glia_build_##builder_, .settings = settings_, .sample = sample_,                         \
            .schedule = schedule_),                                                                                    \
           name_, summary_, method_, data_, epochs_, batch_, __VA_ARGS__)
#define CONDITIONAL(name_, builder_, summary_, sample_, data_, epochs_, batch_, method_, settings_, schedule_, ...)    \
    RECIPE((.build_conditional = glia_build_##builder_, .settings = settings_, .sample = sample_, .outputs = 10,       \
            .schedule = schedule_),                                                                                    \
           name_, summary_, method_, data_, epochs_, batch_, __VA_ARGS__)
#define GRAPHS(name_, builder_, summary_, data_, epochs_, batch_, method_, settings_, schedule_, ...)                  \
    RECIPE((.build_graphs = glia_build_##builder_, .settings = settings_, .schedule = schedule_), name_, summary_,     \
           method_, data_, epochs_, batch_, __VA_ARGS__)
/* the first layer only, as in the authors' code */
static const glia_parameter_group decay_of_first[] = { { .pattern = "conv1/kernel", .l2 = 5e-4 } };
static const glia_parameter_group decay_of_mlp[] = { { .pattern = "dense1/kernel", .l2 = 5e-4 } };
static const glia_parameter_group decay_of_appnp[] = { { .pattern = "dense1/kernel", .l2 = 5e-3 } };
/* as in nanoGPT: weight decay for kernels and embeddings only */
static const glia_parameter_group no_decay_of_norms[] = { { .pattern = "*norm*", .weight_decay = GLIA_ZERO } };
static const glia_recipe recipes[] = {
#include "models.def"
};

int glia_recipe_count(void) { return (int)(sizeof recipes / sizeof recipes[0]); }

const glia_recipe *glia_recipe_at(int index) { return &recipes[index]; }

const glia_recipe *glia_recipe_find(const char *name) {
    for (int i = 0; i < glia_recipe_count(); i++)
        if (strcmp(recipes[i].name, name) == 0) return &recipes[i];
    return NULL;
}

enum { LONGEST = 64 }; /* longer names get no suggestion */

static int smaller(int a, int b) { return a < b ? a : b; }

/* Edit distance of Damerau 1964 (optimal string alignment): keeps rows i, i-1 and i-2 of the table. */
static int edit_distance(const char *a, const char *b) {
    int n = (int)strlen(a), m = (int)strlen(b);
    int row[3][LONGEST + 1];
    for (int j = 0; j <= m; j++) row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3];
        const int *before = row[(i - 1) % 3], *earlier = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int replaced = before[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = smaller(replaced, smaller(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = smaller(now[j], earlier[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

const char *glia_name_nearest(const char *name, const char *const *candidates, int n) {
    size_t length = strlen(name);
    if (length == 0 || length > LONGEST) return NULL;
    const char *best = NULL;
    int least = 1 + (int)length / 3; /* with more changes it is a different word */
    for (int i = 0; i < n; i++) {
        if (strlen(candidates[i]) > LONGEST) continue;
        int distance = edit_distance(name, candidates[i]);
        if (distance < least || (distance == least && !best)) {
            best = candidates[i];
            least = distance;
        }
    }
    if (best) return best;
    for (int i = 0; i < n; i++) /* a prefix of a name, such as "keras" */
        if (length >= 3 && strncmp(name, candidates[i], length) == 0) return candidates[i];
    return NULL;
}

const char *glia_recipe_nearest(const char *name) {
    const char *names[sizeof recipes / sizeof recipes[0]];
    for (int i = 0; i < glia_recipe_count(); i++) names[i] = recipes[i].name;
    return glia_name_nearest(name, names, glia_recipe_count());
}

/* ---- building ------------------------------------------------------------------------------------------- */

/* Sizes of the data that a recipe of graphs names: Cora, MUTAG, MovieLens-100K. */
static glia_graph_sizes design_sizes(const glia_recipe *recipe) {
    if (strcmp(recipe->method, "graphs") == 0)
        return (glia_graph_sizes){ .features = 7, .edge_features = 4, .outputs = 2, .graphs = true };
    if (strcmp(recipe->method, "recommend") == 0) return (glia_graph_sizes){ .nodes = 943 + 1682 };
    return (glia_graph_sizes){ .features = 1433, .outputs = 7, .nodes = 2708, .sparse = true };
}

/* What a model is built for; a recipe uses what its data have. */
typedef struct purpose {
    glia_shape sample;
    int vocabulary, outputs;
    glia_graph_sizes graphs;
} purpose;

static glia_model *build(const glia_recipe *recipe, const purpose *p, glia_error *error) {
    glia_model *model = glia_model_create(recipe->name, error);
    if (!model) return NULL;
    if (recipe->build_networks) {
        recipe->build_networks(model, p->sample);
    } else if (recipe->build_graphs) {
        recipe->build_graphs(model, p->graphs);
    } else if (recipe->build_conditional) {
        recipe->build_conditional(model, p->sample, p->outputs);
    } else {
        glia_tensor x = glia_model_input(model, "x", recipe->build ? GLIA_F32 : GLIA_I32, p->sample);
        glia_tensor y =
            recipe->build ? recipe->build(x, p->outputs) : recipe->build_tokens(x, p->vocabulary, p->outputs);
        glia_model_output(model, "logits", y);
    }
    if (glia_graph_check(glia_model_graph(model), error) == GLIA_OK) return model;
    glia_model_free(model);
    return NULL;
}

/* The error: the recipe's name and what is wrong. */
static glia_model *refuse(const glia_recipe *recipe, glia_status status, const char *why, glia_error *error) {
    if (error) {
        error->status = status;
        snprintf(error->message, sizeof error->message, "%s %s", recipe->name, why);
    }
    return NULL;
}

glia_model *glia_recipe_build(const glia_recipe *recipe, glia_shape sample, int outputs, glia_error *error) {
    const int vocabulary = recipe->outputs || outputs == 0 ? recipe->vocabulary : outputs, m = recipe->multiple;
    if (m && sample.rank == 3 && (sample.dim[1] % m || sample.dim[2] % m)) {
        char why[80];
        snprintf(why, sizeof why, "takes pictures whose sides are multiples of %d pixels", m);
        return refuse(recipe, GLIA_E_SHAPE, why, error);
    }
    const purpose p = { sample, vocabulary, outputs ? outputs : vocabulary, design_sizes(recipe) };
    return build(recipe, &p, error);
}

glia_model *glia_recipe_build_tokens(const glia_recipe *recipe, int64_t length, int vocabulary, int outputs,
                                     glia_error *error) {
    if (!recipe->build_tokens) return refuse(recipe, GLIA_E_ARGUMENT, "takes numbers, not tokens", error);
    const purpose p = {
        .sample = GLIA_SHAPE(length), .vocabulary = vocabulary, .outputs = outputs ? outputs : vocabulary
    };
    return build(recipe, &p, error);
}

glia_model *glia_recipe_build_graphs(const glia_recipe *recipe, glia_graph_sizes sizes, glia_error *error) {
    if (!recipe->build_graphs) return refuse(recipe, GLIA_E_ARGUMENT, "is no model of graphs", error);
    return build(recipe, &(purpose){ .graphs = sizes }, error);
}
