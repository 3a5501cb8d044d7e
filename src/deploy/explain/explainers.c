/* explainers.c - the table of methods of explaining. */
#include <string.h>

#include "deploy/explain/explainers.h"

#define GLIA_EXPLAINER_ROW(name) extern const glia_explain_method glia_explain_##name;
#include "explainers.def"
#undef GLIA_EXPLAINER_ROW

static const glia_explain_method *const methods[] = {
#define GLIA_EXPLAINER_ROW(name) &glia_explain_##name,
#include "explainers.def"
#undef GLIA_EXPLAINER_ROW
};

static const glia_explain_method *look_up(const char *name) {
    for (int i = 0; name && i < GLIA_COUNT(methods); i++) {
        if (strcmp(methods[i]->about.name, name) == 0) return methods[i];
    }
    return NULL;
}

const glia_method_info *glia_explain_method_at(int index) {
    return index >= 0 && index < GLIA_COUNT(methods) ? &methods[index]->about : NULL;
}

const glia_method_info *glia_explain_method_find(const char *name) {
    const glia_explain_method *method = look_up(name);
    return method ? &method->about : NULL;
}

bool glia_explain_needs_model(const char *name) {
    const glia_explain_method *method = look_up(name);
    return method && (method->uses & GLIA_EXPLAIN_MODEL);
}

const glia_explain_method *glia_explain_method_named(const char *name, glia_error *error) {
    const glia_explain_method *method = look_up(name);
    if (!name) glia_fail_null(error, "method");
    if (method || !name) return method;
    const char *names[GLIA_COUNT(methods)];
    for (int i = 0; i < GLIA_COUNT(methods); i++) names[i] = methods[i]->about.name;
    const char *near = glia_nearest(name, names, GLIA_COUNT(names));
    glia_fail(error, GLIA_E_NOT_FOUND, "there is no method of explaining '%.64s'%s%s%s", name,
              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}
