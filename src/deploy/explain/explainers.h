/* explainers.h - the table of methods, for explainer.c. */
#ifndef GLIA_SRC_DEPLOY_EXPLAIN_EXPLAINERS_H
#define GLIA_SRC_DEPLOY_EXPLAIN_EXPLAINERS_H

#include "deploy/explain/explain.h"

/* NULL: see error, which has the nearest name. */
const glia_explain_method *glia_explain_method_named(const char *name, glia_error *error);

#endif
