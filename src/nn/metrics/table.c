/* table.c - the table of metrics; parses a metric's name and its options in brackets. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/metrics/metrics.h"

static const glia_metric_rule *const rules[] = {
#define GLIA_METRIC_ROW(name) &glia_metric_rule_##name,
#include "nn/metrics/metrics.def"
#undef GLIA_METRIC_ROW
};

/* ---- the table ---------------------------------------------------------------------------- */

static const char *options_of(const glia_metric_rule *rule) {
    if (rule->values) return "";
    if (rule->options & GLIA_OPTION_AVERAGE)
        return "macro, micro, weighted or binary; positive; threshold; logits; ignore";
    if (rule->options & GLIA_OPTION_CURVES) return "macro or weighted; positive; logits; ignore";
    if (rule->options & GLIA_OPTION_WEIGHTS) return "linear or quadratic; threshold; logits; ignore";
    if (rule->options & GLIA_OPTION_NUMBER) return rule->number[0] == 'k' ? "k; ignore" : "bins; logits; ignore";
    return rule->options & GLIA_OPTION_THRESHOLD ? "threshold; logits; ignore" : "logits; ignore";
}

int glia_metric_list(glia_metric_info *out, int capacity) {
    if (!out) capacity = 0;
    for (int i = 0; i < GLIA_COUNT(rules) && i < capacity; i++) {
        out[i] = (glia_metric_info){ .name = rules[i]->name,
                                     .what = rules[i]->summary,
                                     .options = options_of(rules[i]),
                                     .larger_is_better = rules[i]->larger,
                                     .takes_values = rules[i]->values };
    }
    return GLIA_COUNT(rules);
}

/* The metric of this name, which may end in its number: "top5". */
static const glia_metric_rule *find(const char *name, int64_t *number) {
    for (int i = 0; i < GLIA_COUNT(rules); i++) {
        const glia_metric_rule *rule = rules[i];
        if (strcmp(name, rule->name) == 0) return rule;
        if (rule == &glia_metric_rule_top_k && strncmp(name, "top", 3) == 0 && isdigit((unsigned char)name[3])) {
            char *end;
            long long k = strtoll(name + 3, &end, 10);
            if (*end) continue;
            *number = k;
            return rule;
        }
    }
    return NULL;
}

static glia_status unknown(const char *name, glia_error *error) {
    const char *names[GLIA_COUNT(rules)];
    for (int i = 0; i < GLIA_COUNT(rules); i++) names[i] = rules[i]->name;
    const char *near = glia_nearest(name, names, GLIA_COUNT(rules));
    return glia_fail(error, GLIA_E_NOT_FOUND, "there is no metric \"%s\"%s%s%s", name, near ? "; did you mean " : "",
                     near ? near : "", near ? "?" : "");
}

/* ---- one option --------------------------------------------------------------------------- */

static bool is_number(const char *word) {
    char *end;
    strtod(word, &end);
    return *word && !*end;
}

/* Options that are single words, and their meaning. */
static const struct {
    const char *word;
    unsigned options; /* of the metrics that accept it; 0: of all with labels */
    glia_average average;
    int power;
} words[] = {
    { "macro", GLIA_OPTION_AVERAGE | GLIA_OPTION_CURVES, GLIA_AVERAGE_MACRO, 0 },
    { "weighted", GLIA_OPTION_AVERAGE | GLIA_OPTION_CURVES, GLIA_AVERAGE_WEIGHTED, 0 },
    { "micro", GLIA_OPTION_AVERAGE, GLIA_AVERAGE_MICRO, 0 },
    { "binary", GLIA_OPTION_AVERAGE | GLIA_OPTION_CURVES, GLIA_AVERAGE_BINARY, 0 },
    { "linear", GLIA_OPTION_WEIGHTS, 0, 1 },
    { "quadratic", GLIA_OPTION_WEIGHTS, 0, 2 },
    { "logits", 0, 0, 0 },
    { "probabilities", 0, 0, 0 },
};

static bool take_word(glia_metric *m, const char *key, const char *word) {
    for (int i = 0; i < GLIA_COUNT(words); i++) {
        if (strcmp(word, words[i].word) != 0) continue;
        const char *belongs = words[i].average ? "average" : words[i].power ? "weights" : "scores";
        if (key && strcmp(key, belongs) != 0) return false;
        if (m->rule->values || (words[i].options && !(words[i].options & m->rule->options))) return false;
        if (words[i].average) m->average = words[i].average;
        if (words[i].power) m->power = words[i].power;
        if (!words[i].options) {
            m->said_logits = true;
            m->logits = strcmp(word, "logits") == 0;
        }
        return true;
    }
    return false;
}

/* A copy without white space, with '_' replaced by '-'; NULL: out of memory. */
static char *tidy(const char *text) {
    char *copy = malloc(strlen(text) + 1), *to = copy;
    for (const char *at = text; copy && *at; at++) {
        if (!isspace((unsigned char)*at)) *to++ = *at == '_' ? '-' : *at;
    }
    if (copy) *to = 0;
    return copy;
}

/* positive=CLASS: a class name or, if no class has that name, a number. */
static glia_status take_positive(glia_metric *m, const char *value, const char *const *names, glia_error *error) {
    char *name = NULL;
    int64_t found = -1;
    for (int64_t i = 0; names && found < 0 && i < m->labels; i++) {
        name = tidy(names[i]);
        if (!name) return glia_fail_nomem(error);
        if (strcmp(name, value) == 0) found = i;
        free(name);
    }
    char *end;
    const double number = strtod(value, &end);
    const bool is_label = *value && !*end && number >= 0 && number < (double)m->labels && number == floor(number);
    if (found < 0 && is_label) found = (int64_t)number;
    if (found < 0) {
        const char *near = names && m->labels <= INT32_MAX ? glia_nearest(value, names, (int)m->labels) : NULL;
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: there is no class \"%s\"%s%s%s", m->rule->name, value,
                         near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    m->positive = found;
    m->chosen = true;
    return GLIA_OK;
}

static bool take_number(glia_metric *m, const char *key, double value) {
    const glia_metric_rule *rule = m->rule;
    if ((rule->options & GLIA_OPTION_NUMBER) && (!key || strcmp(key, rule->number) == 0)) {
        if (!(value >= 1 && value <= (double)rule->number_most) || value != floor(value)) return false;
        m->number = (int64_t)value;
        return true;
    }
    if (key && strcmp(key, "threshold") == 0 && (rule->options & GLIA_OPTION_THRESHOLD)) {
        m->threshold = value;
        return value > 0 && value < 1;
    }
    if (key && strcmp(key, "ignore") == 0 && !rule->values) {
        if (!(value >= INT32_MIN && value <= INT32_MAX) || value != floor(value)) return false;
        m->ignores = true;
        m->ignored = (int32_t)value;
        return true;
    }
    return false;
}

static glia_status take(glia_metric *m, char *option, const char *const *names, glia_error *error) {
    char *equals = strchr(option, '=');
    char *value = equals ? equals + 1 : option;
    if (equals) *equals = 0;
    const char *key = equals ? option : NULL;
    if (key && strcmp(key, "positive") == 0 && !m->rule->values &&
        (m->rule->options & (GLIA_OPTION_AVERAGE | GLIA_OPTION_CURVES)))
        return take_positive(m, value, names, error);
    if (is_number(value) ? take_number(m, key, strtod(value, NULL)) : take_word(m, key, value)) return GLIA_OK;
    const char *possible = options_of(m->rule);
    return glia_fail(error, GLIA_E_ARGUMENT, "%s takes no option \"%s%s%s\"; it takes %s", m->rule->name,
                     key ? key : "", key ? "=" : "", value, *possible ? possible : "none");
}

/* ---- the whole text ------------------------------------------------------------------------- */

/* Sets the defaults that depend on the number of classes. */
static glia_status settle(glia_metric *m, glia_error *error) {
    bool two = m->labels == 2;
    if (m->average == GLIA_AVERAGE_BINARY && !two && !m->chosen) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: binary is for two classes, not %lld; positive=CLASS names one",
                         m->name, (long long)m->labels);
    }
    if (m->chosen && m->average != GLIA_AVERAGE_DEFAULT && m->average != GLIA_AVERAGE_BINARY) {
        return glia_fail(error, GLIA_E_ARGUMENT, "%s: an average over classes has no positive class", m->name);
    }
    if (!m->chosen) m->positive = 1;
    if (m->average == GLIA_AVERAGE_DEFAULT) m->average = two || m->chosen ? GLIA_AVERAGE_BINARY : GLIA_AVERAGE_MACRO;
    return GLIA_OK;
}

glia_status glia_metric_parse(glia_metric *m, const char *text, const char *const *names, glia_error *error) {
    m->name = tidy(text);
    char *words_of = tidy(text);
    if (!m->name || !words_of) {
        free(words_of);
        return glia_fail_nomem(error);
    }
    char *open = strchr(words_of, '('), *close = open ? strrchr(open, ')') : NULL;
    glia_status status = GLIA_OK;
    if (open ? !close || close[1] : strchr(words_of, ')') != NULL) {
        status = glia_fail(error, GLIA_E_ARGUMENT, "\"%s\" is not NAME or NAME(OPTION, ...)", text);
    }
    if (open) *open = 0;
    if (close) *close = 0;
    int64_t number = -1; /* the name has no number */
    if (status == GLIA_OK && !(m->rule = find(words_of, &number))) status = unknown(words_of, error);
    if (status == GLIA_OK) {
        m->labels = m->rule->values ? m->classes : GLIA_MAX(m->classes, 2);
        m->threshold = 0.5;
        m->number = m->rule->number_default;
        if (number >= 0 && !take_number(m, NULL, (double)number)) {
            status = glia_fail(error, GLIA_E_ARGUMENT, "%s: the number is out of range", words_of);
        }
    }
    for (char *rest = open ? open + 1 : NULL, *option; status == GLIA_OK && rest && *rest;) {
        option = rest;
        rest = strchr(rest, ',');
        if (rest) *rest++ = 0;
        status = take(m, option, names, error);
    }
    free(words_of);
    return status == GLIA_OK ? settle(m, error) : status;
}

bool glia_metric_next(const char **list, char *text, size_t size) {
    if (!list || !text) return false;
    const char *at = *list;
    while (at && (*at == ',' || isspace((unsigned char)*at))) at++;
    if (!at || !*at || size == 0) return false;
    size_t length = 0;
    for (int depth = 0; *at && (*at != ',' || depth > 0); at++) {
        depth += (*at == '(') - (*at == ')');
        if (length + 1 < size) text[length++] = *at;
    }
    while (length && isspace((unsigned char)text[length - 1])) length--;
    text[length] = 0;
    *list = at;
    return true;
}
