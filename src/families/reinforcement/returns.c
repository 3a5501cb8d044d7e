/* returns.c - advantages of rollouts. */
#include "base/base.h"
#include "glia/reinforcement.h"

glia_status glia_gae(const glia_rollout *r, double gamma, double lambda, float *advantages, float *returns,
                     glia_error *error) {
    if (!r) return glia_fail_null(error, "rollout");
    if (!advantages || !returns) return glia_fail_null(error, advantages ? "returns" : "advantages");
    if (!r->rewards || !r->values || !r->terminated || !r->truncated || !r->started || r->steps < 1 || r->copies < 1) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_gae: a rollout of %lld steps lacks its arrays",
                         (long long)r->steps);
    }
    if (!(gamma >= 0 && gamma <= 1 && lambda >= 0 && lambda <= 1)) {
        return glia_fail(error, GLIA_E_ARGUMENT, "glia_gae: gamma %g and lambda %g must be in [0, 1]", gamma, lambda);
    }
    for (int64_t c = 0; c < r->copies; c++) {
        double later = 0;
        for (int64_t t = r->steps - 1; t >= 0; t--) {
            const int64_t i = t * r->copies + c;
            const bool ends = r->terminated[i] || r->truncated[i];
            const double next = r->terminated[i] ? 0 : (double)r->values[i + r->copies];
            const double delta = (double)r->rewards[i] + gamma * next - (double)r->values[i];
            later = r->started[i] ? 0 : delta + (ends ? 0 : gamma * lambda * later);
            advantages[i] = (float)later;
            returns[i] = (float)(later + (double)r->values[i]);
        }
    }
    return GLIA_OK;
}
