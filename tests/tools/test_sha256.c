/* The command's SHA-256: NIST's examples and test vectors (FIPS 180-4; CAVP short messages). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "glia/glia.h"
#include "commands/sha256.c"

static void expect(const void *bytes, size_t length, const char *wanted) {
    char hex[65];
    sha256_state s;
    for (size_t piece = 1; piece < 200; piece += 21) { /* in pieces of various sizes */
        sha256_begin(&s);
        for (size_t at = 0; at < length; at += piece) {
            sha256_add(&s, (const char *)bytes + at, length - at < piece ? length - at : piece);
        }
        sha256_end(&s, hex);
        assert_string_equal(hex, wanted);
    }
}

static void test_vectors(void **state) {
    (void)state;
    static const char *const two =
        "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
        "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
    expect("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect(two, 112, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
    expect("\xD3", 1, "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1");
    expect("\x11\xAF", 2, "5ca7133fa735326081558ac312c620eeca9970d1e70a4b95533d956f072d1f98");
    expect("\x74\xBA\x25\x21", 4, "b16aa56be3880d18cd41e68384cf1ec8c17680c45a02b1575dc1518923ae8b0e");
    char *many = malloc(1000000);
    assert_non_null(many);
    memset(many, 'a', 1000000);
    sha256_state s;
    char hex[65];
    sha256_begin(&s);
    sha256_add(&s, many, 1000000);
    sha256_end(&s, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(many);
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
