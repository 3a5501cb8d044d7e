/* tool.c - messages, strings and number formatting. */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "terminal/tool.h"

static void complain(const char *format, va_list arguments) {
    fflush(stdout);
    fputs("glia: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    return EXIT_FAILED;
}

int misuse(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    return EXIT_USAGE;
}

static void *there(void *memory) {
    if (!memory) exit(fail("out of memory"));
    return memory;
}

void *allocate(size_t count, size_t size) { return there(calloc(count ? count : 1, size)); }

char *duplicate(const char *words) { return there(strdup(words)); }

void text_append(text *t, const void *bytes, size_t length) {
    glia_text_append(t, bytes, length);
    there(t->failed ? NULL : t);
}

void text_add(text *t, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    glia_text_vprintf(t, format, arguments);
    va_end(arguments);
    there(t->failed ? NULL : t);
}

bool read_file(const char *path, text *content) {
    enum { STREAM_MOST = 1 << 26 }; /* bytes read from a file that is not regular and may be endless */
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    struct stat info;
    const bool regular = fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode);
    char block[1 << 16];
    size_t n;
    errno = 0;
    while ((regular || content->length <= STREAM_MOST) && (n = fread(block, 1, sizeof block, file)) > 0)
        text_append(content, block, n);
    bool endless = !regular && content->length > STREAM_MOST, read = !ferror(file) && !endless;
    int reason = endless ? EFBIG : errno;
    fclose(file);
    errno = reason;
    return read;
}

bool write_file(const char *path, const void *bytes, size_t length) {
    struct stat info;
    bool device = stat(path, &info) == 0 && !S_ISREG(info.st_mode); /* no temporary file beside /dev/stdout */
    text beside = { 0 };
    text_add(&beside, device ? "%s" : "%s.tmp", path);
    FILE *file = fopen(beside.bytes, "wb");
    bool written = file && fwrite(bytes, 1, length, file) == length;
    int reason = errno;
    if (file && fclose(file) != 0 && written) {
        written = false;
        reason = errno;
    }
    if (written && !device && rename(beside.bytes, path) != 0) {
        written = false;
        reason = errno;
    }
    if (!written && file && !device) remove(beside.bytes);
    free(beside.bytes);
    errno = reason;
    return written;
}

char *grouped(int64_t n, char out[SHORT]) {
    char digits[SHORT];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)(n < 0 ? -n : n));
    char *to = out;
    if (n < 0) *to++ = '-';
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

char *duration(double seconds, char out[SHORT]) {
    if (!(seconds >= 0)) seconds = 0;
    long long whole = (long long)(seconds + 0.5);
    if (seconds < 0.9995)
        snprintf(out, SHORT, seconds < 0.00995 ? "%.1f ms" : "%.0f ms", 1e3 * seconds);
    else if (seconds < 9.95)
        snprintf(out, SHORT, "%.1f s", seconds);
    else if (whole < 60)
        snprintf(out, SHORT, "%lld s", whole);
    else if (whole < 3600)
        snprintf(out, SHORT, "%lld:%02lld", whole / 60, whole % 60);
    else
        snprintf(out, SHORT, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
    return out;
}

char *byte_size(size_t bytes, char out[SHORT]) {
    static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
    double value = (double)bytes;
    int unit = 0;
    for (; value >= 1024 && unit < 4; unit++) value /= 1024;
    snprintf(out, SHORT, unit && value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

char *loss_text(double loss, char out[SHORT]) {
    snprintf(out, SHORT, fabs(loss) < 1e5 ? "%.4f" : "%.3g", loss);
    return out;
}

char *shape_text(glia_shape shape, char out[SHORT]) {
    int length = snprintf(out, SHORT, "%s", shape.rank ? "" : "1");
    for (int i = 0; i < shape.rank && length < SHORT; i++)
        length += snprintf(out + length, (size_t)(SHORT - length), i ? "x%lld" : "%lld", (long long)shape.dim[i]);
    return out;
}

bool terminal_live(void) {
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

bool terminal_colours(void) {
    const char *no = getenv("NO_COLOR");
    return terminal_live() && !(no && *no);
}

bool terminal_utf8(void) { return strcmp(nl_langinfo(CODESET), "UTF-8") == 0; }

int terminal_columns(void) {
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

bool has_single_classes(const glia_dataset *data) {
    return glia_data_classes(data) > 0 && glia_data_y_dtype(data) == GLIA_I32 &&
           glia_shape_count(glia_data_y_shape(data)) == 1;
}

glia_status sample_class(const glia_dataset *data, int64_t index, float *x, int32_t *label, glia_error *error) {
    *label = -1;
    return glia_data_get(data, index, x, has_single_classes(data) ? label : NULL, error);
}

double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void softmax(float *x, int n) {
    float most = -INFINITY;
    double total = 0;
    for (int i = 0; i < n; i++) most = fmaxf(most, x[i]);
    for (int i = 0; i < n; i++) total += exp((double)(x[i] - most));
    for (int i = 0; i < n; i++) x[i] = (float)(exp((double)(x[i] - most)) / total);
}
