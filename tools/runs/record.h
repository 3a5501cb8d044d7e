/* record.h - records the figures of a training. */
#ifndef GLIA_TOOL_RECORD_H
#define GLIA_TOOL_RECORD_H

#include "terminal/progress.h"

/* Once the state of a checkpoint has been restored, and before the first of the others: reads the tables of a resumed
 * training up to its checkpoint, cuts them off there and opens them. Later calls do nothing. */
void record_open(progress *p);
void record_step(progress *p, const glia_progress *now);
void record_epoch(progress *p, const glia_progress *now);
/* Closes the tables; writes again one that lacks rows. */
void record_close(progress *p);

#endif
