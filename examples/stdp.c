/* stdp.c - a cell finds a pattern that repeats in noise, by spike times alone (Masquelier, Guyonneau and Thorpe 2008,
 * smaller): 200 inputs fire at random at 10 Hz; half of them repeat the same 50 ms again and again. The cell begins to
 * fire at random times, and ends as a detector of the pattern, because inputs that fire just before it are
 * strengthened.
 */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUTS = 200, MEMBERS = 100, SECONDS = 60, MOST = 200000 };

static uint64_t state = 88172645463325252u;
static double uniform(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}

static int by_time(const void *a, const void *b) {
    const glia_spike_event *p = a, *q = b;
    return (p->time > q->time) - (p->time < q->time);
}

/* The input of one second from `begin` ms: the pattern in [0, 50) and [400, 450), noise else. */
static int second_of_input(double begin, const double *pattern, glia_spike_event *events) {
    int n = 0;
    for (int i = 0; i < INPUTS; i++) {
        for (double t = -100 * uniform(); t < 1000; t += 20 + 160 * uniform()) {
            const bool replaced = i < MEMBERS && ((t >= 0 && t < 50) || (t >= 400 && t < 450));
            if (t >= 0 && !replaced) events[n++] = (glia_spike_event){ begin + t, i };
        }
        for (int k = 0; i < MEMBERS && k < 2; k++) events[n++] = (glia_spike_event){ begin + 400 * k + pattern[i], i };
    }
    qsort(events, (size_t)n, sizeof *events, by_time);
    return n;
}

int main(void) {
    static glia_spike_event events[MOST], spikes[MOST];
    double pattern[MEMBERS];
    glia_error error;
    const glia_stdp rule = {
        .rule = GLIA_STDP_PAIR, .a_plus = 0.03, .a_minus = 0.0235, .tau_plus = 16.8, .tau_minus = 33.7, .nearest = true
    };
    const glia_spike_cell cell = { .tau = 10, .threshold = 11.5, .refractory = 5 };
    glia_spike_net *net = glia_spike_net_create(INPUTS + 1, cell, &error);
    for (int i = 0; i < MEMBERS; i++) pattern[i] = 50 * uniform();
    for (int i = 0; i < INPUTS; i++) {
        if (glia_spike_net_connect(net, i, INPUTS, 0.475, 0, &rule, &error))
            return fprintf(stderr, "%s\n", error.message), 1;
    }
    for (int s = 0; s < SECONDS; s++) {
        const int n = second_of_input(1000.0 * s, pattern, events);
        int64_t fired = 0, all = 0, inside = 0;
        if (glia_spike_net_run(net, events, n, 1000.0 * (s + 1), spikes, MOST, &fired, &error))
            return fprintf(stderr, "%s\n", error.message), 1;
        for (int64_t i = 0; i < fired; i++) {
            const double t = spikes[i].time - 1000.0 * s;
            if (spikes[i].cell != INPUTS) continue;
            all++;
            inside += (t >= 0 && t < 55) || (t >= 400 && t < 455);
        }
        if (s % 10 == 0 || s == SECONDS - 1)
            printf("second %2d: %3lld spikes, %3.0f %% of them at the pattern\n", s + 1, (long long)all,
                   all ? 100.0 * (double)inside / (double)all : 0.0);
    }
    const glia_spike_work work = glia_spike_net_work(net);
    printf("%lld spikes, %lld deliveries\n", (long long)work.spikes, (long long)work.deliveries);
    glia_spike_net_free(net);
    return 0;
}
