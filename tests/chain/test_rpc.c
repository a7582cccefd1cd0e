/* Replies of nodes that mean no good, and addresses that must not be shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "chain/rpc.h"
#include "core/mem.h"

typedef struct {
    int rc;
    json_t *result;
    cv_fault fault;
    cv_buf data;
    char message[480];
} parsed;

/* From memory of exactly n bytes, so that sanitizers see a read too far. */
static parsed parse_n(const char *text, size_t n)
{
    parsed p = {.fault = CV_FAULT_OTHER};
    char *copy = malloc(n ? n : 1);
    memcpy(copy, text, n);
    p.rc = cv_rpc_parse(copy, n, 7, &p.result, &p.fault, &p.data, p.message,
                        sizeof p.message);
    free(copy);
    for (const char *s = p.message; *s; s++)
        assert_in_range(*s, ' ', '~');
    assert_int_equal(p.rc == 0, p.fault == CV_FAULT_NONE);
    assert_int_equal(p.rc == 0, p.result != NULL);
    assert_int_equal(p.rc == 0, p.message[0] == '\0');
    return p;
}

static parsed parse(const char *text)
{
    return parse_n(text, strlen(text));
}

static void done(parsed *p)
{
    json_decref(p->result);
    cv_buf_free(&p->data);
}

static void good_replies(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"0x1\"}",
        " {\"result\":null,\"id\":7,\"jsonrpc\":\"2.0\"}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":[{}]},\"more\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"[[[{{{\\\"\\\\\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"a\\u0000b\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":9223372036854775807}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        parsed p = parse(texts[i]);
        if (p.rc)
            fail_msg("%s: %s", texts[i], p.message);
        done(&p);
    }
}

static void hostile_replies(void **state)
{
    (void)state;
#define HEAD "{\"jsonrpc\":\"2.0\",\"id\":7,"
#define NO   "\"error\":{\"code\":-32000,\"message\":\"m\"}"
    static const char *const texts[] = {
        "",
        " ",
        "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
        "too many requests",
        "null",
        "\"0x1\"",
        "7",
        "[]",
        "[" HEAD "\"result\":1}]",
        "{}",
        HEAD "\"result\":1",
        HEAD "\"result\":1}}",
        HEAD "\"result\":1}" HEAD "\"result\":1}",
        HEAD "\"result\":1,}",
        HEAD "\"result\":'1'}",
        HEAD "\"result\":01}",
        HEAD "\"result\":NaN}",
        HEAD "\"result\":1,\"result\":1}", /* a key twice */
        HEAD "\"id\":7,\"result\":1}",
        HEAD "\"result\":{\"a\":1,\"a\":2}}",
        HEAD "\"result\":{\"a\\u0000\":1}}", /* a NUL in a key */
        HEAD "\"result\":1," NO "}",         /* both */
        HEAD "\"result\":1,\"error\":null}",
        HEAD "\"result\":null," NO "}",
        "{\"jsonrpc\":\"2.0\",\"id\":7}", /* neither */
        "{\"jsonrpc\":\"1.0\",\"id\":7,\"result\":1}",
        "{\"jsonrpc\":2.0,\"id\":7,\"result\":1}",
        "{\"jsonrpc\":\"2.0\\u0000\",\"id\":7,\"result\":1}",
        "{\"id\":7,\"result\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":8,\"result\":1}", /* other ids */
        "{\"jsonrpc\":\"2.0\",\"id\":\"7\",\"result\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":7.0,\"result\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":1}",
        "{\"jsonrpc\":\"2.0\",\"result\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":8," NO "}",
        "{\"jsonrpc\":\"2.0\",\"id\":null," NO "}",
        "{\"jsonrpc\":\"2.0\"," NO "}",
        "{\"jsonrpc\":\"2.0\",\"id\":18446744073709551623,\"result\":1}",
        HEAD "\"result\":123456789012345678901234567890}",
        HEAD "\"result\":1e999}",
        HEAD "\"result\":\"\xff\xfe\"}", /* no UTF-8 */
        HEAD "\"result\":\"\\ud800\"}",  /* half a character */
        HEAD "\"error\":null}",
        HEAD "\"error\":\"no\"}",
        HEAD "\"error\":[]}",
        HEAD "\"error\":{}}",
        HEAD "\"error\":{\"code\":-32000}}",
        HEAD "\"error\":{\"message\":\"m\"}}",
        HEAD "\"error\":{\"code\":\"-32000\",\"message\":\"m\"}}",
        HEAD "\"error\":{\"code\":-3.2,\"message\":\"m\"}}",
        HEAD "\"error\":{\"code\":-32000,\"message\":null}}",
        "\x1b[31m\x07\x1b]0;title\x07 red",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        parsed p = parse(texts[i]);
        if (p.fault != CV_FAULT_MALFORMED)
            fail_msg("%s: expected malformed, found %s %s", texts[i],
                     cv_fault_name(p.fault), p.message);
        assert_null(p.data.data);
        done(&p);
    }
    parsed p = parse_n("\0\0\0", 3);
    assert_int_equal(p.fault, CV_FAULT_MALFORMED);
    done(&p);
    p = parse_n(HEAD "\"result\":1}\0", sizeof HEAD + 11);
    assert_int_equal(p.fault, CV_FAULT_MALFORMED);
    done(&p);
}

static void every_cut_of_a_reply_is_malformed(void **state)
{
    (void)state;
    static const char whole[] = HEAD "\"result\":{\"a\":[1,\"x\\n\"]}}";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        parsed p = parse_n(whole, n);
        assert_int_equal(p.fault, CV_FAULT_MALFORMED);
        done(&p);
    }
}

/* text times n between before and after. */
static parsed parse_many(const char *before, const char *text, size_t n,
                         const char *after)
{
    cv_buf b = {0};
    cv_buf_printf(&b, "%s", before);
    for (size_t i = 0; i < n; i++)
        cv_buf_add(&b, text, strlen(text));
    cv_buf_printf(&b, "%s", after);
    parsed p = parse_n(b.data, b.len);
    cv_buf_free(&b);
    return p;
}

static void memory_is_bounded_before_it_is_used(void **state)
{
    (void)state;
    parsed p = parse_many(HEAD "\"result\":", "[", 1000000, "");
    assert_int_equal(p.fault, CV_FAULT_MALFORMED);
    assert_non_null(strstr(p.message, "too many parts"));
    done(&p);
    p = parse_many(HEAD "\"result\":[", "{},", 200000, "{}]}");
    assert_int_equal(p.fault, CV_FAULT_MALFORMED);
    assert_non_null(strstr(p.message, "too many parts"));
    done(&p);
    /* What brackets in a text, and escaped quotes before them, do not do. */
    p = parse_many(HEAD "\"result\":\"\\\"", "[{", 200000, "\"}");
    assert_int_equal(p.rc, 0);
    done(&p);
    p = parse_many(HEAD "\"result\":[", "[],", 50000, "[]]}");
    assert_int_equal(p.rc, 0);
    done(&p);
}

static void errors_are_classified_and_made_printable(void **state)
{
    (void)state;
    parsed p = parse(HEAD "\"error\":{\"code\":-32000,\"message\":"
                          "\"nonce too\\u0020low:\\n\\u001b[31m\\u0000"
                          "\\u009b\\u202e next nonce 8\"}}");
    assert_int_equal(p.fault, CV_FAULT_NONCE_LOW);
    assert_string_equal(p.message,
                        "nonce too low: [31m next nonce 8 (code -32000)");
    done(&p);
    p = parse_many(HEAD "\"error\":{\"code\":-32000,\"message\":\"", "x",
                   100000, "\"}}");
    assert_int_equal(p.fault, CV_FAULT_OTHER);
    assert_true(strlen(p.message) < 450);
    assert_non_null(strstr(p.message, "(code -32000)"));
    done(&p);
    p = parse(HEAD "\"error\":{\"code\":-32000,\"message\":\"\"}}");
    assert_string_equal(p.message, "no message (code -32000)");
    done(&p);
}

static void a_rate_limit_needs_no_id(void **state)
{
    (void)state;
    parsed p = parse("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":"
                     "-32016,\"message\":\"over rate limit\"}}");
    assert_int_equal(p.fault, CV_FAULT_BUSY);
    done(&p);
    /* Nothing that would end a call is believed of it. */
    p = parse("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":"
              "-32000,\"message\":\"already known\"}}");
    assert_int_equal(p.fault, CV_FAULT_MALFORMED);
    done(&p);
}

static void reverts_carry_their_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        int n; /* bytes */
    } table[] = {
        {"\"0xdeadbeef\"", 4},
        {"\"0x\"", 0},
        {"\"Reverted 0xdeadbeef\"", 4},
        {"{\"message\":\"m\",\"data\":\"0xdeadbeef\"}", 4},
        {"\"deadbeef\"", 0},
        {"\"0xdeadbee\"", 0},
        {"\"0xdeadbeeg\"", 0},
        {"\"0x0xdead\"", 0},
        {"\"0xdeadbeef\\u0000ab\"", 0},
        {"\"\"", 0},
        {"12", 0},
        {"[\"0xdeadbeef\"]", 0},
        {"{\"data\":{\"data\":\"0xdeadbeef\"}}", 0},
        {"null", 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 HEAD "\"error\":{\"code\":3,\"message\":\"execution reverted: "
                      "\\u0000\\u00de\",\"data\":%s}}",
                 table[i].data);
        parsed p = parse(text);
        assert_int_equal(p.fault, CV_FAULT_REVERT);
        if (p.data.len != (size_t)table[i].n)
            fail_msg("%s: found %zu bytes", table[i].data, p.data.len);
        if (table[i].n)
            assert_memory_equal(p.data.data, "\xde\xad\xbe\xef", 4);
        done(&p);
    }
    /* Other errors have none. */
    parsed p = parse(HEAD "\"error\":{\"code\":-32000,\"message\":\"nonce too "
                          "low\",\"data\":\"0xdeadbeef\"}}");
    assert_int_equal(p.data.len, 0);
    done(&p);
}

/* ---- addresses --------------------------------------------------------------
 */

static int create(const char *a, const char *b, cv_rpc **out, cv_err *err)
{
    const char *urls[] = {a, b};
    cv_rpc_config c = {.urls = urls, .n_urls = b ? 2 : 1};
    return cv_rpc_create(&c, out, err);
}

static void addresses_must_be_http(void **state)
{
    (void)state;
    static const char *const good[] = {
        "http://127.0.0.1:8545", "https://host.example/v2/SECRET",
        "HTTPS://host.example?key=SECRET", "http://[::1]:8545",
        "https://user:SECRET@host.example"};
    static const char *const bad[] = {"",
                                      "SECRET",
                                      "host.example:8545/SECRET",
                                      "ws://host.example/SECRET",
                                      "file:///etc/SECRET",
                                      "ftp://host.example/SECRET",
                                      "http://",
                                      "http:///SECRET",
                                      "http://host.example:99999/SECRET",
                                      "http://host.example/SEC RET",
                                      "http://host.example/\nSECRET",
                                      "--url=http://SECRET"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cv_rpc *rpc = NULL;
        cv_err err = {0};
        if (create(good[i], NULL, &rpc, &err))
            fail_msg("%s: %s", good[i], err.text);
        cv_rpc_destroy(&rpc);
        assert_null(rpc);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cv_rpc *rpc = NULL;
        cv_err err = {0};
        if (create("http://127.0.0.1:1", bad[i], &rpc, &err) != CV_ERR_INPUT)
            fail_msg("%s: taken", bad[i]);
        assert_null(rpc);
        assert_null(strstr(err.text, "SECRET"));
        assert_non_null(strstr(err.text, "address 2 of 2"));
    }
}

/* Nobody listens on port 1; nothing is resolved. */
static void messages_show_scheme_and_host_alone(void **state)
{
    (void)state;
    const char *urls[] = {"http://user:SECRET@127.0.0.1:1/SECRET?key=SECRET"};
    cv_rpc_config c = {
        .urls = urls, .n_urls = 1, .tries = 2, .pause_seconds = 0.001};
    cv_rpc *rpc = NULL;
    cv_err err = {0};
    json_t *result = NULL;
    cv_fault fault = CV_FAULT_NONE;
    assert_int_equal(cv_rpc_create(&c, &rpc, &err), 0);
    assert_int_equal(cv_rpc_call(rpc, "eth_chainId", json_array(), &result,
                                 &fault, NULL, &err),
                     CV_ERR_ENV);
    assert_int_equal(fault, CV_FAULT_UNREACHABLE);
    assert_null(result);
    assert_null(strstr(err.text, "SECRET"));
    assert_null(strstr(err.text, "user"));
    assert_non_null(strstr(err.text, "http://127.0.0.1:1, eth_chainId"));
    assert_non_null(strstr(err.text, "in 2 tries"));
    assert_non_null(strstr(err.text, "Connection refused"));
    cv_rpc_destroy(&rpc);
}

static void a_request_to_stop_is_heard(void **state)
{
    (void)state;
    const char *urls[] = {"http://127.0.0.1:1"};
    int stop = 1;
    /* Without the flag this would take a day. */
    cv_rpc_config c = {.urls = urls,
                       .n_urls = 1,
                       .tries = 1000,
                       .pause_seconds = 100,
                       .longest_pause = 100,
                       .stop = &stop};
    cv_rpc *rpc = NULL;
    cv_err err = {0};
    json_t *result = NULL;
    assert_int_equal(cv_rpc_create(&c, &rpc, &err), 0);
    assert_int_equal(cv_rpc_call(rpc, "eth_chainId", json_array(), &result,
                                 NULL, NULL, &err),
                     CV_ERR_ENV);
    assert_non_null(strstr(err.text, "stopped on request"));
    cv_rpc_destroy(&rpc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_replies),
        cmocka_unit_test(hostile_replies),
        cmocka_unit_test(every_cut_of_a_reply_is_malformed),
        cmocka_unit_test(memory_is_bounded_before_it_is_used),
        cmocka_unit_test(errors_are_classified_and_made_printable),
        cmocka_unit_test(a_rate_limit_needs_no_id),
        cmocka_unit_test(reverts_carry_their_bytes),
        cmocka_unit_test(addresses_must_be_http),
        cmocka_unit_test(messages_show_scheme_and_host_alone),
        cmocka_unit_test(a_request_to_stop_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
