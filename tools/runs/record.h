/* record.h - records the figures of a training run. */
#ifndef GLIA_TOOL_RECORD_H
#define GLIA_TOOL_RECORD_H

#include "terminal/progress.h"

/* Called after the state of a checkpoint is restored and before the other functions. Opens the tables; for a resumed
 * training reads them up to its checkpoint and truncates them there. Later calls do nothing. */
void record_open(progress *p);
void record_step(progress *p, const glia_progress *now);
void record_epoch(progress *p, const glia_progress *now);
/* Closes the tables; rewrites a table with missing rows first. */
void record_close(progress *p);

#endif
