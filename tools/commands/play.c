/* play.c - `glia play`: a trained agent plays: on the terminal, or into a GIF, SVG or PNG. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reports/scene.h"
#include "runs/saved.h"
#include "terminal/options.h"

enum { STRIP = 12, COLUMNS = 6, MOST_FRAMES = 2000 };
typedef enum format { TERMINAL, GIF, SVG, PNG } format;

typedef struct request {
    const char *out, *env;
    int64_t episodes, seed, fps, threads, side;
    bool quiet;
    format format;
} request;

typedef struct film {
    scene *frames;
    int n, capacity;
} film;

static void take_frame(film *f, const glia_env *env) {
    if (f->n == MOST_FRAMES) return;
    if (f->n == f->capacity) {
        f->capacity = f->capacity ? 2 * f->capacity : 256;
        scene *frames = allocate((size_t)f->capacity, sizeof *frames);
        if (f->n) memcpy(frames, f->frames, (size_t)f->n * sizeof *frames);
        free(f->frames);
        f->frames = frames;
    }
    scene *s = &f->frames[f->n++];
    const int marks = glia_env_draw(env, 0, s->marks, SCENE_MARKS);
    s->n = marks < SCENE_MARKS ? marks : SCENE_MARKS;
}

static void wait_frame(int64_t fps) {
    const struct timespec pause = { .tv_sec = 0, .tv_nsec = 999999999L / (long)fps };
    nanosleep(&pause, NULL);
}

/* Shows the present frame where the last one was. */
static void show(const request *r, const film *f, bool first) {
    const int side = (int)r->side;
    if (!first) printf("\x1b[%dA", side / 2);
    scene_print(&f->frames[f->n - 1], side);
    fflush(stdout);
    wait_frame(r->fps);
}

/* One episode; -1, or the exit status after printing an error. */
static int play_episode(const request *r, glia_agent *agent, glia_env *env, int64_t episode, film *f) {
    glia_env_result now;
    glia_error error;
    const glia_space space = glia_env_action_space(env);
    void *action = allocate(1, glia_space_bytes(&space));
    const bool live = !r->out && !r->quiet && terminal_live();
    bool first = true;
    glia_status status = glia_env_reset(env, (uint64_t)(r->seed + episode), &now, &error);
    for (;;) {
        take_frame(f, env);
        if (live && f->frames[f->n - 1].n > 0) show(r, f, first);
        first = false;
        if (status != GLIA_OK || now.terminated[0] || now.truncated[0]) break;
        status = glia_agent_act(agent, now.observations, 1, action, &error);
        if (status == GLIA_OK) status = glia_env_step(env, action, &now, &error);
        if (!r->out) f->n = 0; /* frames are kept for files only */
    }
    free(action);
    if (status != GLIA_OK) return fail("%s", error.message);
    if (!r->out && !live && !r->quiet) scene_print(&f->frames[f->n - 1], (int)r->side);
    printf("episode %lld: return %g in %lld steps, %s\n", (long long)episode + 1, now.returns[0],
           (long long)now.lengths[0], now.terminated[0] ? "terminated" : "truncated");
    return -1;
}

static picture strip_pixels(const scene *frames, int n, int side) {
    picture all[STRIP] = { { 0 } };
    for (int i = 0; i < n; i++) all[i] = scene_pixels(&frames[i], side);
    picture sheet = picture_sheet(all, n, COLUMNS, 6, 1, 0xDD);
    for (int i = 0; i < n; i++) free(all[i].pixels);
    return sheet;
}

static int write_film(const request *r, const film *f) {
    text content = { 0 };
    scene strip[STRIP]; /* moments that are equally far from each other */
    const int n = f->n < STRIP ? f->n : STRIP, side = (int)r->side;
    for (int i = 0; i < n; i++) strip[i] = f->frames[n > 1 ? i * (f->n - 1) / (n - 1) : 0];
    if (f->frames[0].n == 0) return fail("this environment has no pictures");
    if (r->format == GIF) scene_gif(f->frames, f->n, side, (int)(100 / r->fps), &content);
    if (r->format == SVG) scene_svg(strip, n, COLUMNS, &content);
    if (r->format == PNG) {
        picture p = strip_pixels(strip, n, side);
        picture_png(&p, &content);
        free(p.pixels);
    }
    const int status =
        write_file(r->out, content.bytes, content.length) ? EXIT_OK : fail("%s: %s", r->out, strerror(errno));
    free(content.bytes);
    if (status != EXIT_OK || r->quiet) return status;
    printf("%d frames in %s%s\n", r->format == GIF ? f->n : n, r->out, f->n == MOST_FRAMES ? ", which ends there" : "");
    return status;
}

static int play(const request *r, glia_model *model) {
    glia_error error;
    film f = { 0 };
    glia_env *env =
        r->env ? glia_env_create(r->env, (glia_env_opts){ 0 }, &error) : glia_env_of_model(model, 1, &error);
    glia_agent *agent =
        env ? glia_agent_create(model, env, (glia_agent_opts){ .threads = (int)r->threads }, &error) : NULL;
    int status = agent ? -1 : fail("%s", error.message);
    if (agent && !glia_env_limit(env)) status = misuse("--env: give it a limit of steps: \"NAME?limit=1000\"");
    for (int64_t i = 0; i < r->episodes && status < 0; i++) status = play_episode(r, agent, env, i, &f);
    if (status < 0) status = r->out ? write_film(r, &f) : EXIT_OK;
    free(f.frames);
    glia_agent_free(agent);
    glia_env_free(env);
    return status;
}

/* What the options that were given mean for the format; options without effect are refused. */
static int choose_format(request *r) {
    static const char *const endings[] = { [GIF] = ".gif", [SVG] = ".svg", [PNG] = ".png" };
    const char *ending = r->out ? strrchr(r->out, '.') : NULL;
    for (int i = GIF; i <= PNG && ending; i++)
        if (strcmp(ending, endings[i]) == 0) r->format = (format)i;
    if (r->out && r->format == TERMINAL)
        return misuse("--out %s: the name must end in .gif, .svg or .png", r->out);
    if (r->fps && (r->format == SVG || r->format == PNG)) return misuse("--fps: a strip of pictures does not move");
    if (r->side && r->format == SVG) return misuse("--size: an .svg has any size");
    if (!r->fps) r->fps = 30;
    if (!r->side) r->side = r->format == TERMINAL ? 48 : 160;
    return -1;
}

int command_play(int argc, char **argv) {
    request r = { .episodes = 1 };
    const option table[] = {
        { .help = "options" },
        { "out", OPTION_TEXT, &r.out, "FILE", "an animation NAME.gif, or a strip NAME.svg or NAME.png", 0, 0 },
        { "episodes", OPTION_INT, &r.episodes, "N", "episodes to play (1)", 1, 1000 },
        { "seed", OPTION_INT, &r.seed, "N", "random seed of the first episode (0)", 0, 9e15 },
        { "env", OPTION_TEXT, &r.env, "NAME", "environment to play in (that of the training)", 0, 0 },
        { "fps", OPTION_INT, &r.fps, "N", "pictures in a second (30)", 1, 100 },
        { "size", OPTION_INT, &r.side, "N", "columns on the terminal (48), or pixels of a picture (160)", 8, 400 },
        { "threads", OPTION_INT, &r.threads, "N", "CPU threads (all cores)", 1, 1024 },
        { "quiet", OPTION_FLAG, &r.quiet, NULL, "print returns only, no pictures", 0, 0 },
    };
    const options what = { "play", table, sizeof table / sizeof table[0], 1, 1, "a run folder or a .safetensors file" };
    int n, status = options_parse(&what, argc, argv, &n);
    if (status < 0) status = choose_format(&r);
    if (status >= 0) return status;
    char *path = saved_path(argv[1]);
    glia_error error;
    glia_model *model = glia_model_load(path, &error);
    status = model ? play(&r, model) : fail("%s", error.message);
    glia_model_free(model);
    free(path);
    return status;
}
