/* events.h - internals of the event writer: protocol buffers, records, event files.
 *
 * A protocol buffer is a sequence of fields: a varint (number << 3 | wire type), then a varint (type 0), 8 bytes (1), a
 * length and that number of bytes (2), or 4 bytes (5). A nested message is stored as bytes, so it is built first.
 */
#ifndef GLIA_SRC_TRAIN_EVENTS_EVENTS_H
#define GLIA_SRC_TRAIN_EVENTS_EVENTS_H

#include "core/graph/graph.h"
#include "glia/events.h"

/* ---- protocol buffers (proto.c) ------------------------------------------------------------- */

void glia_proto_int(glia_text *to, int field, int64_t value);
void glia_proto_double(glia_text *to, int field, double value);
void glia_proto_float(glia_text *to, int field, float value);
void glia_proto_bytes(glia_text *to, int field, const void *bytes, size_t length);
void glia_proto_string(glia_text *to, int field, const char *text);
void glia_proto_doubles(glia_text *to, int field, const double *values, int n); /* packed */
/* Appends the message as a field and frees it; a failure of the message is passed on. */
void glia_proto_message(glia_text *to, int field, glia_text *message);

/* ---- records (record.c) --------------------------------------------------------------------- */

/* CRC-32C (Castagnoli), as in RFC 3720. */
uint32_t glia_crc32c(const void *bytes, size_t length);
/* Appends a TFRecord: length, masked checksum of the length, data, masked checksum of the data. Little-endian. */
void glia_record_append(glia_text *to, const glia_text *data);

/* ---- events --------------------------------------------------------------------------------- */

/* Prefix of event file names. */
extern const char glia_events_prefix[];

/* Opens an existing event file and truncates it to `length` bytes, which are whole records. NULL: GLIA_E_NOT_FOUND if
 * it does not exist, GLIA_E_FORMAT if it is shorter. */
glia_events *glia_events_reopen(const char *folder, const char *name, int64_t length, glia_error *error);
/* The file's name within its folder, and its length without unflushed records. */
const char *glia_events_name(const glia_events *events);
int64_t glia_events_length(const glia_events *events);

/* The fields of tensorflow.GraphDef for the graph (graph_def.c). */
void glia_graph_def(const glia_graph *graph, glia_text *to);

#endif
