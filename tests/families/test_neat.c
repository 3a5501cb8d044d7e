/* test_neat.c - genomes, their nets and models, and NEAT. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "families/evolution/neat.h"
#include "glia/glia.h"

static glia_error error;

/* Two inputs, a bias, an output, two hidden nodes; link 6 is disabled, link 7 recurrent. */
static const char text[] =
    "genome 2 inputs 1 outputs\n"
    "node 0 input\nnode 1 input\nnode 2 bias\nnode 3 output sigmoid\n"
    "node 4 hidden tanh\nnode 7 hidden gaussian\n"
    "link 0 from 0 to 4 weight 0.5\nlink 1 from 1 to 4 weight -1\nlink 2 from 2 to 3 weight 0.25\n"
    "link 3 from 4 to 7 weight 2\nlink 4 from 7 to 3 weight -0.75\nlink 5 from 0 to 3 weight 1\n"
    "link 6 from 1 to 3 weight 9 disabled\nlink 7 from 3 to 4 weight 0.5 recurrent\n";

static double sigmoid(double x) { return 1 / (1 + exp(-4.9 * x)); }

static void nets_compute_what_the_genome_says(void **state) {
    (void)state;
    glia_genome *g = glia_genome_parse(text, &error);
    if (!g) fail_msg("%s", error.message);
    glia_net *net = glia_net_create(g, &error);
    double y, last = 0;
    for (int i = 0; i < 5; i++) {
        const double x[2] = { 0.1 * i, 1 - 0.3 * i };
        glia_net_run(net, x, &y);
        const double a = tanh(0.5 * x[0] - x[1] + 0.5 * last), b = exp(-4 * a * a);
        last = sigmoid(0.25 - 0.75 * b + x[0]);
        ASSERT_NEAR(y, last, 1e-15);
    }
    glia_net_reset(net);
    glia_net_run(net, (const double[]){ 0, 1 }, &y);
    ASSERT_NEAR(y, sigmoid(0.25 - 0.75 * exp(-4 * tanh(-1) * tanh(-1))), 1e-15);
    const glia_genome_size size = glia_genome_measure(g);
    assert_true(size.hidden == 2 && size.links == 7 && size.recurrent);
    glia_net_free(net);
    glia_genome_free(g);
}

static void functions_of_nodes_are_accurate(void **state) {
    (void)state;
    for (double x = -30; x <= 30; x += 0.01) {
        ASSERT_NEAR(glia_node_value(GLIA_NODE_TANH, x), tanh(x), 1e-15);
        ASSERT_NEAR(glia_node_value(GLIA_NODE_SIGMOID, x), sigmoid(x), 1e-15);
        ASSERT_NEAR(glia_node_value(GLIA_NODE_GAUSSIAN, x), exp(-x * x), 1e-15);
    }
    ASSERT_NEAR(glia_node_value(GLIA_NODE_TANH, 1e308), 1, 0);
    ASSERT_NEAR(glia_node_value(GLIA_NODE_TANH, -1e308), -1, 0);
    ASSERT_NEAR(glia_node_value(GLIA_NODE_SIGMOID, -1e308), 0, 1e-300);
    assert_true(isnan(glia_node_value(GLIA_NODE_TANH, NAN)));
}

static void models_compute_the_same(void **state) {
    (void)state;
    glia_genome *g = glia_genome_parse(text, &error);
    glia_model *model = glia_genome_model(g, "champion", &error);
    if (!model) fail_msg("%s", error.message);
    glia_backend *backend = glia_backend_open("cpu", 1, &error);
    const glia_tensor outputs[] = { glia_model_output_at(model, 0, NULL), glia_model_output_at(model, 1, NULL) };
    glia_function *step = glia_function_create(glia_model_graph(model), backend, glia_model_store(model),
                                               (glia_function_opts){ .outputs = outputs, .n_outputs = 2 }, &error);
    if (!step) fail_msg("%s", error.message);
    glia_net *net = glia_net_create(g, &error);
    float before[3] = { 0 };
    for (int i = 0; i < 5; i++) {
        float x[2] = { 0.1f * (float)i, 1 - 0.3f * (float)i };
        double y;
        glia_array found[2];
        const glia_array inputs[] = {
            { .name = "x", .dtype = GLIA_F32, .shape = GLIA_SHAPE(1, 2), .data = x },
            { .name = "state", .dtype = GLIA_F32, .shape = GLIA_SHAPE(1, 3), .data = before },
        };
        glia_net_run(net, (const double[]){ (double)x[0], (double)x[1] }, &y);
        if (glia_function_call(step, inputs, 2, found, &error) != GLIA_OK) fail_msg("%s", error.message);
        ASSERT_NEAR(*(const float *)found[0].data, y, 1e-5);
        memcpy(before, found[1].data, sizeof before);
    }
    char *svg = glia_genome_svg(g, &error);
    assert_true(svg && strstr(svg, "<circle") && strstr(svg, "stroke-dasharray"));
    free(svg);
    glia_function_free(step);
    glia_backend_close(backend);
    glia_net_free(net);
    glia_model_free(model);
    glia_genome_free(g);
}

static void genomes_are_printed_and_parsed(void **state) {
    (void)state;
    glia_genome *g = glia_genome_parse(text, &error);
    char *printed = glia_genome_print(g, &error);
    assert_string_equal(printed, text);
    free(printed);
    glia_genome_free(g);
}

static void hostile_genomes_are_refused(void **state) {
    (void)state;
    static const char head[] = "genome 1 inputs 1 outputs\nnode 0 input\nnode 1 bias\nnode 2 output tanh\n";
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "node 3 hidden tanh\nlink 0 from 0 to 9 weight 1\n", "there is no node 9" },
        { "node 3 hidden tanh\nnode 4 hidden tanh\nlink 0 from 3 to 4 weight 1\nlink 1 from 4 to 3 weight 1\n"
          "link 2 from 3 to 2 weight 1\n",
          "node 3 is in a cycle" },
        { "link 0 from 2 to 2 weight 1\n", "node 2 is in a cycle" },
        { "link 0 from 2 to 0 weight 1\n", "leads into input 0" },
        { "link 0 from 0 to 2 weight nan\n", "line 5" },
        { "link 0 from 0 to 2 weight 1e999\n", "line 5" },
        { "link 1 from 0 to 2 weight 1\nlink 1 from 1 to 2 weight 1\n", "link 1 after link 1" },
        { "node 2 hidden tanh\n", "node 2 stands where hidden was expected" },
        { "node 3 hidden cubic\n", "line 5" },
        { "knot 3 hidden tanh\n", "'knot' begins no node" },
    };
    for (int i = 0; i < GLIA_COUNT(cases); i++) {
        char whole[512];
        snprintf(whole, sizeof whole, "%s%s", head, cases[i].text);
        assert_null(glia_genome_parse(whole, &error));
        assert_int_equal(error.status, GLIA_E_FORMAT);
        ASSERT_SAYS(cases[i].says);
    }
    assert_null(glia_genome_parse("", &error));
    assert_null(glia_genome_parse("genome -3 inputs 1 outputs", &error));
    for (size_t cut = 0; cut < sizeof text; cut++) { /* any beginning of a genome */
        char part[sizeof text];
        memcpy(part, text, cut);
        part[cut] = 0;
        glia_genome_free(glia_genome_parse(part, &error));
    }
}

/* ---- NEAT --------------------------------------------------------------------------------------------- */

static glia_status xor_fitness(void *context, const glia_genome *genome, uint64_t seed, double *fitness,
                               glia_error *e) {
    (void)context, (void)seed;
    glia_net *net = glia_net_create(genome, e);
    if (!net) return GLIA_E_NOMEM;
    double sum = 0, y;
    for (int i = 0; i < 4; i++) {
        glia_net_run(net, (const double[]){ i & 1, i >> 1 }, &y);
        sum += fabs(y - ((i & 1) != i >> 1));
    }
    glia_net_free(net);
    *fitness = (4 - sum) * (4 - sum);
    return GLIA_OK;
}

static glia_neat *create(glia_neat_opts opts) {
    glia_neat *neat = glia_neat_create(opts, &error);
    if (!neat) fail_msg("%s", error.message);
    return neat;
}

static void xor_is_solved_by_nets_that_grew(void **state) {
    (void)state;
    for (int run = 0; run < 3; run++) {
        glia_neat *neat = create(
            (glia_neat_opts){ .inputs = 2, .outputs = 1, .add_node = 0.05, .add_link = 0.1, .seed = (uint64_t)run });
        if (glia_neat_run(neat, xor_fitness, NULL, 12, 150, 1, &error) != GLIA_OK) fail_msg("%s", error.message);
        const glia_genome *champion = glia_neat_champion(neat);
        assert_true(champion->fitness >= 12);
        assert_true(glia_genome_measure(champion).hidden >= 1); /* no net without hidden nodes computes XOR */
        glia_neat_free(neat);
    }
}

static void the_same_change_has_the_same_number(void **state) {
    (void)state;
    glia_neat *neat = create((glia_neat_opts){ .inputs = 3, .outputs = 2, .add_node = 0.5, .add_link = 0.5 });
    for (int g = 0; g < 12; g++) {
        double fitness[150];
        for (int i = 0; i < 150; i++) fitness[i] = glia_neat_genome(neat, i)->n_links;
        assert_int_equal(glia_neat_tell(neat, fitness, &error), GLIA_OK);
        for (int i = 0; i < 150; i++) {
            const glia_genome *a = glia_neat_genome(neat, i), *b = glia_neat_genome(neat, (i + 7) % 150);
            assert_int_equal(glia_genome_check(a, &error), GLIA_OK);
            for (int k = 0, m = 0; k < a->n_links; k++) {
                while (m < b->n_links && b->links[m].innovation < a->links[k].innovation) m++;
                if (m == b->n_links || b->links[m].innovation != a->links[k].innovation) continue;
                assert_int_equal(a->links[k].from, b->links[m].from);
                assert_int_equal(a->links[k].to, b->links[m].to);
            }
        }
    }
    assert_true(glia_neat_inspect(neat).species > 1);
    glia_neat_free(neat);
}

/* The distance of Stanley and Miikkulainen, section 3.3: two excess links, one disjoint, common weights that differ by
 * 1 on average. */
static void distances_count_genes(void **state) {
    (void)state;
    glia_link_gene a[] = { { 0, 0, 2, 1, true, false }, { 1, 1, 2, 1, true, false }, { 2, 0, 3, 1, true, false } },
                   b[] = { { 0, 0, 2, 2, true, false },
                           { 1, 1, 2, 2, true, false },
                           { 5, 0, 4, 1, true, false },
                           { 6, 4, 2, 1, true, false } };
    glia_neat neat = { .opts = { .excess = 1, .disjoint = 10, .weights = 100 } };
    const glia_genome left = { .n_links = 3, .links = a }, right = { .n_links = 4, .links = b };
    ASSERT_NEAR(glia_neat_distance(&neat, &left, &right), 2 + 10 + 100, 1e-12);
    ASSERT_NEAR(glia_neat_distance(&neat, &right, &left), 2 + 10 + 100, 1e-12);
    ASSERT_NEAR(glia_neat_distance(&neat, &left, &left), 0, 0);
}

static void the_ablations_ablate(void **state) {
    (void)state;
    glia_neat *one = create((glia_neat_opts){ .inputs = 2, .outputs = 1, .no_speciation = true, .add_node = 0.5 });
    glia_neat *fixed = create((glia_neat_opts){ .inputs = 2, .outputs = 1, .no_growth = true, .hidden = 4 });
    assert_int_equal(glia_neat_run(one, xor_fitness, NULL, 100, 10, 1, &error), GLIA_OK);
    assert_int_equal(glia_neat_inspect(one).species, 1);
    assert_int_equal(glia_neat_run(fixed, xor_fitness, NULL, 100, 10, 1, &error), GLIA_OK);
    for (int i = 0; i < 150; i++) assert_int_equal(glia_neat_genome(fixed, i)->n_links, 4 * (3 + 1));
    glia_neat_free(one);
    glia_neat_free(fixed);
}

/* ---- the same bits ------------------------------------------------------------------------------------- */

static void assert_same(glia_neat *a, glia_neat *b) {
    glia_array x[GLIA_NEAT_ARRAYS], y[GLIA_NEAT_ARRAYS];
    assert_int_equal(glia_neat_save(a, x, GLIA_NEAT_ARRAYS), GLIA_NEAT_ARRAYS);
    assert_int_equal(glia_neat_save(b, y, GLIA_NEAT_ARRAYS), GLIA_NEAT_ARRAYS);
    for (int i = 0; i < GLIA_NEAT_ARRAYS; i++) {
        assert_true(glia_shape_equal(x[i].shape, y[i].shape));
        assert_memory_equal(x[i].data, y[i].data, (size_t)glia_shape_count(x[i].shape) * glia_dtype_size(x[i].dtype));
    }
}

/* Random topologies are alike only where their numbers are; about half of all links are there. */
static void first_genomes_may_be_random(void **state) {
    (void)state;
    const glia_neat_opts opts = { .inputs = 3, .outputs = 2, .hidden = 5, .random_topology = true, .seed = 4 };
    glia_neat *neat = create(opts);
    int sizes[6] = { 0 };
    double links = 0, possible = 0;
    int ends[64][2] = { { 0 } };
    for (int i = 0; i < glia_neat_population(neat); i++) {
        const glia_genome *g = glia_neat_genome(neat, i);
        const int hidden = g->n_nodes - 6;
        assert_in_range(hidden, 1, 5);
        sizes[hidden]++;
        links += g->n_links;
        possible += hidden * (4 + 2) + 4 * 2;
        for (int l = 0; l < g->n_links; l++) {
            const glia_link_gene *link = &g->links[l];
            assert_true(l == 0 || link[-1].innovation < link->innovation);
            int *known = ends[link->innovation];
            if (known[1]) assert_true(known[0] == link->from && known[1] == link->to);
            known[0] = link->from;
            known[1] = link->to;
        }
        glia_net *net = glia_net_create(g, &error);
        if (!net) fail_msg("%s", error.message);
        glia_net_free(net);
    }
    for (int k = 1; k <= 5; k++) assert_in_range(sizes[k], 15, 50);
    ASSERT_NEAR(links / possible, 0.5, 0.03);
    double fitness[150] = { 0 };
    for (int t = 0; t < 3; t++) assert_int_equal(glia_neat_tell(neat, fitness, &error), GLIA_OK);
    glia_neat_free(neat);
    assert_null(glia_neat_create((glia_neat_opts){ .inputs = 1, .outputs = 1, .random_topology = true }, &error));
    ASSERT_SAYS("random topologies need hidden nodes");
}

static const glia_neat_opts usual = { .inputs = 2, .outputs = 1, .recurrent = true, .add_link = 0.2, .seed = 8 };

static void any_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    const int threads[] = { 2, 3, 8 };
    glia_neat *one = create(usual);
    assert_int_equal(glia_neat_run(one, xor_fitness, NULL, 100, 20, 1, &error), GLIA_OK);
    for (int i = 0; i < GLIA_COUNT(threads); i++) {
        glia_neat *many = create(usual);
        assert_int_equal(glia_neat_run(many, xor_fitness, NULL, 100, 20, threads[i], &error), GLIA_OK);
        assert_same(one, many);
        glia_neat_free(many);
    }
    glia_neat_free(one);
}

static void a_restored_search_goes_on_with_the_same_bits(void **state) {
    (void)state;
    glia_neat *one = create(usual), *other = create(usual);
    glia_array saved[GLIA_NEAT_ARRAYS];
    assert_int_equal(glia_neat_run(one, xor_fitness, NULL, 100, 15, 1, &error), GLIA_OK);
    assert_int_equal(glia_neat_save(one, saved, GLIA_NEAT_ARRAYS), GLIA_NEAT_ARRAYS);
    assert_int_equal(glia_neat_restore(other, saved, GLIA_NEAT_ARRAYS, true, &error), GLIA_OK);
    assert_int_equal(glia_neat_inspect(other).generation, 0);
    if (glia_neat_restore(other, saved, GLIA_NEAT_ARRAYS, false, &error) != GLIA_OK) fail_msg("%s", error.message);
    assert_same(one, other);
    assert_int_equal(glia_neat_run(one, xor_fitness, NULL, 100, 15, 1, &error), GLIA_OK);
    assert_int_equal(glia_neat_run(other, xor_fitness, NULL, 100, 15, 1, &error), GLIA_OK);
    assert_same(one, other);
    glia_neat_free(one);
    glia_neat_free(other);
}

static void damaged_states_are_refused(void **state) {
    (void)state;
    glia_neat *one = create(usual), *other = create(usual);
    glia_array saved[GLIA_NEAT_ARRAYS];
    glia_neat_run(one, xor_fitness, NULL, 100, 5, 1, &error);
    assert_int_equal(glia_neat_save(one, saved, GLIA_NEAT_ARRAYS), GLIA_NEAT_ARRAYS);
    assert_int_equal(glia_neat_restore(other, saved, GLIA_NEAT_ARRAYS - 1, false, &error), GLIA_E_FORMAT);
    for (int a = 0; a < GLIA_NEAT_ARRAYS; a++) { /* one changed number after the other; each is refused or harmless */
        const size_t size = glia_dtype_size(saved[a].dtype);
        const int64_t count = glia_shape_count(saved[a].shape);
        for (int64_t i = 0; i < count; i += GLIA_MAX(count / 40, 1)) {
            char kept[8], *at = (char *)saved[a].data + (size_t)i * size;
            memcpy(kept, at, size);
            memset(at, 0x7f, size);
            const glia_status status = glia_neat_restore(other, saved, GLIA_NEAT_ARRAYS, true, &error);
            assert_true(status == GLIA_OK || status == GLIA_E_FORMAT);
            memcpy(at, kept, size);
        }
    }
    assert_int_equal(glia_neat_inspect(other).generation, 0);
    glia_neat_free(one);
    glia_neat_free(other);
}

static void mistakes_are_named(void **state) {
    (void)state;
    assert_null(glia_neat_create((glia_neat_opts){ .outputs = 1 }, &error));
    ASSERT_SAYS("0 inputs");
    assert_null(glia_neat_create((glia_neat_opts){ .inputs = 1, .outputs = 1, .add_node = 2 }, &error));
    ASSERT_SAYS("add_node is 2");
    assert_null(glia_neat_create((glia_neat_opts){ .inputs = 1, .outputs = 1, .population = 1 }, &error));
    ASSERT_SAYS("population of 1");
    double fitness[150] = { 0 };
    glia_neat *neat = create(usual);
    fitness[3] = NAN;
    assert_int_equal(glia_neat_tell(neat, fitness, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("the fitness of genome 3 in generation 0 is nan; the search is as before");
    assert_int_equal(glia_neat_inspect(neat).generation, 0);
    glia_neat_free(neat);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nets_compute_what_the_genome_says),
        cmocka_unit_test(functions_of_nodes_are_accurate),
        cmocka_unit_test(models_compute_the_same),
        cmocka_unit_test(genomes_are_printed_and_parsed),
        cmocka_unit_test(hostile_genomes_are_refused),
        cmocka_unit_test(xor_is_solved_by_nets_that_grew),
        cmocka_unit_test(the_same_change_has_the_same_number),
        cmocka_unit_test(distances_count_genes),
        cmocka_unit_test(the_ablations_ablate),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(a_restored_search_goes_on_with_the_same_bits),
        cmocka_unit_test(damaged_states_are_refused),
        cmocka_unit_test(first_genomes_may_be_random),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
