/* check_data.c - whether data suit a model that learns by a method of this folder. */
#include "families/spiking/check_data.h"

#include "base/base.h"
#include "core/tensor/tensor.h"

glia_status glia_spiking_check_data(const glia_dataset *data, const char *method, int64_t values, int64_t classes,
                                    glia_error *error) {
    const bool labelled = glia_data_classes(data) && glia_data_classes(data) <= classes &&
                          glia_data_y_dtype(data) == GLIA_I32 && glia_shape_count(glia_data_y_shape(data)) == 1;
    if (classes > 0 && !labelled)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "the method %s needs data with a class for each sample, of the model's %lld", method,
                         (long long)classes);
    if (glia_shape_count(glia_data_x_shape(data)) == values) return GLIA_OK;
    char text[GLIA_SHAPE_TEXT];
    return glia_fail(error, GLIA_E_SHAPE, "the data '%s' have samples %s, but the model takes %lld numbers",
                     glia_data_name(data), glia_shape_format(glia_data_x_shape(data), text), (long long)values);
}
