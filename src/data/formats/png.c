/* png.c - PNG with libpng, if the build has it.
 *
 * libpng reports errors by longjmp(). All state that must survive the jump is in a struct that the caller owns, so the
 * function that calls setjmp() has no locals with lost values.
 */
#include <stdlib.h>
#include <string.h>

#include "data/formats/formats.h"

#if GLIA_HAVE_PNG

#include <png.h>

typedef struct job {
    png_structp png;
    png_infop info;
    const uint8_t *bytes; /* reading */
    size_t length, at;
    glia_text out; /* writing */
    uint8_t *row;
    glia_image *image;
    glia_error *error;
    glia_status status; /* set before a jump */
} job;

static void fail(png_structp png, png_const_charp message) {
    job *j = png_get_error_ptr(png);
    if (!j->status) j->status = glia_fail(j->error, GLIA_E_FORMAT, "offset %zu: PNG: %s", j->at, message);
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message) { (void)png, (void)message; }

/* ---- reading ------------------------------------------------------------------------------ */

static void read_bytes(png_structp png, png_bytep to, size_t n) {
    job *j = png_get_io_ptr(png);
    if (n > j->length - j->at) {
        j->at = j->length;
        png_error(png, "the file is truncated");
    }
    memcpy(to, j->bytes + j->at, n);
    j->at += n;
}

/* Expands palettes and small bit depths; the result is 8-bit grey or colour, with or without alpha. */
static void set_transforms(job *j) {
    png_set_expand(j->png);
    png_set_strip_16(j->png);
    png_set_packing(j->png);
    png_set_interlace_handling(j->png);
    png_read_update_info(j->png, j->info);
}

/* Splits a decoded row (interleaved, `parts` bytes per pixel) into planes, blending transparent pixels with white. */
static void store_row(job *j, const uint8_t *row, int y, int parts) {
    glia_image *im = j->image;
    size_t plane = (size_t)im->height * (size_t)im->width;
    uint8_t *to = im->pixels + (size_t)y * (size_t)im->width;
    bool alpha = parts == 2 || parts == 4;
    for (int x = 0; x < im->width; x++, row += parts) {
        unsigned a = alpha ? row[parts - 1] : 255;
        for (int c = 0; c < im->channels; c++) {
            to[(size_t)c * plane + (size_t)x] = (uint8_t)((row[c] * a + 255 * (255 - a) + 127) / 255);
        }
    }
}

/* Skips texts and colour profiles: they are compressed, libpng would decompress them all, and none is used. */
static void skip_texts(png_structp png) {
    static const png_byte chunks[] = "iCCP\0iTXt\0sPLT\0tEXt\0zTXt\0eXIf";
    png_set_chunk_malloc_max(png, 1 << 20);
    png_set_chunk_cache_max(png, 8);
#ifdef PNG_HANDLE_AS_UNKNOWN_SUPPORTED
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, chunks, (int)(sizeof chunks / 5));
#else
    (void)chunks;
#endif
}

static void read_image(job *j) {
    if (setjmp(png_jmpbuf(j->png))) return;
    png_set_read_fn(j->png, j, read_bytes);
    png_set_crc_action(j->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_user_limits(j->png, 1 << 20, 1 << 20);
    skip_texts(j->png);
    png_read_info(j->png, j->info);
    png_uint_32 width = png_get_image_width(j->png, j->info), height = png_get_image_height(j->png, j->info);
    set_transforms(j);
    int parts = png_get_channels(j->png, j->info);
    size_t stride = png_get_rowbytes(j->png, j->info);
    if (stride != (size_t)width * (size_t)parts) png_error(j->png, "the pixel format is not supported");
    if ((uint64_t)stride * height > glia_unpack_limit(j->length))
        png_error(j->png, "too many pixels for the size of the file");
    j->status = glia_image_create(parts < 3 ? 1 : 3, (int)height, (int)width, j->image, j->error);
    if (j->status) return;
    j->row = calloc(height, stride); /* interlaced passes revisit every row */
    if (!j->row) {
        j->status = glia_fail_nomem(j->error);
        return;
    }
    int passes = png_get_interlace_type(j->png, j->info) == PNG_INTERLACE_ADAM7 ? 7 : 1;
    for (int pass = 0; pass < passes; pass++) {
        for (png_uint_32 y = 0; y < height; y++) png_read_row(j->png, j->row + (size_t)y * stride, NULL);
    }
    png_read_end(j->png, NULL);
    if (j->at != j->length) png_error(j->png, "there are bytes after the image");
    for (png_uint_32 y = 0; y < height; y++) store_row(j, j->row + (size_t)y * stride, (int)y, parts);
}

glia_status glia_png_decode(const uint8_t *bytes, size_t length, glia_image *image, glia_error *error) {
    *image = (glia_image){ 0 };
    job j = { .bytes = bytes, .length = length, .image = image, .error = error };
    j.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &j, fail, ignore);
    j.info = j.png ? png_create_info_struct(j.png) : NULL;
    if (j.info) {
        read_image(&j);
    } else {
        j.status = glia_fail_nomem(error);
    }
    png_destroy_read_struct(&j.png, &j.info, NULL);
    free(j.row);
    if (j.status) glia_image_free(image);
    return j.status;
}

/* ---- writing ------------------------------------------------------------------------------ */

static void write_bytes(png_structp png, png_bytep from, size_t n) {
    job *j = png_get_io_ptr(png);
    glia_text_append(&j->out, (const char *)from, n);
    if (!j->out.failed) return;
    j->status = glia_fail_nomem(j->error);
    png_error(png, "out of memory");
}

static void flush(png_structp png) { (void)png; }

static void write_image(job *j) {
    if (setjmp(png_jmpbuf(j->png))) return;
    const glia_image *im = j->image;
    size_t plane = (size_t)im->height * (size_t)im->width, channels = (size_t)im->channels;
    png_set_write_fn(j->png, j, write_bytes, flush);
    png_set_user_limits(j->png, 0x7FFFFFFF, 0x7FFFFFFF);
    png_set_IHDR(j->png, j->info, (png_uint_32)im->width, (png_uint_32)im->height, 8,
                 channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(j->png, j->info);
    for (int y = 0; y < im->height; y++) {
        const uint8_t *from = im->pixels + (size_t)y * (size_t)im->width;
        for (size_t i = 0; i < (size_t)im->width * channels; i++) j->row[i] = from[i % channels * plane + i / channels];
        png_write_row(j->png, j->row);
    }
    png_write_end(j->png, j->info);
}

glia_status glia_png_encode(const glia_image *image, uint8_t **bytes, size_t *length, glia_error *error) {
    glia_image copy = *image;
    job j = { .image = &copy, .error = error };
    j.row = malloc((size_t)image->width * (size_t)image->channels);
    j.png = j.row ? png_create_write_struct(PNG_LIBPNG_VER_STRING, &j, fail, ignore) : NULL;
    j.info = j.png ? png_create_info_struct(j.png) : NULL;
    if (j.info) {
        write_image(&j);
    } else {
        j.status = glia_fail_nomem(error);
    }
    png_destroy_write_struct(&j.png, &j.info);
    free(j.row);
    if (j.status) {
        free(j.out.bytes);
        return j.status;
    }
    *bytes = (uint8_t *)j.out.bytes;
    *length = j.out.length;
    return GLIA_OK;
}

#else

static glia_status missing(glia_error *error) {
    return glia_fail(error, GLIA_E_UNSUPPORTED, "PNG: this build of Glia has no libpng; use PGM or PPM");
}

glia_status glia_png_decode(const uint8_t *bytes, size_t length, glia_image *image, glia_error *error) {
    (void)bytes, (void)length, (void)image;
    return missing(error);
}

glia_status glia_png_encode(const glia_image *image, uint8_t **bytes, size_t *length, glia_error *error) {
    (void)image, (void)bytes, (void)length;
    return missing(error);
}

#endif
