/* address.c - environments as text: "NAME?limit=200,frames=4,SETTING=VALUE", and their running statistics. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "data/environments/wrappers.h"

typedef struct common {
    int64_t limit;
    glia_env_wrappers wrappers;
} common;

/* What every environment understands. */
static const glia_setting rows[] = {
    { "limit", GLIA_SETTING_INT, offsetof(common, limit), -1, 0, 1e15, NULL, "time limit in steps; 0: none" },
    { "frames", GLIA_SETTING_INT, offsetof(common, wrappers.frames), 0, 0, 1024, NULL, "stacked observations" },
    { "normalize_observations", GLIA_SETTING_SWITCH, offsetof(common, wrappers.normalize_observations), 0, 0, 0, NULL,
      "by running means and deviations" },
    { "normalize_rewards", GLIA_SETTING_SWITCH, offsetof(common, wrappers.normalize_rewards), 0, 0, 0, NULL,
      "by the running deviation of returns" },
    { "reward_gamma", GLIA_SETTING_REAL, offsetof(common, wrappers.gamma), 0, 0, 0.999999, NULL,
      "discount of these returns; 0: 0.99" },
    { "clip_observations", GLIA_SETTING_REAL, offsetof(common, wrappers.clip_observations), 0, 0, 1e30, NULL,
      "largest size of a number" },
    { "clip_rewards", GLIA_SETTING_REAL, offsetof(common, wrappers.clip_rewards), 0, 0, 1e30, NULL,
      "largest size of a reward" },
};
static const glia_setting_table table = { "environment", "NAME", rows, GLIA_COUNT(rows) };

static bool is_common(const char *text, size_t length) {
    const size_t name = strcspn(text, "=");
    for (int i = 0; i < GLIA_COUNT(rows) && name < length; i++) {
        if (strlen(rows[i].name) == name && !strncmp(rows[i].name, text, name)) return true;
    }
    return false;
}

/* Sorts "NAME=VALUE,NAME=VALUE" into what every environment understands and the rest. */
static void sort_settings(const char *text, glia_text *of_all, glia_text *own) {
    static const char separators[] = " ,&\t\n";
    for (text = text ? text : ""; *(text += strspn(text, separators));) {
        const size_t length = strcspn(text, separators);
        glia_text *to = is_common(text, length) ? of_all : own;
        glia_text_append(to, text, length);
        glia_text_append(to, " ", 1);
        text += length;
    }
}

/* Fields of the options that say nothing get what the address says. */
static void fill_options(glia_env_opts *opts, const common *said) {
    glia_env_wrappers *w = &opts->wrappers;
    const glia_env_wrappers *from = &said->wrappers;
    if (!opts->limit && said->limit >= 0) opts->limit = said->limit > 0 ? said->limit : GLIA_NONE;
    w->normalize_observations = w->normalize_observations || from->normalize_observations;
    w->normalize_rewards = w->normalize_rewards || from->normalize_rewards;
    if (w->gamma == 0) w->gamma = from->gamma;
    if (w->clip_observations == 0) w->clip_observations = from->clip_observations;
    if (w->clip_rewards == 0) w->clip_rewards = from->clip_rewards;
    if (w->frames == 0) w->frames = from->frames;
}

glia_env *glia_env_create(const char *name, glia_env_opts opts, glia_error *error) {
    if (!name) return glia_fail_null(error, "name"), NULL;
    const size_t length = strcspn(name, "?");
    glia_text plain = { 0 }, of_all = { 0 }, own = { 0 };
    glia_arena texts = { 0 };
    common said = { 0 };
    glia_env *env = NULL;
    glia_text_append(&plain, name, length);
    sort_settings(name[length] ? name + length + 1 : NULL, &of_all, &own);
    sort_settings(opts.settings, &of_all, &own);
    const glia_env_kind *kind = plain.failed ? NULL : glia_env_find(plain.bytes);
    if (plain.failed || of_all.failed || own.failed) {
        glia_fail_nomem(error);
    } else if (!kind) {
        glia_env_fail_unknown(plain.bytes, error);
    } else if (glia_settings_parse(&table, of_all.bytes, &said, &texts, error) == GLIA_OK) {
        opts.settings = own.bytes;
        fill_options(&opts, &said);
        env = glia_env_create_kind(kind, opts, error);
    }
    free(plain.bytes);
    free(of_all.bytes);
    free(own.bytes);
    glia_arena_free(&texts);
    return env;
}

static void add_number(glia_text *out, const char *name, double value) {
    char number[GLIA_NUMBER_TEXT];
    if (value != 0) glia_text_printf(out, ",%s=%s", name, glia_number_print(value, number));
}

char *glia_env_address(const glia_env *e, glia_error *error) {
    if (!e) return glia_fail_null(error, "env"), NULL;
    const glia_env_wrappers *w = &glia_env_wrappers_of(e)->asked;
    glia_text text = { 0 }, own = { 0 };
    glia_text_printf(&text, "%s?limit=%lld", glia_env_kind_of(e)->name, (long long)glia_env_limit(e));
    if (w->frames > 1) add_number(&text, "frames", (double)w->frames);
    if (w->normalize_observations) glia_text_printf(&text, ",normalize_observations=true");
    if (w->normalize_rewards) glia_text_printf(&text, ",normalize_rewards=true");
    add_number(&text, "reward_gamma", w->gamma);
    add_number(&text, "clip_observations", w->clip_observations);
    add_number(&text, "clip_rewards", w->clip_rewards);
    glia_env_print_settings(e, &own);
    for (size_t i = 0; !own.failed && i < own.length; i++) {
        if (own.bytes[i] == ' ') own.bytes[i] = ',';
    }
    if (own.length) glia_text_printf(&text, ",%s", own.bytes);
    const bool failed = text.failed || own.failed;
    free(own.bytes);
    if (!failed) return text.bytes;
    free(text.bytes);
    glia_fail_nomem(error);
    return NULL;
}

/* ---- statistics --------------------------------------------------------------------------------- */

char *glia_env_statistics_text(const glia_env *e) {
    const glia_wrappers *w = glia_env_wrappers_of(e);
    char number[GLIA_NUMBER_TEXT];
    glia_text text = { 0 };
    const int64_t n = glia_wrappers_statistics(w) - w->n; /* without the copies' own returns */
    for (int64_t i = 0; i < n; i++) {
        glia_text_printf(&text, "%s%s", i ? "," : "", glia_number_print(w->statistics[i], number));
    }
    if (!text.failed) return text.bytes;
    free(text.bytes);
    return NULL;
}

glia_status glia_env_take_statistics(glia_env *e, const char *text, glia_error *error) {
    glia_wrappers *w = (glia_wrappers *)(uintptr_t)glia_env_wrappers_of(e);
    const int64_t n = glia_wrappers_statistics(w) - w->n;
    for (int64_t i = 0; i < n; i++) {
        const size_t length = strcspn(text, ",");
        if (!glia_number_parse(text, text + length, &w->statistics[i])) {
            return glia_fail(error, GLIA_E_FORMAT, "the model's statistics of observations are damaged");
        }
        text += length + (text[length] == ',');
    }
    w->frozen = true;
    return GLIA_OK;
}
