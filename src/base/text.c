/* text.c - growing strings, glob patterns, and the nearest name to a misspelt one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static bool reserve(glia_text *t, size_t more) {
    if (t->failed || more > SIZE_MAX / 4) return false;
    size_t need = t->length + more + 1;
    if (need <= t->capacity) return true;
    size_t capacity = GLIA_MAX(need, t->capacity * 2);
    char *grown = realloc(t->bytes, capacity);
    if (!grown) {
        t->failed = true;
        return false;
    }
    t->bytes = grown;
    t->capacity = capacity;
    return true;
}

void glia_text_append(glia_text *t, const char *bytes, size_t length) {
    if (!reserve(t, length)) return;
    if (length) memcpy(t->bytes + t->length, bytes, length);
    t->length += length;
    t->bytes[t->length] = 0;
}

void glia_text_vprintf(glia_text *t, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n >= 0 && reserve(t, (size_t)n)) {
        vsnprintf(t->bytes + t->length, (size_t)n + 1, format, again);
        t->length += (size_t)n;
    }
    va_end(again);
}

void glia_text_printf(glia_text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    glia_text_vprintf(t, format, args);
    va_end(args);
}

void glia_text_escape(glia_text *out, const char *words) {
    const uint8_t *p = (const uint8_t *)words;
    size_t rest = strlen(words);
    while (rest > 0) {
        const size_t n = glia_utf8_length(p, rest);
        if (n == 0 || *p < 0x20)
            glia_text_append(out, "?", 1);
        else if (*p == '<')
            glia_text_append(out, "&lt;", 4);
        else if (*p == '>')
            glia_text_append(out, "&gt;", 4);
        else if (*p == '&')
            glia_text_append(out, "&amp;", 5);
        else
            glia_text_append(out, (const char *)p, n);
        p += n ? n : 1;
        rest -= n ? n : 1;
    }
}

/* One alternative, pattern[0, end), matched against the whole name: greedy, backtracking to the last star. */
static bool glob_one(const char *p, const char *end, const char *s) {
    const char *star = NULL, *mark = NULL;
    while (*s) {
        if (p < end && *p == '*') {
            star = p++;
            mark = s;
        } else if (p < end && (*p == '?' || *p == *s)) {
            p++, s++;
        } else if (star) {
            p = star + 1;
            s = ++mark;
        } else {
            return false;
        }
    }
    while (p < end && *p == '*') p++;
    return p == end;
}

bool glia_glob(const char *pattern, const char *name) {
    for (;;) {
        const char *comma = strchr(pattern, ',');
        const char *end = comma ? comma : pattern + strlen(pattern);
        if (glob_one(pattern, end, name)) return true;
        if (!comma) return false;
        pattern = comma + 1;
    }
}

/* Edit distance with transpositions (optimal string alignment); names longer than the table are not compared. */
static int distance(const char *a, const char *b) {
    enum { MOST = 48 };
    size_t n = strlen(a), m = strlen(b);
    if (n >= MOST || m >= MOST) return MOST;
    int d[MOST][MOST];
    for (size_t i = 0; i <= n; i++) d[i][0] = (int)i;
    for (size_t j = 0; j <= m; j++) d[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = GLIA_MIN(best, GLIA_MIN(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = GLIA_MIN(best, d[i - 2][j - 2] + 1);
            d[i][j] = best;
        }
    }
    return d[n][m];
}

const char *glia_nearest(const char *name, const char *const *candidates, int n) {
    const char *best = NULL;
    int best_distance = 1 + GLIA_MAX(2, (int)strlen(name) / 3);
    for (int i = 0; i < n; i++) {
        int d = distance(name, candidates[i]);
        if (d < best_distance) {
            best_distance = d;
            best = candidates[i];
        }
    }
    return best;
}

static bool matches_any(const char *pattern, const char *end, const char *const *names, int n) {
    for (int i = 0; i < n; i++) {
        if (glob_one(pattern, end, names[i])) return true;
    }
    return false;
}

glia_status glia_glob_check(const char *pattern, const char *const *names, int n, const char *where, const char *what,
                            glia_error *error) {
    bool any = false;
    const char *end;
    char lost[128];
    for (const char *p = pattern;; p = end + 1) {
        end = p + strcspn(p, ",");
        const bool found = matches_any(p, end, names, n), literal = strcspn(p, "*?") >= (size_t)(end - p);
        any |= found;
        if (!found && literal && end > p) { /* misspelt, even if others match */
            snprintf(lost, sizeof lost, "%.*s", (int)(end - p), p);
            break;
        }
        if (*end) continue;
        if (any) return GLIA_OK;
        snprintf(lost, sizeof lost, "%s", pattern);
        break;
    }
    const char *near = glia_nearest(lost, names, n);
    if (near) {
        return glia_fail(error, GLIA_E_NOT_FOUND, "%s: no %s matches '%s'; did you mean '%s'?", where, what, lost,
                         near);
    }
    return glia_fail(error, GLIA_E_NOT_FOUND, "%s: no %s matches '%s'%s", where, what, lost,
                     n ? "" : "; there is none");
}
