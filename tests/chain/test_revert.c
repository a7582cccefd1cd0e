/* What contracts say when they refuse, in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chain/abi.h"
#include "chain/revert.h"

static void expect(const cv_buf *data, const char *words)
{
    char text[300];
    cv_revert_words(text, sizeof text, data->data, data->len);
    assert_string_equal(text, words);
}

static void known_errors(void **state)
{
    (void)state;
    cv_abi_writer w;
    cv_buf b = {0};
    uint8_t head[32];
    memset(head, 0xab, 32);
    cv_abi_begin(&w, "StaleHead(bytes32,uint64)");
    cv_abi_put_bytes32(&w, head);
    cv_abi_put_u64(&w, 50);
    cv_abi_end(&w, &b);
    assert_string_equal(cv_revert_name(b.data, b.len), "StaleHead");
    expect(&b, "StaleHead (the run is at another head by now): head 0xabababab"
               "abababababababababababababababababababababababababababab, "
               "lastRound 50");
    b.len--; /* cut */
    char text[300];
    cv_revert_words(text, sizeof text, b.data, b.len);
    assert_non_null(strstr(text, "do not fit"));
    b.len = 0;
    cv_abi_begin(&w, "NoLeaves()");
    cv_abi_end(&w, &b);
    expect(&b, "NoLeaves (nobody is paid)");
    b.len = 0;
    cv_abi_begin(&w, "Error(string)");
    cv_abi_put_bytes(&w, "not\n\x1b[2J now", 11);
    cv_abi_end(&w, &b);
    assert_string_equal(cv_revert_name(b.data, b.len), "");
    expect(&b, "\"not??[2J no\"");
    cv_buf_free(&b);
}

static void unknown_errors(void **state)
{
    (void)state;
    cv_buf b = {0};
    expect(&b, "no reason given");
    cv_buf_add(&b, "\xde\xad\xbe\xef", 4);
    expect(&b, "an error that is not known here, 0xdeadbeef");
    b.len = 3;
    expect(&b, "an error that is not known here, 0xdeadbe");
    b.len = 4;
    for (int i = 0; i < 100; i++)
        cv_buf_add(&b, "\0", 1);
    char text[60];
    cv_revert_words(text, sizeof text, b.data, b.len);
    assert_int_equal(strlen(text), 59);
    cv_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_errors),
                                       cmocka_unit_test(unknown_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
