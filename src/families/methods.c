/* methods.c - the table of methods, and training, sampling and assessing by a method's name. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "train/model/model.h"
#include "train/run/method.h"

#define GLIA_METHOD_ROW(name) extern const glia_method glia_method_##name;
#include "methods.def"
#undef GLIA_METHOD_ROW

static const glia_method *const methods[] = {
#define GLIA_METHOD_ROW(name) &glia_method_##name,
#include "methods.def"
#undef GLIA_METHOD_ROW
};

const glia_method_info *glia_method_at(int index) {
    return index >= 0 && index < GLIA_COUNT(methods) ? &methods[index]->about : NULL;
}

static const glia_method *look_up(const char *name) {
    for (int i = 0; name && i < GLIA_COUNT(methods); i++) {
        if (strcmp(methods[i]->about.name, name) == 0) return methods[i];
    }
    return NULL;
}

const glia_method_info *glia_method_find(const char *name) {
    const glia_method *method = look_up(name);
    return method ? &method->about : NULL;
}

/* NULL: see error, which has the nearest name. */
static const glia_method *find(const char *name, glia_error *error) {
    const glia_method *method = look_up(name);
    if (method || !name) {
        if (!method) glia_fail_null(error, "method");
        return method;
    }
    const char *names[GLIA_COUNT(methods)];
    for (int i = 0; i < GLIA_COUNT(methods); i++) names[i] = methods[i]->about.name;
    const char *near = glia_nearest(name, names, GLIA_COUNT(names));
    glia_fail(error, GLIA_E_NOT_FOUND, "there is no method '%.64s'%s%s%s", name, near ? "; did you mean '" : "",
              near ? near : "", near ? "'?" : "");
    return NULL;
}

/* Memory of the method with these settings and changes of them; NULL: see error. */
static void *parse(const glia_method *method, const char *settings, const char *changes, glia_arena *texts,
                   glia_error *error) {
    void *memory = calloc(1, GLIA_MAX(method->bytes, (size_t)1));
    if (!memory) {
        glia_fail_nomem(error);
        return NULL;
    }
    const glia_setting_table table = glia_method_table(&method->about);
    glia_status status = glia_settings_parse(&table, settings, memory, texts, error);
    if (status == GLIA_OK) status = glia_settings_change(&table, changes, memory, texts, error);
    if (status == GLIA_OK) return memory;
    free(memory);
    return NULL;
}

char *glia_method_settings(const char *name, const char *settings, const char *changes, glia_error *error) {
    const glia_method *method = find(name, error);
    glia_arena texts = { 0 };
    glia_text out = { 0 };
    void *memory = method ? parse(method, settings, changes, &texts, error) : NULL;
    if (memory) {
        const glia_setting_table table = glia_method_table(&method->about);
        glia_settings_print(&table, memory, &out);
    }
    if (out.failed) {
        free(out.bytes);
        out.bytes = NULL;
        glia_fail_nomem(error);
    }
    free(memory);
    glia_arena_free(&texts);
    return out.bytes;
}

glia_status glia_train(glia_model *model, const glia_dataset *data, const char *name, const char *settings,
                       glia_fit_opts opts, glia_error *error) {
    glia_error reason = { 0 };
    const glia_method *method = model ? find(name, &reason) : NULL;
    if (!model) glia_fail_null(&reason, "model");
    if (method) return glia_training_run(method, settings, model, data, opts, error);
    for (int i = 0; opts.callbacks && i < opts.n_callbacks; i++) { /* as glia_fit() promises */
        if (opts.callbacks[i].free) opts.callbacks[i].free(opts.callbacks[i].context);
    }
    return glia_fail(error, reason.status, "%s", reason.message);
}

/* The method by which the model was trained, if it can draw samples; NULL: see error. */
static const glia_method *sampler_of(const glia_model *model, glia_error *error) {
    const char *name = model ? glia_model_get(model, "method") : NULL;
    const glia_method *method = look_up(name);
    if (method && method->sample) return method;
    if (!model)
        glia_fail_null(error, "model");
    else
        glia_fail(error, GLIA_E_UNSUPPORTED, "the model was not trained by a method that draws samples");
    return NULL;
}

/* The method's memory with the settings of the model and then those of the caller. NULL: see error. */
static void *recall(const glia_method *method, const glia_model *model, const char *settings, glia_arena *texts,
                    glia_error *error) {
    return parse(method, glia_model_get(model, "method.settings"), settings, texts, error);
}

/* The result has the shape of a sample, and with `samples` not NULL n samples. */
static glia_status draw(const glia_method *method, glia_model *model, int64_t n, const glia_sample_opts *opts,
                        glia_shape *shape, float *samples, glia_error *error) {
    glia_arena texts = { 0 };
    glia_error reason = { 0 };
    void *memory = recall(method, model, opts->settings, &texts, &reason);
    glia_status status = memory ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
    if (status == GLIA_OK) status = method->sample(memory, model, n, opts, shape, samples, error);
    free(memory);
    glia_arena_free(&texts);
    return status;
}

glia_status glia_sample(glia_model *model, int64_t n, glia_sample_opts opts, float *samples, glia_error *error) {
    const glia_method *method = sampler_of(model, error);
    if (!method) return model ? GLIA_E_UNSUPPORTED : GLIA_E_ARGUMENT;
    if (!samples) return glia_fail_null(error, "samples");
    if (n < 1) return glia_fail(error, GLIA_E_ARGUMENT, "glia_sample: n is %lld", (long long)n);
    if (!opts.known != !opts.mask) return glia_fail_null(error, opts.known ? "mask" : "known");
    if (opts.known && !method->about.inpaints)
        return glia_fail(error, GLIA_E_ARGUMENT, "the method %s cannot complete samples of which a part is known",
                         method->about.name);
    if (opts.prompt && !method->about.prompts)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "a prompt needs a model that learned from captions; the method %s knows "
                         "no words",
                         method->about.name);
    glia_shape shape;
    return draw(method, model, n, &opts, &shape, samples, error);
}

glia_shape glia_sample_shape(const glia_model *model) {
    glia_shape shape = { 0 };
    const glia_method *method = sampler_of(model, NULL);
    const glia_sample_opts opts = { 0 };
    /* without samples nothing in the model changes */
    if (method && draw(method, (glia_model *)(uintptr_t)model, 0, &opts, &shape, NULL, NULL) != GLIA_OK)
        return (glia_shape){ 0 };
    return shape;
}

glia_status glia_assess(glia_model *model, glia_assess_opts opts, glia_assessment *out, glia_error *error) {
    if (!model || !out) return glia_fail_null(error, model ? "out" : "model");
    const glia_method *method = look_up(glia_model_get(model, "method"));
    if (!method || !method->assess)
        return glia_fail(error, GLIA_E_UNSUPPORTED, "the model was not trained by a method that assesses its models");
    const char *name = method->about.name;
    if (opts.count < 0) return glia_fail(error, GLIA_E_ARGUMENT, "assessing by %s: count is negative", name);
    if (!opts.data && (method->about.uses & GLIA_USES_DATA))
        return glia_fail(error, GLIA_E_ARGUMENT, "assessing by %s: needs data", name);
    if (!opts.graphs && (method->about.uses & GLIA_USES_GRAPHS))
        return glia_fail(error, GLIA_E_ARGUMENT, "assessing by %s: needs graphs", name);
    *out = (glia_assessment){ 0 };
    glia_arena texts = { 0 };
    glia_error reason = { 0 };
    void *memory = recall(method, model, opts.settings, &texts, &reason);
    glia_status status = memory ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
    if (status == GLIA_OK) status = method->assess(memory, model, &opts, out, error);
    free(memory);
    glia_arena_free(&texts);
    return status;
}
