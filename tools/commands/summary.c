/* summary.c - `glia summary` and `glia models`. */
#include <stdio.h>
#include <stdlib.h>

#include "runs/saved.h"
#include "runs/training.h"
#include "terminal/options.h"

/* The text of a model's summary, or of its compiled program. */
static int print_model(glia_model *model, int64_t batch, bool program) {
    glia_error error;
    char *words = NULL;
    if (!program) {
        words = glia_model_summary(model, batch, &error);
    } else {
        glia_tensor output = glia_model_output_at(model, 0, NULL);
        glia_backend *backend = glia_backend_open("cpu", 0, &error);
        glia_compile_opts opts = { .outputs = &output, .n_outputs = 1, .batch = batch };
        glia_program *compiled = backend ? glia_compile(glia_model_graph(model), backend, opts, &error) : NULL;
        if (compiled) words = glia_program_print(compiled);
        glia_program_free(compiled);
        glia_backend_close(backend);
    }
    if (!words) return fail("%s", error.message);
    printf("%s", words);
    free(words);
    return EXIT_OK;
}

int command_summary(int argc, char **argv) {
    int64_t batch = 0;
    bool program = false;
    const option table[] = {
        { .help = "options" },
        { "batch", OPTION_INT, &batch, "N", "batch size for the memory figures (the model's default)", 1, 1 << 20 },
        { "program", OPTION_FLAG, &program, NULL, "the compiled inference program, one kernel launch a line", 0, 0 },
    };
    const options what = { "summary", table, sizeof table / sizeof table[0],
                           1,         1,     "a model, a run folder or a .safetensors file" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    const glia_recipe *recipe;
    saved s;
    status = saved_open_or_build(&s, argv[1], &recipe);
    if (status < 0 && recipe && !glia_model_output_at(s.model, 0, NULL))
        status = fail("%s is built when it is trained, once its method knows the data", recipe->name);
    if (status < 0) status = print_model(s.model, batch ? batch : recipe ? recipe->batch : 32, program);
    saved_close(&s);
    return status;
}

int command_models(int argc, char **argv) {
    const options what = { .command = "models" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    printf("%-12s %-9s %11s  %-8s  %s\n", "model", "sample", "parameters", "data", "description");
    for (int i = 0; i < glia_recipe_count(); i++) {
        const glia_recipe *r = glia_recipe_at(i);
        glia_error error;
        glia_model *model = glia_recipe_build(r, r->sample, r->outputs, &error);
        if (!model) return fail("%s: %s", r->name, error.message);
        char shape[SHORT], count[SHORT];
        printf("%-12s %-9s %11s  %-8s  %s\n", r->name, shape_text(r->sample, shape),
               grouped(glia_model_parameter_count(model, false), count), r->data ? r->data : "-", r->summary);
        glia_model_free(model);
    }
    printf("\n`glia train MODEL` uses the model's default data and settings; `glia summary MODEL` shows its layers.\n");
    return EXIT_OK;
}
