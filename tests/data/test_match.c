/* Matches a data set's columns and classes by name with those of a model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "glia/glia.h"

static glia_error error;
static const char *const columns[] = { "a", "b" }, *const classes[] = { "x", "y", "z" };

static glia_dataset *table(const char *rows) {
    FILE *file = fopen("match.csv", "w");
    assert_non_null(file);
    fputs(rows, file);
    fclose(file);
    glia_dataset *data = glia_data_open("csv:match.csv?label=k", NULL, NULL, &error);
    if (!data) fail_msg("%s", error.message);
    return data;
}

static glia_dataset *match(const char *rows) {
    const glia_data_names names = { .columns = columns, .n_columns = 2, .classes = classes, .n_classes = 3 };
    return glia_data_match(table(rows), &names, &error);
}

static void test_by_name(void **state) {
    (void)state;
    glia_dataset *data = match("k,b,a\nz,1,2\ny,3,4\n");
    assert_non_null(data);
    assert_int_equal(glia_data_classes(data), 3);
    assert_string_equal(glia_data_class_name(data, 2), "z");
    assert_string_equal(glia_data_column_name(data, 0), "a");
    assert_null(glia_data_column_name(data, 2));
    float x[2];
    int32_t label;
    assert_int_equal(glia_data_get(data, 0, x, &label, &error), GLIA_OK);
    assert_true(x[0] == 2 && x[1] == 1 && label == 2);
    assert_int_equal(glia_data_normalize(data, (double[]){ 2, 1 }, (double[]){ 1, 1 }, 2, &error), GLIA_OK);
    assert_int_equal(glia_data_get(data, 1, x, &label, &error), GLIA_OK);
    assert_true(x[0] == 2 && x[1] == 2 && label == 1);
    glia_data_free(data);
}

static void test_refused(void **state) {
    (void)state;
    assert_null(match("k,b,c\nz,1,2\n"));
    assert_non_null(strstr(error.message, "the column \"a\" is missing"));
    assert_null(match("k,b,a,c\nz,1,2,3\n"));
    assert_non_null(strstr(error.message, "the column \"c\" is unknown"));
    assert_null(match("k,b,a\nw,1,2\n"));
    assert_non_null(strstr(error.message, "the class \"w\" is unknown"));
    assert_null(glia_data_match(NULL, &(glia_data_names){ 0 }, &error));
    assert_null(glia_data_match(table("k,a\nz,1\n"), &(glia_data_names){ .tokenizer = "{}" }, &error));
    assert_int_equal(error.status, GLIA_E_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_by_name), cmocka_unit_test(test_refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
