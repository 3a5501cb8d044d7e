/* record.h - the figures of a training, kept as they come. */
#ifndef GLIA_TOOL_RECORD_H
#define GLIA_TOOL_RECORD_H

#include "terminal/progress.h"

/* Before the first of the others: reads what a training that goes on has left, and opens its tables. */
void record_open(progress *p);
void record_step(progress *p, const glia_progress *now);
void record_epoch(progress *p, const glia_progress *now);

#endif
