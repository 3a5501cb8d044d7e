/* test_spiking_cells.c - cells against closed forms and fine Euler steps; codes within their bounds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "asserts.h"
#include "glia/glia.h"

static glia_error error;

/* ---- cells -------------------------------------------------------------------------------------- */

enum { STEPS = 20000, MOST = 4000 };
static double current[STEPS], exc[STEPS], inh[STEPS], trace[STEPS], times[MOST];

static glia_neuron_run run_of(const glia_neuron *n, int64_t steps, double dt, double with) {
    for (int64_t i = 0; i < steps; i++) current[i] = with;
    glia_neuron_run r = { .steps = steps, .dt = dt, .current = current, .v = trace, .spikes = times, .capacity = MOST };
    if (glia_neuron_simulate(n, &r, &error) != GLIA_OK) fail_msg("%s", error.message);
    return r;
}

/* Hz between the spikes of the second half. */
static double measured_rate(const glia_neuron_run *r) {
    const int64_t first = r->n_spikes / 2, last = r->n_spikes - 1;
    assert_true(last < MOST);
    return last > first ? 1000 * (double)(last - first) / (times[last] - times[first]) : 0;
}

static void a_membrane_follows_its_closed_form(void **state) {
    (void)state;
    const glia_neuron n = { .kind = GLIA_LIF, .tau = 12, .rest = -70, .threshold = -40 };
    const glia_neuron_run r = run_of(&n, 1000, 0.7, 2); /* to -50 mV: no spike */
    assert_int_equal(r.n_spikes, 0);
    for (int i = 0; i < 1000; i++) ASSERT_NEAR(trace[i], -50 - 20 * exp(-0.7 * (i + 1) / 12), 1e-10);
}

static void rates_are_those_of_the_closed_forms(void **state) {
    (void)state;
    const glia_neuron cells[] = { { .kind = GLIA_LIF, .refractory = 3 },
                                  { .kind = GLIA_LIF, .tau = 10, .reset = -75, .mode = GLIA_RESET_HARD },
                                  { .kind = GLIA_LIF_ADAPTIVE, .jump = 0.02, .refractory = 2 },
                                  { .kind = GLIA_LIF_ADAPTIVE, .jump = 0.3, .tau_adapt = 150 } };
    for (int c = 0; c < 4; c++) {
        assert_true(glia_neuron_rate(&cells[c], 1.4) == 0); /* to -51 mV */
        assert_int_equal(run_of(&cells[c], 2000, 1, 1.4).n_spikes, 0);
        for (double i = 1.6; i < 6; i += 0.7) {
            const glia_neuron_run r = run_of(&cells[c], 5000, 1, i); /* a coarse step: the times are exact */
            const double rate = glia_neuron_rate(&cells[c], i);
            ASSERT_NEAR(measured_rate(&r), rate, 1e-6 * rate);
        }
    }
    const glia_neuron other = { .kind = GLIA_IZHIKEVICH };
    assert_true(isnan(glia_neuron_rate(&other, 3)));
}

static void the_step_does_not_change_exact_cells(void **state) {
    (void)state;
    const glia_neuron cells[] = { { .kind = GLIA_LIF }, { .kind = GLIA_LIF_ADAPTIVE, .jump = 0.2 } };
    for (int c = 0; c < 2; c++) {
        glia_neuron_run r = run_of(&cells[c], 200, 2, 3);
        const int64_t n = r.n_spikes;
        static double kept[MOST];
        memcpy(kept, times, sizeof kept);
        r = run_of(&cells[c], 4000, 0.1, 3);
        assert_int_equal(r.n_spikes, n);
        assert_true(n > 8);
        for (int64_t i = 0; i < n; i++) ASSERT_NEAR(times[i], kept[i], 1e-7);
        if (c == 0) ASSERT_NEAR(times[0], 20 * log(30.0 / 15), 1e-9);
    }
}

static void resets_differ(void **state) {
    (void)state;
    glia_neuron n = { .kind = GLIA_LIF, .rest = -65, .threshold = -50, .reset = -60 };
    double rate[3];
    for (int mode = 0; mode < 3; mode++) {
        n.mode = (glia_reset)mode;
        const glia_neuron_run r = run_of(&n, 10000, 0.5, 2.5);
        rate[mode] = measured_rate(&r);
    }
    ASSERT_NEAR(1000 / rate[0], 20 * log(20.0 / 10), 1e-6);     /* from -60 to -50, target -40 */
    ASSERT_NEAR(1000 / rate[1], 20 * log(25.0 / 10), 1e-6);     /* the threshold less 15 is rest */
    const double delayed = 1000 / rate[2], exact = 20 * log(2); /* the rest of the step is lost */
    assert_true(delayed > exact && delayed <= exact + 0.5 + 1e-9);
    ASSERT_NEAR(fmod(delayed + 1e-9, 0.5), 0, 1e-6 + 0.5 * (fmod(delayed, 0.5) > 0.4));
}

static void a_stochastic_cell_fires_with_its_hazard(void **state) {
    (void)state;
    /* held at a constant v by rest = v, so the times between spikes are exponential with hazard e^(-2) / ms */
    const glia_neuron n = { .kind = GLIA_LIF_STOCHASTIC, .rest = -54, .threshold = -50, .width = 2, .reset = -54 };
    double spikes = 0;
    for (int seed = 0; seed < 8; seed++) {
        glia_neuron_run r = { .steps = STEPS, .dt = 0.2, .seed = (uint64_t)seed };
        assert_int_equal(glia_neuron_simulate(&n, &r, &error), GLIA_OK);
        spikes += (double)r.n_spikes;
    }
    const double chance = 1 - exp(-0.2 * exp(-2)), wanted = 8 * STEPS * chance;
    ASSERT_NEAR(spikes, wanted, 4 * sqrt(wanted * (1 - chance)));
}

/* ---- against other programs --------------------------------------------------------------------- */

static FILE *open_golden(void) {
    FILE *file = fopen(GLIA_GOLDEN_DIR "/spiking.txt", "r");
    assert_non_null(file);
    return file;
}

static void the_twenty_patterns_are_those_of_the_paper(void **state) {
    (void)state;
    FILE *file = open_golden();
    for (int i = 0; i < GLIA_FIRING_PATTERNS; i++) {
        const glia_firing_pattern *p = glia_firing_pattern_at(i);
        int index, count;
        double first, last, v;
        assert_int_equal(fscanf(file, " pattern %d %d %lf %lf %lf", &index, &count, &first, &last, &v), 5);
        assert_int_equal(index, i);
        const int64_t steps = llround(p->duration / p->dt);
        for (int64_t k = 0; k < steps; k++) current[k] = glia_firing_pattern_current(i, (double)k * p->dt);
        glia_neuron_run r = { .steps = steps,
                              .dt = p->dt,
                              .current = current,
                              .v0 = p->v0,
                              .u0 = p->u0,
                              .v = trace,
                              .spikes = times,
                              .capacity = MOST };
        assert_int_equal(glia_neuron_simulate(&p->neuron, &r, &error), GLIA_OK);
        if (r.n_spikes != count) fail_msg("%s: %d spikes, not %d", p->name, (int)r.n_spikes, count);
        ASSERT_NEAR(times[0], first, 1e-6);
        ASSERT_NEAR(times[count - 1], last, 1e-6);
        ASSERT_NEAR(trace[steps - 1], v, 1e-4);
    }
    fclose(file);
    assert_null(glia_firing_pattern_at(20));
    assert_true(isnan(glia_firing_pattern_current(-1, 3)));
}

static void conductances_converge_with_the_square_of_the_step(void **state) {
    (void)state;
    FILE *file = open_golden();
    char line[160];
    int count = 0;
    double last = 0;
    while (fgets(line, sizeof line, file)) sscanf(line, "cell conductance %d %lf", &count, &last);
    fclose(file);
    assert_true(count > 0);
    const glia_neuron n = { .kind = GLIA_LIF_CONDUCTANCE };
    double off[2];
    for (int fine = 0; fine < 2; fine++) { /* steps of 0.1 and 0.025 ms with the same gains */
        const int parts = fine ? 4 : 1;
        for (int i = 0; i < 3000 * parts; i++) {
            exc[i] = i % parts == 0 && i / parts % 3 == 0 ? 0.30 : 0;
            inh[i] = i % parts == 0 && i / parts % 7 == 0 ? 0.05 : 0;
        }
        glia_neuron_run r = {
            .steps = 3000 * parts, .dt = 0.1 / parts, .exc = exc, .inh = inh, .spikes = times, .capacity = MOST
        };
        assert_int_equal(glia_neuron_simulate(&n, &r, &error), GLIA_OK);
        assert_int_equal(r.n_spikes, count);
        off[fine] = fabs(times[count - 1] - last);
    }
    if (!(off[0] < 0.3 && off[1] < off[0] / 10)) fail_msg("off by %g and %g ms", off[0], off[1]);
}

/* ---- mistakes ----------------------------------------------------------------------------------- */

static void assert_refused(glia_neuron n, glia_neuron_run r, const char *part) {
    assert_int_equal(glia_neuron_simulate(&n, &r, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS(part);
}

static void mistakes_are_named(void **state) {
    (void)state;
    const glia_neuron lif = { 0 };
    assert_refused(lif, (glia_neuron_run){ .steps = 1, .dt = 30 }, "30 ms is too long for the time constant tau");
    assert_refused((glia_neuron){ .kind = GLIA_LIF_CONDUCTANCE }, (glia_neuron_run){ .steps = 1, .dt = 1.5 },
                   "too long for the time constant tau_exc");
    assert_refused((glia_neuron){ .kind = GLIA_IZHIKEVICH }, (glia_neuron_run){ .steps = 1, .dt = 1.5 }, "1 ms");
    assert_refused(lif, (glia_neuron_run){ .steps = -1 }, "-1 steps");
    assert_refused(lif, (glia_neuron_run){ .dt = -1 }, "dt is -1 ms");
    assert_refused((glia_neuron){ .tau = -1 }, (glia_neuron_run){ 0 }, "tau is -1; it must be above 0");
    assert_refused((glia_neuron){ .refractory = NAN }, (glia_neuron_run){ 0 }, "refractory is nan");
    assert_refused((glia_neuron){ .threshold = -70 }, (glia_neuron_run){ 0 }, "not above rest");
    assert_refused(lif, (glia_neuron_run){ .steps = 1, .exc = exc }, "lif has no conductances");
    current[0] = NAN;
    assert_refused(lif, (glia_neuron_run){ .steps = 1, .current = current }, "current[0] is nan");
    current[0] = 1e15;
    assert_refused(lif, (glia_neuron_run){ .steps = 1, .current = current }, "the current is too strong");
    assert_refused((glia_neuron){ .kind = 9 }, (glia_neuron_run){ 0 }, "no kind 9");
    for (int k = 0; k < GLIA_NEURON_COUNT; k++) assert_non_null(glia_neuron_about((glia_neuron_kind)k)->paper);
    assert_null(glia_neuron_about(GLIA_NEURON_COUNT));
}

/* ---- codes -------------------------------------------------------------------------------------- */

enum { VALUES = 400, TICKS = 64 };

static void random_codes_have_the_variance_of_their_counts(void **state) {
    (void)state;
    static double x[VALUES], back[VALUES];
    static int8_t spikes[VALUES * 1024];
    for (int kind = GLIA_CODE_POISSON; kind <= GLIA_CODE_BERNOULLI; kind++) {
        for (int64_t steps = 64; steps <= 1024; steps *= 16) {
            const glia_code code = { .kind = (glia_code_kind)kind, .steps = steps, .rate = 500, .seed = 5 };
            double square = 0, mean = 0;
            for (int i = 0; i < VALUES; i++) x[i] = 0.3;
            assert_int_equal(glia_encode(&code, x, VALUES, spikes, &error), GLIA_OK);
            assert_int_equal(glia_decode(&code, spikes, VALUES, back, &error), GLIA_OK);
            for (int i = 0; i < VALUES; i++)
                mean += back[i] / VALUES, square += (back[i] - 0.3) * (back[i] - 0.3) / VALUES;
            const double wanted = glia_code_error(&code, 0.3);
            ASSERT_NEAR(mean, 0.3, 4 * wanted / sqrt(VALUES) + wanted * wanted);
            ASSERT_NEAR(sqrt(square) / wanted, 1, 0.2); /* the deviation of 400 draws: 3.5 % */
        }
    }
}

static void other_codes_stay_within_their_bounds(void **state) {
    (void)state;
    static const int kinds[] = { GLIA_CODE_BINARY, GLIA_CODE_REGULAR, GLIA_CODE_TEMPORAL, GLIA_CODE_LATENCY,
                                 GLIA_CODE_PHASE };
    static double x[VALUES], back[VALUES];
    static int8_t spikes[VALUES * TICKS];
    for (int k = 0; k < 5; k++) {
        const glia_code code = { .kind = (glia_code_kind)kinds[k],
                                 .steps = kinds[k] == GLIA_CODE_TEMPORAL ? 10 : TICKS };
        double worst = 0;
        for (int i = 0; i < VALUES; i++) x[i] = (double)i / (VALUES - 1);
        assert_int_equal(glia_encode(&code, x, VALUES, spikes, &error), GLIA_OK);
        assert_int_equal(glia_decode(&code, spikes, VALUES, back, &error), GLIA_OK);
        for (int i = 0; i < VALUES; i++) worst = fmax(worst, fabs(back[i] - x[i]));
        const double most = glia_code_error(&code, 0.5);
        if (!(worst <= most * (1 + 1e-9) && worst > most / 2)) /* the bound is reached, too */
            fail_msg("%s: %g, and the bound is %g", glia_code_name(code.kind), worst, most);
    }
}

static void ranks_and_signals_come_back(void **state) {
    (void)state;
    const double x[4] = { 0.2, 0.9, 0.5, 0.2 };
    double back[4];
    int8_t spikes[4 * TICKS];
    const glia_code rank = { .kind = GLIA_CODE_RANK, .steps = 4, .decay = 0.5 };
    assert_int_equal(glia_encode(&rank, x, 4, spikes, &error), GLIA_OK);
    assert_int_equal(glia_decode(&rank, spikes, 4, back, &error), GLIA_OK);
    const double wanted[4] = { 0.25, 1, 0.5, 0.125 };
    for (int i = 0; i < 4; i++) ASSERT_NEAR(back[i], wanted[i], 1e-15);
    assert_true(isnan(glia_code_error(&rank, 0.5)));

    double wave[TICKS], level[TICKS];
    for (int i = 0; i < TICKS; i++) wave[i] = sin(i * 0.1);
    const glia_code delta = { .kind = GLIA_CODE_DELTA, .steps = TICKS, .threshold = 0.1 };
    assert_int_equal(glia_encode(&delta, wave, 1, spikes, &error), GLIA_OK);
    assert_int_equal(glia_decode(&delta, spikes, 1, level, &error), GLIA_OK);
    for (int i = 0; i < TICKS; i++) assert_true(fabs(level[i] - wave[i]) <= 0.1 + 1e-12);
}

static void mistakes_of_codes_are_named(void **state) {
    (void)state;
    const double x[2] = { 0.5, 1.5 };
    int8_t spikes[8];
    const glia_code fast = { .kind = GLIA_CODE_BERNOULLI, .steps = 4, .rate = 1200 };
    assert_int_equal(glia_encode(&fast, x, 1, spikes, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("a rate of 1200 Hz is 1.2 spikes in a step of 1 ms");
    const glia_code plain = { .kind = GLIA_CODE_REGULAR, .steps = 4 };
    assert_int_equal(glia_encode(&plain, x, 2, spikes, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("x[1] is 1.5, which is not in [0, 1]");
    const glia_code shortest = { .kind = GLIA_CODE_LATENCY, .steps = 1 };
    assert_int_equal(glia_encode(&shortest, x, 1, spikes, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("the latency code needs at least 2 steps");
    const glia_code long_one = { .kind = GLIA_CODE_TEMPORAL, .steps = 60 };
    assert_int_equal(glia_encode(&long_one, x, 1, spikes, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("at most 52 steps");
    const glia_code ranks = { .kind = GLIA_CODE_RANK, .steps = 1 };
    assert_int_equal(glia_encode(&ranks, (double[]){ 1, 1 }, 2, spikes, &error), GLIA_E_ARGUMENT);
    ASSERT_SAYS("a step for each of 2 values");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_membrane_follows_its_closed_form),
        cmocka_unit_test(rates_are_those_of_the_closed_forms),
        cmocka_unit_test(the_step_does_not_change_exact_cells),
        cmocka_unit_test(resets_differ),
        cmocka_unit_test(a_stochastic_cell_fires_with_its_hazard),
        cmocka_unit_test(the_twenty_patterns_are_those_of_the_paper),
        cmocka_unit_test(conductances_converge_with_the_square_of_the_step),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(random_codes_have_the_variance_of_their_counts),
        cmocka_unit_test(other_codes_stay_within_their_bounds),
        cmocka_unit_test(ranks_and_signals_come_back),
        cmocka_unit_test(mistakes_of_codes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
