/* envs.c - `glia envs`: lists the environments and their settings. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glia/glia.h"
#include "terminal/json.h"
#include "terminal/options.h"

static void space_text(const glia_space *s, text *out) {
    if (s->kind == GLIA_SPACE_DISCRETE) {
        text_add(out, "%lld choices", (long long)s->n);
        return;
    }
    text_add(out, "%s (", glia_dtype_name(s->dtype));
    for (int i = 0; i < s->shape.rank; i++) text_add(out, "%s%lld", i ? ", " : "", (long long)s->shape.dim[i]);
    text_add(out, ")");
}

static void print_settings(const glia_env_kind *kind) {
    for (int i = 0; i < kind->n_settings; i++) {
        const glia_setting *s = &kind->settings[i];
        printf("  %-22s %s", s->name, s->help);
        if (s->kind == GLIA_SETTING_CHOICE) printf(" (%s)", s->choices);
        printf("\n");
    }
}

static int list(bool as_json) {
    text out = { 0 };
    json j = { .out = &out };
    if (as_json) json_open(&j, NULL, '[');
    for (int i = 0; glia_env_at_index(i); i++) {
        const glia_env_kind *kind = glia_env_at_index(i);
        text seen = { 0 }, acted = { 0 };
        space_text(&kind->observation, &seen);
        space_text(&kind->action, &acted);
        if (as_json) {
            json_open(&j, NULL, '{');
            json_text(&j, "name", kind->name);
            json_text(&j, "alias", kind->alias);
            json_text(&j, "summary", kind->summary);
            json_text(&j, "observation", seen.bytes);
            json_text(&j, "action", acted.bytes);
            json_int(&j, "limit", kind->limit);
            if (!isnan(kind->threshold)) json_real(&j, "threshold", kind->threshold);
            json_close(&j, '}');
        } else {
            printf("%-24s %s: %s\n  sees %s, does %s", kind->alias ? kind->alias : kind->name, kind->name,
                   kind->summary, seen.bytes, acted.bytes);
            if (kind->limit) printf(", at most %lld steps", (long long)kind->limit);
            printf("\n");
            print_settings(kind);
        }
        free(seen.bytes);
        free(acted.bytes);
    }
    if (as_json) {
        json_close(&j, ']');
        printf("%s\n", out.bytes);
    }
    free(out.bytes);
    return EXIT_OK;
}

int command_envs(int argc, char **argv) {
    bool as_json = false;
    const option table[] = { { "json", OPTION_FLAG, &as_json, NULL, "print one JSON array", 0, 0 } };
    const options what = { "envs", table, sizeof table / sizeof table[0], 0, 0, NULL };
    int n, status = options_parse(&what, argc, argv, &n);
    return status >= 0 ? status : list(as_json);
}
