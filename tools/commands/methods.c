/* methods.c - `glia methods`: the methods of training, and the settings of one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "terminal/options.h"
#include "terminal/tool.h"

static void print_default(const glia_setting *s) {
    const char *choice = s->choices;
    char number[GLIA_NUMBER_TEXT];
    switch (s->kind) {
    case GLIA_SETTING_SWITCH: printf("%s", s->initial != 0 ? "true" : "false"); break;
    case GLIA_SETTING_TEXT: printf("none"); break;
    case GLIA_SETTING_CHOICE:
        for (int i = (int)s->initial; i > 0; i--) choice += strcspn(choice, "|") + 1;
        printf("%.*s of %s", (int)strcspn(choice, "|"), choice, s->choices);
        break;
    default: printf("%s", glia_number_print(s->initial, number));
    }
}

static int print_method(const char *name) {
    const glia_method_info *m = glia_method_find(name);
    if (!m) {
        glia_error error;
        char *none = glia_method_settings(name, NULL, NULL, &error); /* its message has the nearest name */
        free(none);
        return misuse("%s; `glia methods` lists them", error.message);
    }
    printf("%s - %s%s%s%s\n", m->name, m->summary, m->paper ? " (" : "", m->paper ? m->paper : "", m->paper ? ")" : "");
    printf(m->n_settings ? "\nsettings, as in `glia train MODEL --set %s.NAME=VALUE`:\n"
                         : "\n%s has no settings of its own; see `glia help train`.\n",
           m->name);
    for (int i = 0; i < m->n_settings; i++) {
        printf("  %-18s %s (", m->settings[i].name, m->settings[i].help);
        print_default(&m->settings[i]);
        printf(")\n");
    }
    return EXIT_OK;
}

int command_methods(int argc, char **argv) {
    const options what = { "methods", NULL, 0, 0, 1, "a method" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    if (n == 1) return print_method(argv[1]);
    printf("%-12s %-28s %s\n", "method", "models", "description");
    for (int i = 0; glia_method_at(i); i++) {
        const glia_method_info *m = glia_method_at(i);
        text models = { 0 };
        for (int k = 0; k < glia_recipe_count(); k++) {
            const bool fits = strcmp(glia_recipe_at(k)->method, m->name) == 0;
            if (fits && models.length < 24)
                text_add(&models, "%s%s", models.length ? ", " : "", glia_recipe_at(k)->name);
        }
        printf("%-12s %-28s %s\n", m->name, models.length ? models.bytes : "-", m->summary);
        free(models.bytes);
    }
    printf("\n`glia methods NAME` lists the settings of a method.\n");
    return EXIT_OK;
}
