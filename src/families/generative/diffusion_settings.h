/* diffusion_settings.h - settings that all methods of diffusion have: the schedule and the sampler. */
#ifndef GLIA_SRC_FAMILIES_GENERATIVE_DIFFUSION_SETTINGS_H
#define GLIA_SRC_FAMILIES_GENERATIVE_DIFFUSION_SETTINGS_H

#include "base/settings.h"
#include "glia/generative.h"

typedef struct glia_diffusion_settings {
    int64_t timesteps, sampling_steps;
    int schedule, prediction, sampler; /* of generative.h's enums */
    double eta;
} glia_diffusion_settings;

/* Rows of a table for the member `at` of `type`, with these defaults. */
/* clang-format off */
#define GLIA_DIFFUSION_SETTINGS(type, at, usual_schedule, usual_prediction, usual_sampler)                             \
    { "timesteps", GLIA_SETTING_INT, offsetof(type, at.timesteps), 1000, 2, 100000, NULL,                              \
      "steps in which noise is added" },                                                                               \
    { "schedule", GLIA_SETTING_CHOICE, offsetof(type, at.schedule), usual_schedule, 0, 0, "linear|cosine",             \
      "how much noise each step adds" },                                                                               \
    { "prediction", GLIA_SETTING_CHOICE, offsetof(type, at.prediction), usual_prediction, 0, 0,                        \
      "noise|sample|velocity", "what the net predicts" },                                                              \
    { "sampler", GLIA_SETTING_CHOICE, offsetof(type, at.sampler), usual_sampler, 0, 0, "ddpm|ddim|dpm-solver",         \
      "how samples are drawn" },                                                                                       \
    { "sampling_steps", GLIA_SETTING_INT, offsetof(type, at.sampling_steps), 0, 0, 100000, NULL,                       \
      "steps of the sampler; 0: all for ddpm, 50 for ddim, 20 for dpm-solver" },                                       \
    { "eta", GLIA_SETTING_REAL, offsetof(type, at.eta), 0, 0, 1, NULL, "noise of ddim: 0 none, 1 as ddpm" }
/* clang-format on */

/* The diffusion of these settings; the caller's. */
glia_status glia_diffusion_of_settings(const glia_diffusion_settings *settings, glia_diffusion **diffusion,
                                       glia_error *error);

#endif
