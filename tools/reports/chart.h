/* chart.h - curves as SVG. */
#ifndef GLIA_TOOL_CHART_H
#define GLIA_TOOL_CHART_H

#include "terminal/tool.h"

typedef struct chart_point {
    double x, y;
} chart_point;

typedef struct chart_series {
    const chart_point *points;
    int n;
    char colour; /* 'a' to 'h', a colour of the page */
    bool dots;   /* marks the points */
    bool faint;
    const double *apart; /* (n): a band from y - apart to y + apart; NULL: none */
    const char *name;    /* in a legend below; NULL: not there */
} chart_series;
enum { CHART_COLOURS = 8 };

/* x begins at 0 unless its axis is logarithmic. The axis of y is logarithmic if y spans more than a factor of 8. */
typedef struct chart {
    const chart_series *series;
    int n_series;
    const char *x_name, *unit; /* unit: of y, printed after a number */
    const char *y_name;        /* above the axis of y; NULL: nothing */
    bool x_logarithmic;
    bool y_free; /* the axis of y is linear and need not include 0 */
    double mark; /* a line at this x; 0: none */
} chart;

/* The smallest of 1, 2 and 5 times a power of ten that divides `span` into at most `pieces`: the distance of ticks. */
double chart_step(double span, int pieces);
void chart_svg(text *out, const chart *c);
/* The chart as a complete SVG file with light and dark colours. */
void chart_file(text *out, const chart *c);

/* CSS: the colours of pages and drawings; the classes of charts and network drawings. */
extern const char chart_colours[], chart_style[];

#endif
