/* ldm_judge.c - `glia eval` of latent diffusion: does a model draw what captions say?
 *
 * Pictures for captions of scenes (glia/scenes.h) are read by the nearest drawing of the library. A picture is right if
 * it has the things that the caption names, each of its object, colour and size, in their places, and if the nearest
 * drawing leaves little of it unexplained. The same is measured of the data's own pictures and of what the autoencoder
 * makes of them: no model of its latents can be expected to be better.
 */
#include <math.h>
#include <stdlib.h>

#include "families/generative/batches.h"
#include "families/generative/ldm.h"
#include "glia/scenes.h"

static const double unexplained_most = 0.3; /* of a picture that is right */

typedef struct marks {
    double right, objects, colours, sizes, places, unexplained; /* sums over pictures; things count by their share */
} marks;

/* Of two things the first shall be the left or the upper one, as glia_scene_read() has it. */
static void order(glia_scene *s) {
    if (s->n != 2 || !((int)s->place & 1)) return;
    const glia_scene_thing first = s->things[0];
    s->things[0] = s->things[1], s->things[1] = first;
    s->place = (glia_scene_place)((int)s->place ^ 1);
}

static glia_status judge(const float *pictures, int64_t n, const int32_t *captions, int64_t length, marks *sums,
                         glia_error *error) {
    const int64_t size = 3 * GLIA_SCENE_SIDE * GLIA_SCENE_SIDE;
    *sums = (marks){ 0 };
    for (int64_t i = 0; i < n; i++) {
        glia_scene wanted, seen;
        const glia_status status = glia_scene_of_caption(captions + i * length, &wanted, error);
        if (status != GLIA_OK) return status;
        order(&wanted);
        const double rest = glia_scene_read(pictures + i * size, &seen);
        double objects = 0, colours = 0, sizes = 0;
        const bool place = wanted.n == seen.n && wanted.place == seen.place;
        for (int k = 0; k < wanted.n && k < seen.n; k++) {
            const glia_scene_thing *a = &wanted.things[k], *b = &seen.things[k];
            objects += a->object == b->object, colours += a->colour == b->colour, sizes += a->large == b->large;
        }
        sums->objects += objects / wanted.n, sums->colours += colours / wanted.n, sums->sizes += sizes / wanted.n;
        sums->places += place;
        sums->unexplained += rest;
        sums->right += place && objects + colours + sizes == 3 * wanted.n && rest <= unexplained_most;
    }
    return GLIA_OK;
}

static glia_status check(const glia_dataset *data, const glia_ldm_ends *e, glia_error *error) {
    bool scenes = glia_shape_equal(glia_one_of(e->x), GLIA_SHAPE(3, GLIA_SCENE_SIDE, GLIA_SCENE_SIDE)) &&
                  glia_shape_count(glia_data_x_shape(data)) == glia_shape_count(glia_one_of(e->x)) &&
                  glia_ldm_length(e) >= GLIA_SCENE_WORDS &&
                  glia_shape_equal(glia_data_y_shape(data), GLIA_SHAPE(GLIA_SCENE_WORDS));
    return scenes ? GLIA_OK
                  : glia_fail(error, GLIA_E_ARGUMENT,
                              "pictures are judged by captions of 'scenes', and '%s' has others", glia_data_name(data));
}

static glia_status assess(const glia_ldm *m, const glia_ldm_opened *o, const glia_assess_opts *opts, int64_t n,
                          float *pictures, int32_t *captions, glia_assessment *out, glia_error *error) {
    const int64_t length = glia_ldm_length(&o->ends);
    const double count = (double)n;
    const glia_sample_opts how = { .seed = opts->seed };
    float *made = pictures + n * glia_shape_count(glia_one_of(o->ends.x));
    marks drawn, real, mirrored;
    glia_status status = glia_ldm_read_data(opts->data, n, pictures, captions, length, error);
    if (status == GLIA_OK) status = judge(pictures, n, captions, length, &real, error);
    if (status == GLIA_OK) status = glia_ldm_reconstruct(&o->nets, &o->ends, pictures, n, made, error);
    if (status == GLIA_OK) status = judge(made, n, captions, length, &mirrored, error);
    if (status == GLIA_OK) status = glia_ldm_draw(m, o->diffusion, &o->nets, &o->ends, &how, captions, n, made, error);
    if (status == GLIA_OK) status = judge(made, n, captions, length, &drawn, error);
    if (status != GLIA_OK) return status;
    glia_assessment_add(out, "right", drawn.right / count);
    glia_assessment_add(out, "objects", drawn.objects / count);
    glia_assessment_add(out, "colours", drawn.colours / count);
    glia_assessment_add(out, "sizes", drawn.sizes / count);
    glia_assessment_add(out, "places", drawn.places / count);
    glia_assessment_add(out, "unexplained", drawn.unexplained / count);
    glia_assessment_add(out, "right_autoencoder", mirrored.right / count);
    glia_assessment_add(out, "unexplained_autoencoder", mirrored.unexplained / count);
    glia_assessment_add(out, "right_real", real.right / count);
    glia_assessment_add(out, "captions", count);
    return GLIA_OK;
}

glia_status glia_ldm_assess(const void *memory, glia_model *model, const glia_assess_opts *opts, glia_assessment *out,
                            glia_error *error) {
    enum { USUAL = 500 };
    const glia_ldm *m = memory;
    glia_ldm_opened o;
    glia_ldm_ends e;
    const int64_t wanted = opts->count ? opts->count : USUAL, n = GLIA_MIN(wanted, glia_data_count(opts->data));
    glia_status status = glia_ldm_find_ends(model->graph, &e, error);
    if (status == GLIA_OK) status = glia_ldm_check_captions(opts->data, model, &e, error);
    if (status == GLIA_OK) status = check(opts->data, &e, error);
    if (status == GLIA_OK) status = glia_ldm_open_model(&o, m, model, opts->backend, opts->threads, error);
    if (status != GLIA_OK) return status;
    float *pictures = malloc((size_t)(2 * n * glia_shape_count(glia_one_of(e.x))) * sizeof *pictures);
    int32_t *captions = malloc((size_t)(n * glia_ldm_length(&e)) * sizeof *captions);
    status = pictures && captions ? assess(m, &o, opts, n, pictures, captions, out, error) : glia_fail_nomem(error);
    free(pictures);
    free(captions);
    glia_ldm_close_model(&o);
    return status;
}
