/* check_data.h - whether data suit a model that learns by a method of this folder. */
#ifndef GLIA_SRC_FAMILIES_SPIKING_CHECK_DATA_H
#define GLIA_SRC_FAMILIES_SPIKING_CHECK_DATA_H

#include "glia/data.h"

/* Samples of `values` numbers; with `classes` above 0 also a class for each, of at most so many. */
glia_status glia_spiking_check_data(const glia_dataset *data, const char *method, int64_t values, int64_t classes,
                                    glia_error *error);

#endif
