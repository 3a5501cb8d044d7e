/* wav.c - sound from WAV files, and its energy by mel bands over time (Davis and Mermelstein 1980). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "data/sources/audio.h"

enum { FFT_MOST = 1 << 14, BANDS_MOST = 512, PCM = 1, EXTENSIBLE = 0xFFFE };

/* The first chunk of this name; its size is cut to the file. NULL: none. */
static const uint8_t *find_chunk(const uint8_t *bytes, size_t length, const char *name, size_t *size) {
    for (size_t at = 12; at + 8 <= length;) {
        const size_t stated = glia_little32(bytes + at + 4);
        *size = GLIA_MIN(stated, length - at - 8);
        if (!memcmp(bytes + at, name, 4)) return bytes + at + 8;
        at += 8 + *size + (*size & 1);
    }
    return NULL;
}

glia_status glia_wav_parse(const uint8_t *bytes, size_t length, glia_wav *wav, glia_error *error) {
    size_t format_size = 0, size = 0;
    if (length < 12 || memcmp(bytes, "RIFF", 4) != 0 || memcmp(bytes + 8, "WAVE", 4) != 0)
        return glia_fail(error, GLIA_E_FORMAT, "offset 0: this is no WAV file");
    const uint8_t *format = find_chunk(bytes, length, "fmt ", &format_size);
    const uint8_t *data = find_chunk(bytes, length, "data", &size);
    if (!format || format_size < 16) return glia_fail(error, GLIA_E_FORMAT, "offset 12: there is no format");
    if (!data) return glia_fail(error, GLIA_E_FORMAT, "offset 12: there are no samples");
    const uint32_t kind = glia_little16(format), channels = glia_little16(format + 2), rate = glia_little32(format + 4),
                   bits = glia_little16(format + 14);
    if ((kind != PCM && kind != EXTENSIBLE) || (bits != 8 && bits != 16))
        return glia_fail(error, GLIA_E_UNSUPPORTED, "offset %zu: format %u with %u bits; PCM of 8 or 16 is read",
                         (size_t)(format - bytes), kind, bits);
    if (channels < 1 || rate < 100 || rate > 1000000)
        return glia_fail(error, GLIA_E_FORMAT, "offset %zu: %u channels at %u Hz", (size_t)(format - bytes), channels,
                         rate);
    const size_t one = channels * bits / 8;
    *wav = (glia_wav){ .rate = (int)rate, .n = (int64_t)(size / one) };
    wav->samples = malloc((size_t)GLIA_MAX(wav->n, 1) * sizeof *wav->samples);
    if (!wav->samples) return glia_fail_nomem(error);
    for (int64_t i = 0; i < wav->n; i++) {
        float sum = 0;
        for (uint32_t c = 0; c < channels; c++) {
            const uint8_t *p = data + (size_t)i * one + c * bits / 8;
            sum += bits == 8 ? ((float)p[0] - 128) / 128 : (float)(int16_t)glia_little16(p) / 32768;
        }
        wav->samples[i] = sum / (float)channels;
    }
    return GLIA_OK;
}

/* ---- features -------------------------------------------------------------------------------------- */

/* In place, n a power of two (Cooley and Tukey 1965). */
static void transform(double *re, double *im, int64_t n) {
    for (int64_t i = 1, j = 0; i < n; i++) {
        int64_t bit = n >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
        if (i >= j) continue;
        const double r = re[i], m = im[i];
        re[i] = re[j], im[i] = im[j];
        re[j] = r, im[j] = m;
    }
    for (int64_t half = 1; half < n; half *= 2) {
        for (int64_t k = 0; k < half; k++) {
            const double angle = -3.141592653589793 * (double)k / (double)half, c = cos(angle), s = sin(angle);
            for (int64_t a = k; a < n; a += 2 * half) {
                const int64_t b = a + half;
                const double r = c * re[b] - s * im[b], m = c * im[b] + s * re[b];
                re[b] = re[a] - r, im[b] = im[a] - m;
                re[a] += r, im[a] += m;
            }
        }
    }
}

static double mel(double hertz) { return 2595 * log10(1 + hertz / 700); }

/* How much of the frequency a band takes: a triangle between its neighbours' centres. */
static double share(double hertz, int64_t band, int64_t bands, int rate) {
    const double each = mel(rate / 2.0) / (double)(bands + 1), at = mel(hertz) / each - (double)(band + 1);
    return fmax(1 - fabs(at), 0);
}

typedef struct analysis {
    const glia_wav *wav;
    int64_t length, hop, n, frames, bands; /* n: of the transform */
    double *re, *im, *share, *energy;      /* share (bands, n / 2 + 1), energy (frames, bands) */
} analysis;

static void fill_shares(const analysis *a) {
    const int64_t all = a->n / 2 + 1;
    for (int64_t i = 0; i < a->bands * all; i++)
        a->share[i] = share((double)(i % all) * a->wav->rate / (double)a->n, i / all, a->bands, a->wav->rate);
}

static void analyse(const analysis *a, int64_t frame) {
    for (int64_t i = 0; i < a->n; i++) {
        const int64_t at = frame * a->hop + i;
        const double window = 0.5 - 0.5 * cos(6.283185307179586 * (double)i / (double)a->length);
        a->re[i] = i < a->length && at < a->wav->n ? window * (double)a->wav->samples[at] : 0;
        a->im[i] = 0;
    }
    transform(a->re, a->im, a->n);
    for (int64_t b = 0; b < a->bands; b++) {
        double sum = 0;
        const double *part = a->share + b * (a->n / 2 + 1);
        for (int64_t k = 0; k <= a->n / 2; k++) sum += part[k] * (a->re[k] * a->re[k] + a->im[k] * a->im[k]);
        a->energy[frame * a->bands + b] = sum;
    }
}

/* Step t of `steps` lies between two frames. */
static void stretch(const analysis *a, int64_t steps, float *y) {
    enum { DECIBELS = 60 };
    double most = 1e-12;
    for (int64_t i = 0; i < a->frames * a->bands; i++) most = fmax(most, a->energy[i]);
    for (int64_t i = 0; i < a->frames * a->bands; i++)
        a->energy[i] = fmax(0, 1 + 10 * log10(fmax(a->energy[i], 1e-300) / most) / DECIBELS);
    for (int64_t t = 0; t < steps; t++) {
        const double at = steps > 1 ? (double)t * (double)(a->frames - 1) / (double)(steps - 1) : 0;
        const int64_t from = (int64_t)at, to = GLIA_MIN(from + 1, a->frames - 1);
        for (int64_t b = 0; b < a->bands; b++) {
            const double x = a->energy[from * a->bands + b], z = a->energy[to * a->bands + b];
            y[t * a->bands + b] = (float)(x + (at - (double)from) * (z - x));
        }
    }
}

glia_status glia_wav_features(const glia_wav *wav, int64_t steps, int64_t bands, float *y, glia_error *error) {
    analysis a = { .wav = wav, .length = wav->rate / 40, .hop = wav->rate / 100, .n = 64, .bands = bands };
    while (a.n < a.length && a.n < FFT_MOST) a.n *= 2;
    a.length = GLIA_MIN(a.length, a.n);
    a.frames = GLIA_MAX((wav->n - a.length) / GLIA_MAX(a.hop, 1) + 1, 1);
    if (wav->n < 1 || steps < 1 || bands < 1 || bands > BANDS_MOST)
        return glia_fail(error, GLIA_E_ARGUMENT, "%lld samples of sound for %lld steps of %lld bands",
                         (long long)wav->n, (long long)steps, (long long)bands);
    double *memory = malloc((size_t)(2 * a.n + (a.n / 2 + 1 + a.frames) * bands) * sizeof *memory);
    if (!memory) return glia_fail_nomem(error);
    a.re = memory, a.im = memory + a.n, a.share = memory + 2 * a.n, a.energy = a.share + (a.n / 2 + 1) * bands;
    fill_shares(&a);
    for (int64_t f = 0; f < a.frames; f++) analyse(&a, f);
    stretch(&a, steps, y);
    free(memory);
    return GLIA_OK;
}
