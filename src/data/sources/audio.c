/* audio.c - recordings of classes, such as spoken digits: files CLASS_SPEAKER_INDEX.wav as (steps, bands).
 *
 * The test split has all recordings of one speaker, whom the training then never hears, or the first ones of each.
 */
#include "data/sources/audio.h"

#include <stdlib.h>
#include <string.h>

#include "data/graphs/readers.h"

/* A file's name in parts; the strings are in the archive. */
typedef struct recording {
    int member, class;
    const char *label, *label_end, *speaker, *speaker_end;
    int64_t index;
} recording;

static bool parse_name(const char *path, recording *r) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *first = strchr(name, '_');
    const char *last = first ? strrchr(name, '_') : NULL, *dot = strrchr(name, '.');
    if (!last || last == first || first == name || !dot || dot < last || strcmp(dot, ".wav") != 0) return false;
    char *end;
    *r = (recording){ .member = r->member,
                      .label = name,
                      .label_end = first,
                      .speaker = first + 1,
                      .speaker_end = last };
    r->index = strtoll(last + 1, &end, 10);
    return end == dot && end > last + 1;
}

typedef struct audio {
    const glia_archive *archive;
    const glia_audio_opts *opts;
    recording *all;
    int64_t n, kept;
    glia_names classes; /* in order */
    float *x;
    int32_t *y;
} audio;

/* Names in the order of the files, which are sorted. */
static glia_status find_all(audio *a, glia_error *error) {
    enum { CLASSES_MOST = 1000 };
    a->all = malloc((size_t)GLIA_MAX(a->archive->n, 1) * sizeof *a->all);
    if (!a->all) return glia_fail_nomem(error);
    bool known = !a->opts->speaker;
    for (int i = 0; i < a->archive->n; i++) {
        recording r = { .member = i };
        if (!parse_name(a->archive->members[i].name, &r)) continue;
        r.class = glia_names_add(&a->classes, r.label, r.label_end);
        if (r.class < 0) return glia_fail_nomem(error);
        if (r.class == CLASSES_MOST) return glia_fail(error, GLIA_E_UNSUPPORTED, "more than %d classes", CLASSES_MOST);
        const bool is_test = a->opts->speaker ? glia_word_is(r.speaker, r.speaker_end, a->opts->speaker)
                                              : r.index < a->opts->first;
        known = known || is_test;
        a->n++;
        if (is_test == a->opts->test) a->all[a->kept++] = r;
    }
    if (!a->n) return glia_fail(error, GLIA_E_FORMAT, "there are no files CLASS_SPEAKER_INDEX.wav");
    if (!known) return glia_fail(error, GLIA_E_ARGUMENT, "there is no speaker \"%s\"", a->opts->speaker);
    if (!a->kept) return glia_fail(error, GLIA_E_ARGUMENT, "this split has no recordings");
    return GLIA_OK;
}

static glia_status read_one(audio *a, int64_t i, glia_error *error) {
    glia_blob blob;
    glia_wav wav = { 0 };
    const int member = a->all[i].member;
    const glia_audio_opts *o = a->opts;
    glia_status status = glia_archive_read(a->archive, member, &blob, error);
    if (status != GLIA_OK) return status;
    status = glia_wav_parse(blob.bytes, blob.length, &wav, error);
    if (status == GLIA_OK) status = glia_wav_features(&wav, o->steps, o->bands, a->x + i * o->steps * o->bands, error);
    free(wav.samples);
    glia_blob_free(&blob);
    a->y[i] = a->all[i].class;
    return status == GLIA_OK ? status : glia_archive_fail(a->archive, member, error, status);
}

static glia_status read_all(audio *a, glia_error *error) {
    glia_status status = find_all(a, error);
    if (status != GLIA_OK) return status;
    a->x = malloc((size_t)(a->kept * a->opts->steps * a->opts->bands) * sizeof *a->x);
    a->y = malloc((size_t)a->kept * sizeof *a->y);
    if (!a->x || !a->y) return glia_fail_nomem(error);
    for (int64_t i = 0; status == GLIA_OK && i < a->kept; i++) status = read_one(a, i, error);
    return status;
}

glia_dataset *glia_data_open_audio(const char *path, glia_audio_opts o, const char *name, glia_error *error) {
    glia_archive archive;
    if (glia_archive_open(path, &archive, error) != GLIA_OK) return NULL;
    audio a = { .archive = &archive, .opts = &o };
    glia_dataset *data = NULL;
    glia_status status = read_all(&a, error);
    if (status == GLIA_OK) {
        const glia_arrays arrays = { .n = a.kept,
                                     .x = a.x,
                                     .x_dtype = GLIA_F32,
                                     .x_shape = GLIA_SHAPE(o.steps, o.bands),
                                     .y = a.y,
                                     .y_dtype = GLIA_I32,
                                     .classes = a.classes.n };
        a.x = NULL, a.y = NULL; /* owned by glia_data_take() */
        data = glia_data_take(arrays, name, (const char *const *)a.classes.at, error);
    } else {
        glia_fail_at_path(error, path, status);
    }
    if (data) data->is_split = true;
    free(a.x);
    free(a.y);
    free(a.all);
    glia_names_free(&a.classes);
    glia_archive_free(&archive);
    return data;
}
