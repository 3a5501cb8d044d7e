/* events.c - writes TensorBoard event files. Each record is a tensorflow.Event: time, step and contents. */
#include "train/events/events.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

struct glia_events {
    glia_log_file log;
    glia_text pending; /* records not yet written to the file */
    char *path;
    const char *name; /* last component of the path */
};

enum { PENDING = 1 << 16 }; /* bytes; more than these are written at once */

const char glia_events_prefix[] = "events.out.tfevents.";

enum { BINS = 30 };

/* Fields of Event, Summary.Value, SummaryMetadata and TensorProto. */
enum { EVENT_TIME = 1, EVENT_STEP, EVENT_VERSION, EVENT_GRAPH, EVENT_SUMMARY };
enum { VALUE_TAG = 1, VALUE_SCALAR, VALUE_IMAGE = 4, VALUE_HISTOGRAM, VALUE_TENSOR = 8, VALUE_METADATA };

/* ---- files -------------------------------------------------------------------------------- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Writes the time and the given fields as a record; frees the fields. */
static glia_status write_event(glia_events *e, glia_text *fields, glia_error *error) {
    glia_text event = { 0 }, record = { 0 };
    glia_proto_double(&event, EVENT_TIME, now());
    glia_text_append(&event, fields->bytes, fields->length);
    event.failed |= fields->failed;
    glia_record_append(&record, &event);
    if (!record.failed) glia_text_append(&e->pending, record.bytes, record.length);
    glia_status status = record.failed || e->pending.failed ? glia_fail_nomem(error) : GLIA_OK;
    e->pending.failed = false;
    free(fields->bytes);
    free(event.bytes);
    free(record.bytes);
    return status == GLIA_OK && e->pending.length >= PENDING ? glia_events_flush(e, error) : status;
}

/* Creates the first free name events.out.tfevents.SECONDS.HOST.PROCESS.NUMBER in the folder. */
static glia_status open_new(glia_events *e, const char *folder, glia_error *error) {
    char host[64] = "";
    if (gethostname(host, sizeof host - 1) != 0 || !*host) strcpy(host, "localhost");
    for (int number = 0; number < 1000; number++) {
        glia_text path = { 0 };
        glia_text_printf(&path, "%s/%s%010lld.%s.%ld.%d", folder, glia_events_prefix, (long long)time(NULL), host,
                         (long)getpid(), number);
        free(e->path);
        e->path = path.bytes;
        if (path.failed) return glia_fail_nomem(error);
        e->name = e->path + strlen(folder) + 1;
        int fd = open(e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) {
            e->log = (glia_log_file){ .fd = fd };
            return GLIA_OK;
        }
        if (errno != EEXIST) break;
    }
    return glia_fail(error, GLIA_E_IO, "%s: %s", e->path, strerror(errno));
}

static glia_events *make_writer(glia_error *error) {
    glia_events *e = calloc(1, sizeof *e);
    if (e) e->log.fd = -1;
    if (!e) glia_fail_nomem(error);
    return e;
}

glia_events *glia_events_open(const char *folder, glia_error *error) {
    if (!folder || !*folder) {
        glia_fail(error, GLIA_E_ARGUMENT, "glia_events_open: needs a folder");
        return NULL;
    }
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        glia_fail(error, GLIA_E_IO, "cannot make the folder %s: %s", folder, strerror(errno));
        return NULL;
    }
    glia_events *e = make_writer(error);
    if (!e) return NULL;
    glia_status status = open_new(e, folder, error);
    if (status == GLIA_OK) {
        glia_text version = { 0 };
        glia_proto_string(&version, EVENT_VERSION, "brain.Event:2");
        status = write_event(e, &version, error);
    }
    if (status == GLIA_OK) return e;
    e->pending.length = 0;
    glia_events_close(e, NULL);
    return NULL;
}

glia_events *glia_events_reopen(const char *folder, const char *name, int64_t length, glia_error *error) {
    glia_events *e = make_writer(error);
    if (!e) return NULL;
    glia_text path = { 0 };
    glia_text_printf(&path, "%s/%s", folder, name);
    e->path = path.bytes;
    glia_status status = path.failed ? glia_fail_nomem(error) : glia_log_file_open(&e->log, e->path, length, error);
    if (status == GLIA_OK) {
        e->name = e->path + strlen(folder) + 1;
        return e;
    }
    glia_events_close(e, NULL);
    return NULL;
}

glia_status glia_events_flush(glia_events *e, glia_error *error) {
    if (!e) return glia_fail_null(error, "events");
    if (e->pending.length == 0) return GLIA_OK;
    const size_t length = e->pending.length;
    e->pending.length = 0; /* also after a failed write, or pending records would fill the memory */
    return glia_log_file_append(&e->log, e->path, e->pending.bytes, length, error);
}

const char *glia_events_name(const glia_events *e) { return e ? e->name : NULL; }

int64_t glia_events_length(const glia_events *e) { return e ? e->log.length : 0; }

glia_status glia_events_close(glia_events *e, glia_error *error) {
    if (!e) return GLIA_OK;
    glia_status status = glia_events_flush(e, error);
    glia_log_file_close(&e->log);
    free(e->pending.bytes);
    free(e->path);
    free(e);
    return status;
}

/* ---- summaries ---------------------------------------------------------------------------- */

static void step_and_summary(glia_text *event, int64_t step, glia_text *summary) {
    if (step) glia_proto_int(event, EVENT_STEP, step);
    glia_proto_message(event, EVENT_SUMMARY, summary);
}

/* Writes a Summary.Value with this tag and these fields. */
static glia_status write_value(glia_events *e, const char *tag, int64_t step, glia_text *fields, glia_error *error) {
    glia_text value = { 0 }, summary = { 0 }, event = { 0 };
    glia_proto_string(&value, VALUE_TAG, tag);
    glia_text_append(&value, fields->bytes, fields->length);
    value.failed |= fields->failed;
    free(fields->bytes);
    glia_proto_message(&summary, 1, &value);
    step_and_summary(&event, step, &summary);
    return write_event(e, &event, error);
}

glia_status glia_events_scalar(glia_events *e, const char *tag, int64_t step, double value, glia_error *error) {
    if (!e) return glia_fail_null(error, "events");
    if (!tag) return glia_fail_null(error, "tag");
    glia_text fields = { 0 };
    glia_proto_float(&fields, VALUE_SCALAR, (float)value);
    return write_value(e, tag, step, &fields, error);
}

typedef struct distribution {
    double least, most, count, sum, squares;
    double limit[BINS], bin[BINS]; /* right edge of each bin, and its count */
    int bins;
} distribution;

static distribution distribute(const float *values, int64_t n) {
    distribution d = { .least = DBL_MAX, .most = -DBL_MAX };
    for (int64_t i = 0; i < n; i++) {
        double x = (double)values[i];
        if (!isfinite(x)) continue;
        d.least = fmin(d.least, x);
        d.most = fmax(d.most, x);
        d.count++;
        d.sum += x;
        d.squares += x * x;
    }
    if (d.count == 0) d.least = d.most = 0;
    double range = d.most - d.least;
    d.bins = range > 0 ? BINS : 1;
    for (int b = 0; b < d.bins; b++) d.limit[b] = b + 1 == d.bins ? d.most : d.least + range * (b + 1) / d.bins;
    for (int64_t i = 0; i < n; i++) {
        double x = (double)values[i];
        if (!isfinite(x)) continue;
        int b = range > 0 ? (int)((x - d.least) / range * d.bins) : 0;
        d.bin[GLIA_MIN(b, d.bins - 1)]++;
    }
    return d;
}

glia_status glia_events_histogram(glia_events *e, const char *tag, int64_t step, const float *values, int64_t n,
                                  glia_error *error) {
    if (!e) return glia_fail_null(error, "events");
    if (!tag) return glia_fail_null(error, "tag");
    if (n > 0 && !values) return glia_fail_null(error, "values");
    distribution d = distribute(values, n);
    const double figures[] = { d.least, d.most, d.count, d.sum, d.squares };
    glia_text histogram = { 0 }, fields = { 0 };
    for (int i = 0; i < GLIA_COUNT(figures); i++) glia_proto_double(&histogram, i + 1, figures[i]);
    glia_proto_doubles(&histogram, 6, d.limit, d.bins);
    glia_proto_doubles(&histogram, 7, d.bin, d.bins);
    glia_proto_message(&fields, VALUE_HISTOGRAM, &histogram);
    return write_value(e, tag, step, &fields, error);
}

glia_status glia_events_image(glia_events *e, const char *tag, int64_t step, const void *png, size_t length,
                              glia_error *error) {
    if (!e) return glia_fail_null(error, "events");
    if (!tag) return glia_fail_null(error, "tag");
    if (!png) return glia_fail_null(error, "png");
    static const uint8_t signature[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R' };
    static const int colours[] = { 1, 0, 3, 3, 2, 0, 4 }; /* channels, by the colour type of the header */
    const uint8_t *at = png;
    if (length < 33 || memcmp(at, signature, sizeof signature) != 0 || at[25] > 6) {
        return glia_fail(error, GLIA_E_FORMAT, "glia_events_image: %s is not a PNG file at offset 0", tag);
    }
    glia_text image = { 0 }, fields = { 0 };
    glia_proto_int(&image, 1, glia_big32(at + 20));
    glia_proto_int(&image, 2, glia_big32(at + 16));
    glia_proto_int(&image, 3, colours[at[25]]);
    glia_proto_bytes(&image, 4, png, length);
    glia_proto_message(&fields, VALUE_IMAGE, &image);
    return write_value(e, tag, step, &fields, error);
}

/* Writes the metadata that name the TensorBoard plugin for a value. */
static void plugin(glia_text *fields, const char *name, glia_text *content) {
    glia_text data = { 0 }, metadata = { 0 };
    glia_proto_string(&data, 1, name);
    if (content) glia_proto_message(&data, 2, content);
    glia_proto_message(&metadata, 1, &data);
    glia_proto_message(fields, VALUE_METADATA, &metadata);
}

glia_status glia_events_text(glia_events *e, const char *tag, int64_t step, const char *text, glia_error *error) {
    if (!e) return glia_fail_null(error, "events");
    if (!tag) return glia_fail_null(error, "tag");
    if (!text) return glia_fail_null(error, "text");
    enum { STRING = 7 }; /* DataType */
    glia_text fields = { 0 }, tensor = { 0 }, shape = { 0 }, dim = { 0 };
    plugin(&fields, "text", NULL);
    glia_proto_int(&dim, 1, 1);
    glia_proto_message(&shape, 2, &dim);
    glia_proto_int(&tensor, 1, STRING);
    glia_proto_message(&tensor, 2, &shape);
    glia_proto_string(&tensor, 8, text);
    glia_proto_message(&fields, VALUE_TENSOR, &tensor);
    return write_value(e, tag, step, &fields, error);
}

glia_status glia_events_graph(glia_events *e, const glia_graph *graph, glia_error *error) {
    if (!e) return glia_fail_null(error, "events");
    if (!graph) return glia_fail_null(error, "graph");
    glia_status status = glia_graph_check(graph, error);
    if (status != GLIA_OK) return status;
    glia_text def = { 0 }, event = { 0 };
    glia_graph_def(graph, &def);
    glia_proto_message(&event, EVENT_GRAPH, &def);
    return write_event(e, &event, error);
}

/* ---- hyper-parameters --------------------------------------------------------------------- */

/* Writes HParamsPluginData with this message as its field. */
static glia_status write_hparams(glia_events *e, const char *tag, int field, glia_text *message, glia_error *error) {
    glia_text content = { 0 }, fields = { 0 };
    glia_proto_message(&content, field, message);
    plugin(&fields, "hparams", &content);
    return write_value(e, tag, 0, &fields, error);
}

glia_status glia_events_hparams(glia_events *e, const glia_hparam *hparams, int n, glia_error *error) {
    if (!e) return glia_fail_null(error, "events");
    if (n > 0 && !hparams) return glia_fail_null(error, "hparams");
    for (int i = 0; i < n; i++) {
        if (!hparams[i].name) return glia_fail(error, GLIA_E_ARGUMENT, "hparams[%d].name is NULL", i);
    }
    enum { SESSION_START = 3, SESSION_END, NUMBER = 2, TEXT, START_SECONDS = 5, END_SECONDS = 2 };
    glia_text start = { 0 }, end = { 0 };
    for (int i = 0; i < n; i++) {
        glia_text entry = { 0 }, value = { 0 };
        if (hparams[i].text) {
            glia_proto_string(&value, TEXT, hparams[i].text);
        } else {
            glia_proto_double(&value, NUMBER, hparams[i].number);
        }
        glia_proto_string(&entry, 1, hparams[i].name);
        glia_proto_message(&entry, 2, &value);
        glia_proto_message(&start, 1, &entry);
    }
    glia_proto_double(&start, START_SECONDS, now());
    glia_status status = write_hparams(e, "_hparams_/session_start_info", SESSION_START, &start, error);
    if (status != GLIA_OK) return status;
    glia_proto_int(&end, 1, 1); /* STATUS_SUCCESS: TensorBoard hides sessions without a final status */
    glia_proto_double(&end, END_SECONDS, now());
    return write_hparams(e, "_hparams_/session_end_info", SESSION_END, &end, error);
}
