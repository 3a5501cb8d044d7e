/* graphs.h - data of graphs for commands. */
#ifndef GLIA_TOOL_GRAPHS_H
#define GLIA_TOOL_GRAPHS_H

#include "glia/graphs.h"

/* Opens data; without a split a tenth is for validation and a tenth for the test. NULL: see error. */
glia_graph_data *graphs_open(const char *address, const char *folder, glia_error *error);
/* The answers of a model for all nodes, or graphs (rows, *k), or the vectors of one that learned by walks. Release with
 * free(). NULL: see error. */
float *graphs_answers(glia_model *model, const glia_graph_data *data, int threads, int64_t *k, glia_error *error);

#endif
