/* test_oom_evolution.c - fails each allocation of searches, genomes and growth in turn. */
#include "oom.h"

static glia_status search(glia_error *error) {
    const double start[2] = { 1, 1 };
    double x[64], values[64];
    glia_search *s = glia_search_create(start, 2, (glia_search_opts){ .restarts = GLIA_IPOP }, error);
    if (!s) return error->status;
    glia_status status = GLIA_OK;
    for (int g = 0; status == GLIA_OK && g < 3; g++) {
        status = glia_search_ask(s, x, error);
        for (int i = 0; i < glia_search_count(s); i++) values[i] = glia_test_function("sphere", x + 2 * i, 2);
        if (status == GLIA_OK) status = glia_search_tell(s, values, error);
    }
    glia_search_free(s);
    return status;
}

static glia_status neat(glia_error *error) {
    glia_neat *n = glia_neat_create(
        (glia_neat_opts){ .inputs = 2, .outputs = 1, .population = 6, .add_node = 0.5, .add_link = 0.5 }, error);
    if (!n) return error->status;
    glia_status status = GLIA_OK;
    for (int g = 0; status == GLIA_OK && g < 4; g++) {
        const double fitness[6] = { 1, 2, 3, 4, 5, 6 };
        status = glia_neat_tell(n, fitness, error);
    }
    char *svg = status == GLIA_OK ? glia_genome_svg(glia_neat_champion(n), error) : NULL;
    if (status == GLIA_OK && !svg) status = error->status;
    free(svg);
    glia_neat_free(n);
    return status;
}

static glia_status play(const char *name, int inputs, int outputs, glia_error *error) {
    double fitness[3];
    glia_env *env = glia_env_create(name, (glia_env_opts){ 0 }, error);
    const glia_neat_opts opts = { .inputs = inputs, .outputs = outputs, .population = 3 };
    glia_neat *n = env ? glia_neat_create(opts, error) : NULL;
    const glia_status status =
        n ? glia_neat_play(n, env, (glia_neat_play_opts){ .threads = 1 }, fitness, error) : error->status;
    glia_neat_free(n);
    glia_env_free(env);
    return status;
}

static glia_status games(glia_error *error) {
    const glia_status status = play("cartpole?limit=3", 4, 2, error);
    return status == GLIA_OK ? play("frozenlake?limit=3", 16, 4, error) : status;
}

static glia_status genome(glia_error *error) {
    glia_genome *g = glia_genome_parse("genome 1 inputs 1 outputs\nnode 0 input\nnode 1 bias\nnode 2 output tanh\n"
                                       "link 0 from 0 to 2 weight 1\n",
                                       error);
    if (!g) return error->status;
    char *text = glia_genome_print(g, error);
    glia_net *net = text ? glia_net_create(g, error) : NULL;
    const glia_status status = net ? GLIA_OK : error->status;
    glia_net_free(net);
    free(text);
    glia_genome_free(g);
    return status;
}

static glia_status growth(glia_error *error) {
    const double numbers[14] = { 0.5, -1, 0.5, 1, 0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    const glia_ndp_opts opts = { .embedding = 1, .hidden = 1, .cycles = 2 };
    glia_grown *g = glia_ndp_grow(numbers, 14, opts, error);
    if (!g) return error->status;
    char *svg = glia_grown_svg(g, 1, error);
    const glia_status status = svg ? GLIA_OK : error->status;
    free(svg);
    glia_grown_free(g);
    return status;
}

static glia_status life(glia_error *error) {
    const glia_lndp_opts opts = { .inputs = 1, .outputs = 1, .nodes = 4, .node_features = 1, .edge_features = 1 };
    double numbers[512] = { 1 };
    glia_lndp *net = glia_lndp_create(numbers, glia_lndp_parameters(opts), opts, error);
    if (!net) return error->status;
    char *svg = glia_lndp_svg(net, 0, "at first", error);
    const glia_status status = svg ? GLIA_OK : error->status;
    free(svg);
    glia_lndp_free(net);
    return status;
}

static glia_status substrate(glia_error *error) {
    static const double from[] = { -1, -1, 1, -1 }, to[] = { 0, 1 };
    glia_genome *cppn = glia_genome_parse("genome 4 inputs 1 outputs\nnode 0 input\nnode 1 input\nnode 2 input\n"
                                          "node 3 input\nnode 4 bias\nnode 5 output tanh\nnode 6 hidden sine\n"
                                          "link 0 from 2 to 6 weight 9\nlink 1 from 6 to 5 weight 3\n",
                                          error);
    if (!cppn) return error->status;
    glia_genome *net = glia_cppn_substrate(cppn, from, 2, to, 1, (glia_evolvable_opts){ .initial_depth = 2 }, error);
    const glia_status status = net ? GLIA_OK : error->status;
    glia_genome_free(net);
    glia_genome_free(cppn);
    return status;
}

static void every_search(void **state) {
    (void)state;
    every_allocation(search, "search");
}
static void every_neat(void **state) {
    (void)state;
    every_allocation(neat, "neat");
}
static void every_game(void **state) {
    (void)state;
    every_allocation(games, "games");
}
static void every_genome(void **state) {
    (void)state;
    every_allocation(genome, "genome");
}
static void every_growth(void **state) {
    (void)state;
    every_allocation(growth, "growth");
}

static void every_life(void **state) {
    (void)state;
    every_allocation(life, "life");
}

static void every_substrate(void **state) {
    (void)state;
    every_allocation(substrate, "substrate");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_search),
        cmocka_unit_test(every_neat),
        cmocka_unit_test(every_game),
        cmocka_unit_test(every_genome),
        cmocka_unit_test(every_growth),
        cmocka_unit_test(every_life),
        cmocka_unit_test(every_substrate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
