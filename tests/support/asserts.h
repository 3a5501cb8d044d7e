/* asserts.h - assertions missing from cmocka. */
#ifndef GLIA_TESTS_ASSERTS_H
#define GLIA_TESTS_ASSERTS_H

#include <math.h>
#include <string.h>

/* Asserts that the message of the file's `static glia_error error` contains `part`. */
#define ASSERT_SAYS(part)                                                                                              \
    do {                                                                                                               \
        if (!strstr(error.message, part)) fail_msg("\"%s\" does not say \"%s\"", error.message, part);                 \
    } while (0)

/* Asserts |a - b| <= most; fails for NaN. */
#define ASSERT_NEAR(a, b, most)                                                                                        \
    do {                                                                                                               \
        double near_a = (double)(a), near_b = (double)(b);                                                             \
        if (!(fabs(near_a - near_b) <= (most))) fail_msg("%s is %.17g, not %.17g", #a, near_a, near_b);                \
    } while (0)

#endif
