/* overlap.c - how well the regions of a segmentation match: IoU and Dice of each class. See glia/vision.h. */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "glia/vision.h"

glia_overlap glia_overlap_of(const int64_t *confusion, int classes, double *iou, double *dice) {
    glia_overlap mean = { NAN, NAN, NAN };
    if (!confusion || classes < 1) return mean;
    double sum_iou = 0, sum_dice = 0, right = 0, total = 0;
    int n = 0;
    for (int c = 0; c < classes; c++) {
        double true_ones = 0, found = 0;
        const double both = (double)confusion[(int64_t)c * classes + c];
        for (int k = 0; k < classes; k++) {
            true_ones += (double)confusion[(int64_t)c * classes + k];
            found += (double)confusion[(int64_t)k * classes + c];
        }
        const double either = true_ones + found - both;
        const double i = either > 0 ? both / either : NAN, d = either > 0 ? 2 * both / (true_ones + found) : NAN;
        if (iou) iou[c] = i;
        if (dice) dice[c] = d;
        right += both;
        total += true_ones;
        if (either <= 0) continue;
        sum_iou += i;
        sum_dice += d;
        n++;
    }
    return (glia_overlap){ sum_iou / n, sum_dice / n, right / total };
}

/* Counts one sample's pixels. */
static void count(const float *scores, const int32_t *truth, int64_t pixels, int classes, int64_t *confusion) {
    for (int64_t i = 0; i < pixels; i++) {
        if (truth[i] < 0 || truth[i] >= classes) continue;
        const float *row = scores + i * classes;
        int best = 0;
        for (int c = 1; c < classes; c++)
            if (row[c] > row[best]) best = c;
        confusion[(int64_t)truth[i] * classes + best]++;
    }
}

glia_status glia_segmentation_confusion(glia_model *model, const glia_dataset *data, int classes, int64_t *confusion,
                                        glia_backend *backend, glia_error *error) {
    if (!model) return glia_fail_null(error, "glia_segmentation_confusion: model");
    if (!data) return glia_fail_null(error, "glia_segmentation_confusion: data");
    if (!confusion) return glia_fail_null(error, "glia_segmentation_confusion: confusion");
    const glia_tensor y = glia_model_output_at(model, 0, NULL);
    const glia_shape shape = glia_tensor_shape(y), target = glia_data_y_shape(data);
    const int64_t pixels = glia_shape_count(target), x_count = glia_shape_count(glia_data_x_shape(data));
    if (classes < 1 || shape.rank != 3 || shape.dim[1] != pixels || shape.dim[2] != classes ||
        glia_data_y_dtype(data) != GLIA_I32)
        return glia_fail(error, GLIA_E_SHAPE,
                         "segmentation: the model must give scores (N, %lld, %d), one row for each labelled pixel",
                         (long long)pixels, classes);
    float *x = malloc((size_t)x_count * sizeof *x), *scores = malloc((size_t)(pixels * classes) * sizeof *scores);
    int32_t *truth = malloc((size_t)pixels * sizeof *truth);
    glia_status status = x && scores && truth ? GLIA_OK : glia_fail_nomem(error);
    for (int64_t i = 0; i < (int64_t)classes * classes; i++) confusion[i] = 0;
    for (int64_t i = 0; status == GLIA_OK && i < glia_data_count(data); i++) {
        status = glia_data_get(data, i, x, truth, error);
        if (status == GLIA_OK) status = glia_predict(model, x, 1, scores, backend, error);
        if (status == GLIA_OK) count(scores, truth, pixels, classes, confusion);
    }
    free(x);
    free(scores);
    free(truth);
    return status;
}
