/* ranking.c - how well scores rank what is there before what is not: links, and items for users. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "glia/graphs.h"

typedef struct item {
    float score;
    bool positive;
} item;

/* The best first; equal scores in any order. */
static int best_first(const void *a, const void *b) {
    const float x = ((const item *)a)->score, y = ((const item *)b)->score;
    return (x < y) - (x > y);
}

static int larger_first(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* Area under the ROC curve, and average precision: the mean over positives of the precision at their rank, where equal
 * scores have one rank. */
static void areas(item *items, int64_t n, int64_t positives, glia_ranking *out) {
    int64_t above = 0, found = 0; /* negatives and positives with better scores */
    double right = 0, precision = 0;
    for (int64_t i = 0; i < n;) {
        int64_t end = i, here = 0;
        for (; end < n && items[end].score == items[i].score; end++) here += items[end].positive;
        const int64_t others = end - i - here;
        right += (double)here * ((double)(n - positives - above - others) + 0.5 * (double)others);
        found += here;
        precision += (double)here * (double)found / (double)end;
        above += others;
        i = end;
    }
    out->auc = right / ((double)positives * (double)(n - positives));
    out->ap = precision / (double)positives;
}

glia_status glia_rank_links(const float *edges, int64_t n, const float *others, int64_t m, glia_ranking *out,
                            glia_error *error) {
    if (!edges || !others || !out) return glia_fail_null(error, !edges ? "edges" : !others ? "others" : "out");
    if (n < 1 || m < 1) return glia_fail(error, GLIA_E_ARGUMENT, "a ranking needs edges and others");
    item *items = malloc((size_t)(n + m) * sizeof *items);
    float *sorted = malloc((size_t)m * sizeof *sorted);
    if (!items || !sorted) {
        free(items);
        free(sorted);
        return glia_fail_nomem(error);
    }
    for (int64_t i = 0; i < n + m; i++) items[i] = (item){ i < n ? edges[i] : others[i - n], i < n };
    qsort(items, (size_t)(n + m), sizeof *items, best_first);
    *out = (glia_ranking){ 0 };
    areas(items, n + m, n, out);
    memcpy(sorted, others, (size_t)m * sizeof *sorted);
    qsort(sorted, (size_t)m, sizeof *sorted, larger_first);
    for (int64_t i = 0; i < n; i++) {
        int64_t low = 0, high = m; /* the first that is not better */
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (sorted[middle] > edges[i])
                low = middle + 1;
            else
                high = middle;
        }
        out->mrr += 1.0 / (double)(low + 1) / (double)n;
        out->hits10 += (edges[i] > sorted[GLIA_MIN(9, m - 1)]) / (double)n;
        out->hits50 += (edges[i] > sorted[GLIA_MIN(49, m - 1)]) / (double)n;
        out->hits100 += (edges[i] > sorted[GLIA_MIN(99, m - 1)]) / (double)n;
    }
    free(items);
    free(sorted);
    return GLIA_OK;
}

/* ---- recommendations ------------------------------------------------------------------------------------- */

void glia_rank_items(const float *scores, const uint8_t *relevant, const uint8_t *seen, int64_t items, int k,
                     glia_recommended *sum) {
    int64_t wanted = 0, found = 0;
    double gain = 0, ideal = 0, precision = 0;
    int64_t best[GLIA_RECOMMENDED_MOST];
    int n = 0;
    if (!scores || !relevant || !seen || !sum) return;
    k = GLIA_MIN(k, GLIA_RECOMMENDED_MOST);
    for (int64_t i = 0; i < items; i++) {
        wanted += relevant[i] != 0;
        if (seen[i]) continue;
        int at = n;
        while (at > 0 && scores[best[at - 1]] < scores[i]) at--;
        if (at >= k) continue;
        n = GLIA_MIN(n + 1, k);
        memmove(best + at + 1, best + at, (size_t)(n - at - 1) * sizeof *best);
        best[at] = i;
    }
    if (wanted == 0) return;
    for (int i = 0; i < n; i++) {
        if (relevant[best[i]]) {
            gain += 1 / log2(i + 2.0);
            precision += (double)++found / (i + 1);
        }
    }
    for (int i = 0; i < GLIA_MIN(wanted, (int64_t)k); i++) ideal += 1 / log2(i + 2.0);
    sum->ndcg += gain / ideal;
    sum->map += precision / (double)GLIA_MIN(wanted, (int64_t)k);
    sum->precision += (double)found / k;
    sum->recall += (double)found / (double)wanted;
    sum->users++;
}
