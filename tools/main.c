/* main.c - the `glia` command: calls the subcommand. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "terminal/options.h"
#include "terminal/tool.h"

static command commands[] = {
#define COMMAND(name_, arguments_, summary_)                                                                           \
    { .name = #name_, .run = command_##name_, .arguments = arguments_, .summary = summary_ },
#include "commands/commands.def"
#undef COMMAND
};

int command_count(void) { return (int)(sizeof commands / sizeof commands[0]); }

const command *command_at(int index) { return &commands[index]; }

const command *command_find(const char *name) {
    for (int i = 0; i < command_count(); i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

static int unknown(const char *name) {
    const char *names[sizeof commands / sizeof commands[0]];
    for (int i = 0; i < command_count(); i++) names[i] = commands[i].name;
    const char *near = glia_name_nearest(name, names, command_count());
    if (near) return misuse("unknown command \"%s\"; did you mean `glia %s`?", name, near);
    return misuse("unknown command \"%s\"; `glia help` lists them", name);
}

static void usage(void) {
    printf("Glia %s - deep learning in C\n\nusage: glia COMMAND [arguments] [--options]\n\n", glia_version());
    for (int i = 0; i < command_count(); i++) printf("  %-9s %s\n", commands[i].name, commands[i].summary);
    printf("\n`glia help COMMAND` lists the options of a command. Start with `glia demo`, or:\n\n"
           "  glia train lenet5 --data mnist\n"
           "  glia eval runs/lenet5-...\n"
           "  glia predict runs/lenet5-... digit.png\n");
}

int command_help(int argc, char **argv) {
    const options what = { .command = "help", .most = 1 };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    if (n == 0) {
        usage();
        return EXIT_OK;
    }
    const command *of = command_find(argv[1]);
    if (!of) return unknown(argv[1]);
    if (of->run == command_help) {
        options_help(&what);
        return EXIT_OK;
    }
    char help[] = "--help";
    char *ask[] = { argv[1], help, NULL };
    return of->run(2, ask);
}

int command_version(int argc, char **argv) {
    const options what = { .command = "version" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status >= 0) return status;
    glia_error error;
    glia_backend *backend = glia_backend_open("cpu", 0, &error);
    printf("glia %s\n", glia_version());
    if (backend) printf("%s\n", glia_backend_describe(backend));
    glia_backend_close(backend);
    return backend ? EXIT_OK : fail("%s", error.message);
}

int main(int argc, char **argv) {
    setlocale(LC_CTYPE, "");
    for (int i = 0; i < command_count(); i++)
        for (char *c = commands[i].name; *c; c++)
            if (*c == '_') *c = '-';
    if (argc < 2) {
        usage();
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) name = "help";
    if (strcmp(name, "--version") == 0) name = "version";
    const command *of = command_find(name);
    int status = of ? of->run(argc - 1, argv + 1) : unknown(name);
    if (fflush(stdout) != 0 || ferror(stdout)) return fail("the output could not be written");
    return status;
}
