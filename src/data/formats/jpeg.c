/* jpeg.c - JPEG decoding with libjpeg-turbo, if the build has it.
 *
 * By default libjpeg exits the program on an error, and fills missing parts of a damaged file with grey and a warning.
 * Here an error is returned by longjmp(), and a warning about damage is an error, because a damaged picture would
 * corrupt the data.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"

#if GLIA_HAVE_JPEG

#include <jpeglib.h>

#include <jerror.h>

typedef struct job {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr manager;
    struct jpeg_progress_mgr progress;
    jmp_buf out;
    size_t length;
    uint8_t *row;
    glia_image *image;
    glia_error *error;
    glia_status status;
} job;

static void leave(j_common_ptr common) {
    job *j = common->client_data;
    char text[JMSG_LENGTH_MAX];
    common->err->format_message(common, text);
    size_t at = j->jpeg.src ? j->length - GLIA_MIN(j->jpeg.src->bytes_in_buffer, j->length) : 0;
    if (common->err->msg_code == JERR_OUT_OF_MEMORY) {
        j->status = glia_fail_nomem(j->error);
    } else {
        j->status = glia_fail(j->error, GLIA_E_FORMAT, "offset %zu: JPEG: %s", at, text);
    }
    longjmp(j->out, 1);
}

static void warn(j_common_ptr common, int level) {
    int code = common->err->msg_code;
    bool harmless = code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR;
    if (level < 0 && !harmless) leave(common);
}

static void silent(j_common_ptr common) { (void)common; }

/* Limits the work of progressive files: each scan visits all pixels, and a scan takes only a few bytes. */
static void watch_scans(j_common_ptr common) {
    enum { SCANS_MOST = 500 };
    if (((j_decompress_ptr)common)->input_scan_number > SCANS_MOST) ERREXIT(common, JERR_BAD_PROGRESSION);
}

static void read_image(job *j, const uint8_t *bytes) {
    if (setjmp(j->out)) return;
    jpeg_create_decompress(&j->jpeg);
    jpeg_mem_src(&j->jpeg, bytes, (unsigned long)j->length);
    jpeg_read_header(&j->jpeg, TRUE);
    j->jpeg.out_color_space = j->jpeg.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    j->jpeg.dct_method = JDCT_ISLOW;
    j->jpeg.mem->max_memory_to_use = 1L << 30;
    const uint64_t samples = (uint64_t)j->jpeg.image_width * j->jpeg.image_height * (uint64_t)j->jpeg.num_components;
    if (samples > glia_unpack_limit(j->length)) {
        j->status = glia_fail(j->error, GLIA_E_FORMAT, "offset 0: JPEG: too many pixels for a file of %zu bytes",
                              j->length);
        return;
    }
    j->progress.progress_monitor = watch_scans;
    j->jpeg.progress = &j->progress;
    jpeg_start_decompress(&j->jpeg);
    int channels = j->jpeg.output_components, width = (int)j->jpeg.output_width;
    j->status = glia_image_create(channels, (int)j->jpeg.output_height, width, j->image, j->error);
    if (j->status) return;
    j->row = malloc((size_t)width * (size_t)channels);
    if (!j->row) {
        j->status = glia_fail_nomem(j->error);
        return;
    }
    size_t plane = (size_t)j->image->height * (size_t)width;
    while (j->jpeg.output_scanline < j->jpeg.output_height) {
        uint8_t *to = j->image->pixels + (size_t)j->jpeg.output_scanline * (size_t)width;
        jpeg_read_scanlines(&j->jpeg, &j->row, 1);
        for (int c = 0; c < channels; c++, to += plane) {
            for (int x = 0; x < width; x++) to[x] = j->row[x * channels + c];
        }
    }
    jpeg_finish_decompress(&j->jpeg);
}

glia_status glia_jpeg_decode(const uint8_t *bytes, size_t length, glia_image *image, glia_error *error) {
    *image = (glia_image){ 0 };
    job j = { .length = length, .image = image, .error = error };
    j.jpeg.err = jpeg_std_error(&j.manager);
    j.manager.error_exit = leave;
    j.manager.emit_message = warn;
    j.manager.output_message = silent;
    j.jpeg.client_data = &j;
    read_image(&j, bytes);
    jpeg_destroy_decompress(&j.jpeg);
    free(j.row);
    if (j.status) glia_image_free(image);
    return j.status;
}

#else

glia_status glia_jpeg_decode(const uint8_t *bytes, size_t length, glia_image *image, glia_error *error) {
    (void)bytes, (void)length, (void)image;
    return glia_fail(error, GLIA_E_UNSUPPORTED, "JPEG: this build of Glia has no libjpeg; use PGM or PPM");
}

#endif
