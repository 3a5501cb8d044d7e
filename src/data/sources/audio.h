/* audio.h - internal: recordings of classes. */
#ifndef GLIA_SRC_DATA_SOURCES_AUDIO_H
#define GLIA_SRC_DATA_SOURCES_AUDIO_H

#include "data/sources/sources.h"

/* A WAV file's sound as one channel in [-1, 1]. */
typedef struct glia_wav {
    int rate; /* Hz */
    int64_t n;
    float *samples; /* free() it */
} glia_wav;

/* PCM of 8 or 16 bits; several channels are averaged. Errors name the offset. */
glia_status glia_wav_parse(const uint8_t *bytes, size_t length, glia_wav *wav, glia_error *error);

/* y (steps, bands): energies of mel bands on a scale of 60 dB below the loudest one, 0 to 1, in frames of 25 ms every
 * 10 ms, stretched to the number of steps. */
glia_status glia_wav_features(const glia_wav *wav, int64_t steps, int64_t bands, float *y, glia_error *error);

typedef struct glia_audio_opts {
    int64_t steps, bands;
    const char *speaker; /* whose recordings are the test split; NULL: those with an index below `first` */
    int64_t first;
    bool test;
} glia_audio_opts;

/* Recordings CLASS_SPEAKER_INDEX.wav in a folder or an archive. */
glia_dataset *glia_data_open_audio(const char *path, glia_audio_opts opts, const char *name, glia_error *error);

#endif
