/* ldm_words.c - captions of data and prompts of people as ids of words. */
#include <stdlib.h>
#include <string.h>

#include "families/generative/batches.h"
#include "families/generative/ldm.h"

/* The model's builder tells how many words it takes, and a training which: names separated by spaces, in the order of
 * their ids. */
static const char number_key[] = "words.count", names_key[] = "words.names";

glia_status glia_ldm_check_captions(const glia_dataset *data, const glia_model *model, const glia_ldm_ends *e,
                                    glia_error *error) {
    const char *number = glia_model_get(model, number_key);
    const int known = number ? atoi(number) : 0, have = glia_data_classes(data);
    const glia_shape caption = glia_data_y_shape(data);
    char text[GLIA_SHAPE_TEXT];
    if (known < 1)
        return glia_fail(error, GLIA_E_ARGUMENT, "the model has no metadata \"%s\", the number of its words",
                         number_key);
    if (!have || glia_data_y_dtype(data) != GLIA_I32 || caption.rank != 1)
        return glia_fail(error, GLIA_E_SHAPE,
                         "the method ldm needs pictures with captions as targets, ids of words (L), such as 'scenes'; "
                         "'%s' has targets %s",
                         glia_data_name(data), caption.rank ? glia_shape_format(caption, text) : "of one number");
    if (have <= known && caption.dim[0] <= glia_ldm_length(e)) return GLIA_OK;
    return glia_fail(error, GLIA_E_SHAPE, "the model takes captions of %lld words out of %d; '%s' has %lld out of %d",
                     (long long)glia_ldm_length(e), known, glia_data_name(data), (long long)caption.dim[0], have);
}

glia_status glia_ldm_keep_words(const glia_dataset *data, glia_model *model, glia_error *error) {
    glia_text names = { 0 };
    for (int i = 0; i < glia_data_classes(data); i++)
        glia_text_printf(&names, "%s%s", i ? " " : "", glia_data_class_name(data, i));
    const glia_status status =
        names.failed ? glia_fail_nomem(error) : glia_model_set(model, names_key, names.bytes, error);
    free(names.bytes);
    return status;
}

/* The index of the word in the list of names; -1: it is not there. */
static int find_word(const char *names, const char *word, size_t length) {
    int id = 0;
    for (const char *at = names; *at; id++) {
        const size_t n = strcspn(at, " ");
        if (id > 0 && n == length && memcmp(at, word, n) == 0) return id;
        at += n + (at[n] == ' ');
    }
    return -1;
}

static glia_status refuse_word(const char *names, const char *word, size_t length, glia_error *error) {
    enum { MOST = 4096 };
    char asked[64], *copy = strdup(names);
    const char **list = malloc(MOST * sizeof *list);
    int n = 0;
    const size_t kept = GLIA_MIN(length, sizeof asked - 1);
    memcpy(asked, word, kept);
    asked[kept] = 0;
    char *rest = NULL;
    for (char *at = copy && list ? strtok_r(copy, " ", &rest) : NULL; at && n < MOST; at = strtok_r(NULL, " ", &rest))
        list[n++] = at;
    const char *near = n > 1 ? glia_nearest(asked, list + 1, n - 1) : NULL;
    glia_fail(error, GLIA_E_ARGUMENT, "the model has not learned the word '%s'%s%s%s", asked,
              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    free(copy);
    free(list);
    return GLIA_E_ARGUMENT;
}

glia_status glia_ldm_read_prompt(const glia_model *model, const char *prompt, int32_t *ids, int64_t length,
                                 glia_error *error) {
    static const char between[] = " \t\r\n,.";
    const char *names = glia_model_get(model, names_key);
    int64_t n = 0;
    if (!names) return glia_fail(error, GLIA_E_ARGUMENT, "the model has no metadata \"%s\"", names_key);
    memset(ids, 0, (size_t)length * sizeof *ids);
    for (const char *at = prompt; *(at += strspn(at, between));) {
        const size_t letters = strcspn(at, between);
        const int id = find_word(names, at, letters);
        if (id < 0) return refuse_word(names, at, letters, error);
        if (n == length)
            return glia_fail(error, GLIA_E_ARGUMENT, "the prompt has more words than the model takes, %lld",
                             (long long)length);
        ids[n++] = id;
        at += letters;
    }
    return n ? GLIA_OK : glia_fail(error, GLIA_E_ARGUMENT, "the prompt has no words");
}

glia_status glia_ldm_read_data(const glia_dataset *data, int64_t n, float *pictures, int32_t *captions, int64_t length,
                               glia_error *error) {
    const int64_t size = glia_shape_count(glia_data_x_shape(data));
    memset(captions, 0, (size_t)(n * length) * sizeof *captions);
    for (int64_t i = 0; i < n; i++) {
        const glia_status status =
            glia_data_get(data, i, pictures ? pictures + i * size : NULL, captions + i * length, error);
        if (status != GLIA_OK) return status;
    }
    return GLIA_OK;
}
