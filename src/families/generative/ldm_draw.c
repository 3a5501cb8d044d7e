/* ldm_draw.c - the functions of a latent diffusion model, and pictures that they draw. */
#include <stdlib.h>
#include <string.h>

#include "core/ops/ops.h"
#include "families/generative/batches.h"
#include "families/generative/ldm.h"
#include "glia/latent.h"

enum { AT_ONCE = 64 }; /* pictures in a call of a net */

/* ---- the model ------------------------------------------------------------------------------------ */

glia_status glia_ldm_find_ends(const glia_graph *g, glia_ldm_ends *e, glia_error *error) {
    *e = (glia_ldm_ends){ .x = glia_graph_find_leaf(g, "x"),
                          .z = glia_graph_find_leaf(g, "z"),
                          .t = glia_graph_find_leaf(g, "t"),
                          .words = glia_graph_find_leaf(g, "words"),
                          .mean = glia_graph_find_output(g, "mean"),
                          .logvar = glia_graph_find_output(g, "logvar"),
                          .decoded = glia_graph_find_output(g, "decoded"),
                          .prediction = glia_graph_find_output(g, "prediction"),
                          .scale = glia_graph_find_leaf(g, "decoder/scale") };
    if (!e->x || !e->z || !e->t || !e->words || !e->mean || !e->logvar || !e->decoded || !e->prediction || !e->scale)
        return glia_fail(
            error, GLIA_E_ARGUMENT,
            "the method ldm needs a model with inputs 'x', 'z', 't' and 'words', outputs 'mean', 'logvar', "
            "'decoded' and 'prediction', and a state 'decoder/scale'");
    const glia_tensor alike[] = { e->mean, e->logvar, e->prediction };
    char a[GLIA_SHAPE_TEXT], b[GLIA_SHAPE_TEXT];
    for (int i = 0; i < GLIA_COUNT(alike); i++) {
        if (!glia_shape_equal(alike[i]->shape, e->z->shape))
            return glia_fail(error, GLIA_E_SHAPE, "the method ldm: an output %s must have the shape of 'z' %s",
                             glia_shape_format(alike[i]->shape, a), glia_shape_format(e->z->shape, b));
    }
    if (!glia_shape_equal(e->decoded->shape, e->x->shape) || e->x->shape.rank != 4)
        return glia_fail(error, GLIA_E_SHAPE,
                         "the method ldm: 'decoded' %s must have the shape of 'x' %s, (N, C, H, W)",
                         glia_shape_format(e->decoded->shape, a), glia_shape_format(e->x->shape, b));
    if (e->words->shape.rank == 2 && e->words->dtype == GLIA_I32 && e->t->dtype == GLIA_I32) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "the method ldm: 'words' must be (N, L) and 't' (N), both i32");
}

void glia_ldm_encoded(const glia_ldm_ends *e, glia_tensor out[2]) {
    const glia_tensor code[] = { e->mean, e->logvar };
    glia_tensor x = glia_to_net_range(e->x);
    glia_substitute(code, 2, &e->x, &x, 1, out);
}

int64_t glia_ldm_length(const glia_ldm_ends *e) { return e->words->shape.dim[1]; }

/* Guidance s: the prediction without words, and s times the difference that they make. */
static glia_tensor guided(const glia_ldm_ends *e, double guidance) {
    if (guidance == 1) return e->prediction;
    glia_tensor plain = glia_once_more(e->prediction, e->words, glia_like(e->words, 0));
    return glia_add(plain, glia_mul_scalar(glia_sub(e->prediction, plain), guidance));
}

static glia_function *function_of(glia_graph *g, const glia_tensor *outputs, int n, glia_store *store,
                                  glia_backend *backend, bool frozen, glia_error *error) {
    const glia_function_opts opts = {
        .outputs = outputs, .n_outputs = n, .mode = GLIA_INFER, .frozen = frozen, .changing = frozen ? "" : NULL
    };
    return glia_function_create(g, backend, store, opts, error);
}

glia_status glia_ldm_open(glia_ldm_nets *nets, const glia_ldm *m, glia_graph *g, glia_store *store,
                          glia_backend *backend, bool frozen, glia_error *error) {
    glia_ldm_ends e;
    glia_error reason = { 0 };
    glia_status status = glia_ldm_find_ends(g, &e, error);
    if (status != GLIA_OK) return status;
    if (m->guidance != 1 && m->drop_words == 0)
        return glia_fail(error, GLIA_E_ARGUMENT,
                         "guidance needs a model that was trained with some samples without their words (drop_words "
                         "above 0); 1 is none");
    glia_tensor code[2], mirrored[2], prediction = guided(&e, m->guidance);
    glia_ldm_encoded(&e, code);
    mirrored[0] = code[0];
    mirrored[1] = glia_once_more(e.decoded, e.z, glia_div(code[0], e.scale));
    status = glia_graph_check(g, error);
    if (status != GLIA_OK) return status;
    nets->predict = function_of(g, &prediction, 1, store, backend, frozen, &reason);
    if (nets->predict) nets->decode = function_of(g, &e.decoded, 1, store, backend, frozen, &reason);
    if (nets->decode) nets->encode = function_of(g, mirrored, 2, store, backend, frozen, &reason);
    return nets->encode ? GLIA_OK : glia_fail(error, reason.status, "%s", reason.message);
}

void glia_ldm_close(glia_ldm_nets *nets) {
    glia_function_free(nets->predict);
    glia_function_free(nets->decode);
    glia_function_free(nets->encode);
    *nets = (glia_ldm_nets){ 0 };
}

glia_status glia_ldm_open_model(glia_ldm_opened *o, const glia_ldm *m, glia_model *model, glia_backend *backend,
                                int threads, glia_error *error) {
    *o = (glia_ldm_opened){ 0 };
    glia_error reason = { 0 };
    glia_status status = glia_model_ready(model, 0, error);
    if (status == GLIA_OK) status = glia_diffusion_of_settings(&m->how, &o->diffusion, error);
    if (status != GLIA_OK) return status;
    o->graph = glia_graph_rewrite(model->graph, NULL, NULL, NULL, true, &reason);
    if (!backend && o->graph) backend = o->own = glia_backend_open("cpu", threads, &reason);
    status = o->graph && backend ? glia_ldm_find_ends(o->graph, &o->ends, &reason) : reason.status;
    if (status == GLIA_OK) status = glia_ldm_open(&o->nets, m, o->graph, model->store, backend, true, &reason);
    if (status == GLIA_OK) return GLIA_OK;
    glia_ldm_close_model(o);
    return glia_fail(error, status, "%s", reason.message);
}

void glia_ldm_close_model(glia_ldm_opened *o) {
    glia_ldm_close(&o->nets);
    glia_graph_free(o->graph);
    glia_diffusion_free(o->diffusion);
    glia_backend_close(o->own);
    *o = (glia_ldm_opened){ 0 };
}

/* ---- drawing -------------------------------------------------------------------------------------- */

/* One function of n samples at most AT_ONCE at a time: its output `index` as pictures in [0, 1]. */
static glia_status run(glia_function *f, glia_tensor input, const char *name, const float *x, int64_t n, int index,
                       float *out, glia_error *error) {
    const int64_t size = glia_shape_count(glia_one_of(input));
    for (int64_t at = 0; at < n; at += AT_ONCE) {
        const int64_t m = GLIA_MIN(n - at, (int64_t)AT_ONCE);
        glia_array in = { .name = name, .dtype = GLIA_F32, .shape = input->shape }, outputs[2];
        in.shape.dim[0] = m;
        in.data = (void *)(uintptr_t)(x + at * size);
        const glia_status status = glia_function_call(f, &in, 1, outputs, error);
        if (status != GLIA_OK) return status;
        const int64_t numbers = glia_shape_count(outputs[index].shape);
        glia_from_net_range(outputs[index].data, out + at * (numbers / m), numbers, true);
    }
    return GLIA_OK;
}

glia_status glia_ldm_reconstruct(const glia_ldm_nets *nets, const glia_ldm_ends *e, const float *pictures, int64_t n,
                                 float *out, glia_error *error) {
    return run(nets->encode, e->x, "x", pictures, n, 1, out, error);
}

/* Passes on what a step gave, as pictures. */
typedef struct watcher {
    const glia_ldm_nets *nets;
    const glia_ldm_ends *ends;
    const glia_sample_opts *opts;
    float *pictures;
} watcher;

static glia_status watch(const glia_diffusion_progress *p, void *context, glia_error *error) {
    const watcher *w = context;
    glia_status status = run(w->nets->decode, w->ends->z, "z", p->x, p->n, 0, w->pictures, error);
    if (status != GLIA_OK) return status;
    return w->opts->watch(w->opts->context, w->pictures, p->first, p->n, p->step, p->steps, error);
}

glia_status glia_ldm_draw(const glia_ldm *m, const glia_diffusion *diffusion, const glia_ldm_nets *nets,
                          const glia_ldm_ends *e, const glia_sample_opts *opts, int32_t *captions, int64_t n,
                          float *pictures, glia_error *error) {
    const glia_shape latent = glia_one_of(e->z);
    float *z = malloc((size_t)(n * glia_shape_count(latent)) * sizeof *z);
    watcher w = { nets, e, opts,
                  opts->watch ? malloc((size_t)(AT_ONCE * glia_shape_count(glia_one_of(e->x))) * sizeof(float))
                              : NULL };
    const glia_array words = {
        .name = "words", .dtype = GLIA_I32, .shape = GLIA_SHAPE(n, glia_ldm_length(e)), .data = captions
    };
    const glia_diffusion_sample_opts how = { .sampler = (glia_diffusion_sampler)m->how.sampler,
                                             .steps = (int)m->how.sampling_steps,
                                             .eta = m->how.eta,
                                             .limit = GLIA_ZERO,
                                             .seed = opts->seed,
                                             .batch = AT_ONCE,
                                             .x = "z",
                                             .inputs = &words,
                                             .n_inputs = 1,
                                             .watch = opts->watch ? watch : NULL,
                                             .context = &w };
    glia_status status = z && (w.pictures || !opts->watch) ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) status = glia_diffusion_sample(diffusion, nets->predict, n, latent, how, z, error);
    if (status == GLIA_OK) status = run(nets->decode, e->z, "z", z, n, 0, pictures, error);
    free(w.pictures);
    free(z);
    return status;
}

glia_status glia_ldm_sample(const void *memory, glia_model *model, int64_t n, const glia_sample_opts *opts,
                            glia_shape *shape, float *samples, glia_error *error) {
    const glia_ldm *m = memory;
    glia_ldm_opened o;
    glia_ldm_ends e;
    glia_status status = glia_ldm_find_ends(model->graph, &e, error);
    if (status != GLIA_OK) return status;
    *shape = glia_one_of(e.x);
    if (!samples) return GLIA_OK;
    const int64_t length = glia_ldm_length(&e);
    glia_ldm how = *m;
    if (!opts->prompt) how.guidance = 1; /* there is nothing to follow */
    int32_t *captions = calloc((size_t)(n * length), sizeof *captions);
    if (!captions) return glia_fail_nomem(error);
    if (opts->prompt) status = glia_ldm_read_prompt(model, opts->prompt, captions, length, error);
    for (int64_t i = 1; i < n; i++) memcpy(captions + i * length, captions, (size_t)length * sizeof *captions);
    if (status == GLIA_OK) status = glia_ldm_open_model(&o, &how, model, opts->backend, opts->threads, error);
    if (status == GLIA_OK) {
        status = glia_ldm_draw(&how, o.diffusion, &o.nets, &o.ends, opts, captions, n, samples, error);
        glia_ldm_close_model(&o);
    }
    free(captions);
    return status;
}

/* ---- what a training shows -------------------------------------------------------------------------- */

/* The captions as text, a line for each. */
static glia_status show_captions(const glia_training *t, const int32_t *captions, int64_t n, int64_t length,
                                 glia_show_fn show, void *context, glia_error *error) {
    glia_text text = { 0 };
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < length && captions[i * length + k]; k++)
            glia_text_printf(&text, "%s%s", k ? " " : "", glia_data_class_name(t->data, captions[i * length + k]));
        glia_text_printf(&text, "\n");
    }
    const glia_shown shown = { .name = "captions", .kind = GLIA_SHOWN_TEXT, .n = 1, .text = text.bytes };
    const glia_status status = text.failed ? glia_fail_nomem(error) : show(context, &shown, error);
    free(text.bytes);
    return status;
}

/* Originals and what the autoencoder makes of them in pairs; once the diffusion trains, pictures for the captions. */
glia_status glia_ldm_show(glia_training *t, glia_show_fn show, void *context, glia_error *error) {
    const glia_ldm *m = t->memory;
    glia_ldm_ends e;
    glia_status status = glia_ldm_find_ends(m->graph, &e, error);
    if (status != GLIA_OK) return status;
    const int64_t n = GLIA_MIN(m->shown, glia_data_count(t->data)), length = glia_ldm_length(&e),
                  size = glia_shape_count(glia_one_of(e.x));
    float *pictures = malloc((size_t)(4 * n * size) * sizeof *pictures), *made = NULL, *pairs = NULL;
    int32_t *captions = malloc((size_t)(n * length) * sizeof *captions);
    status = pictures && captions ? GLIA_OK : glia_fail_nomem(error);
    if (status == GLIA_OK) {
        made = pictures + n * size;
        pairs = made + n * size;
        status = glia_ldm_read_data(t->data, n, pictures, captions, length, error);
    }
    if (status == GLIA_OK) status = glia_ldm_reconstruct(&m->nets, &e, pictures, n, made, error);
    for (int64_t i = 0; status == GLIA_OK && i < n; i++) {
        memcpy(pairs + 2 * i * size, pictures + i * size, (size_t)size * sizeof *pairs);
        memcpy(pairs + (2 * i + 1) * size, made + i * size, (size_t)size * sizeof *pairs);
    }
    glia_shown shown = {
        .name = "reconstructions", .kind = GLIA_SHOWN_PICTURES, .n = 2 * n, .sample = glia_one_of(e.x), .values = pairs
    };
    if (status == GLIA_OK) status = show(context, &shown, error);
    if (status == GLIA_OK && t->done > m->first) {
        const glia_sample_opts how = { .seed = t->opts.seed };
        status = glia_ldm_draw(m, m->diffusion, &m->nets, &e, &how, captions, n, made, error);
        shown.name = "samples", shown.n = n, shown.values = made;
        if (status == GLIA_OK) status = show(context, &shown, error);
        if (status == GLIA_OK) status = show_captions(t, captions, n, length, show, context, error);
    }
    free(pictures);
    free(captions);
    return status;
}
