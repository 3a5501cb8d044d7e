/* explained.h - explanations of one or more samples, as text, JSON, npz, heat maps, plots and a page. */
#ifndef GLIA_TOOL_EXPLAINED_H
#define GLIA_TOOL_EXPLAINED_H

#include "reports/picture.h"
#include "runs/saved.h"

/* The score while what the explanation values most is taken away from the sample, or put into a blank one. */
enum { EXPLAINED_STEPS = 20 };
typedef struct explained_curves {
    double deletion[EXPLAINED_STEPS + 1], insertion[EXPLAINED_STEPS + 1];
    double deleted, inserted; /* the areas under them */
} explained_curves;

/* Explanations of the same output, or of each sample's largest one, by one method. */
typedef struct explained {
    const saved *s;
    const glia_method_info *method;
    const char *settings, *model; /* NULL: defaults; its path */
    bool probability;             /* what is explained is a probability */
    int64_t seed;
    int64_t n;     /* samples */
    char **inputs; /* (n): as they were given */
    char **truths; /* (n): class names; NULL: unknown */
    double *data;  /* (n, sample): before normalisation */
    glia_explanation *e;
    char **tokens;                          /* (sample) of the first sample, if it is text; else NULL */
    const glia_randomization_step *checked; /* NULL: no such check */
    int n_checked;
    explained_curves *curves; /* (n); NULL: not asked for */
} explained;

/* The name of output `k`, or its number. */
const char *explained_output(const explained *x, int k, char number[SHORT]);
/* The name of a value of the explanation: of a column, token, superpixel, or place. */
char *explained_feature(const explained *x, int64_t feature, char name[SHORT]);
/* Its value in sample `i`, as text; "" for superpixels and tokens. */
char *explained_datum(const explained *x, int64_t i, int64_t feature, char number[SHORT]);
/* Indices of the features, the largest mean |value| over the samples first. Release with free(). */
int64_t *explained_order(const explained *x);

void explained_print(const explained *x, int64_t i, int most); /* on stdout */
void explained_json(const explained *x, text *out);            /* with the field names of shap's Explanation */
glia_status explained_npz(const explained *x, const char *path, glia_error *error);

/* A picture of sample i with its heat map over it: blue for values below 0, red for those above. */
bool explained_has_heat(const explained *x);
picture explained_heat(const explained *x, int64_t i, int least_side);

/* Plots as parts of a page or, `file`, as complete SVG files. */
typedef void (*explained_plot)(const explained *x, text *out, int64_t feature);
extern const char explained_style[];                   /* CSS of plots */
explained_plot explained_plot_named(const char *name); /* bar, waterfall, force, beeswarm, dependence; NULL: none */
extern const char explained_plot_names[];
void explained_svg(const explained *x, const char *plot, int64_t feature, bool file, text *out);

/* One page without scripts or links to other files. */
void explained_html(const explained *x, text *out);

#endif
