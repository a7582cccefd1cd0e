/* The contract ABI: the examples of its specification, and answers that no honest
 * contract gives. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "chain/abi.h"
#include "tests/chain/hex_fixture.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* Bytes from words with blanks between them: "45" is 45 with zeros before it,
 * "45-" has them behind it, "*" is all ones, "+45" is one byte. */
static void expand(cv_buf *out, const char *words)
{
    while (*words) {
        size_t n = strcspn(words, " "), digits = n;
        char hex[65];
        memset(hex, *words == '*' ? 'f' : '0', 64);
        hex[64] = '\0';
        if (*words == '+') {
            cv_buf_add(out, words + 1, n - 1);
        } else {
            int left = words[n - 1] == '-';
            digits -= (size_t)left;
            assert_in_range(digits, 1, 64);
            if (*words != '*')
                memcpy(left ? hex : hex + 64 - digits, words, digits);
            cv_buf_add(out, hex, 64);
        }
        words += n + (words[n] == ' ');
    }
}

static uint8_t *expanded(const char *words, size_t *n)
{
    cv_buf hex = {0};
    expand(&hex, words);
    uint8_t *b = bytes_of(cv_buf_text(&hex), n);
    cv_buf_free(&hex);
    return b;
}

static void selectors_and_topics(void **state)
{
    (void)state;
    static const struct {
        const char *signature, *selector;
    } table[] = {{"baz(uint32,bool)", "cdcd77c0"},
                 {"bar(bytes3[2])", "fce353f6"},
                 {"sam(bytes,bool,uint256[])", "a5643bf2"},
                 {"f(uint256,uint32[],bytes10,bytes)", "8be65246"},
                 {"g(uint256[][],string[])", "2289b18c"},
                 {"transfer(address,uint256)", "a9059cbb"},
                 {"getL1Fee(bytes)", "49948e0e"}};
    uint8_t selector[4], topic[32];
    for (size_t i = 0; i < COUNT(table); i++) {
        cv_abi_selector(selector, table[i].signature);
        assert_hex(selector, 4, table[i].selector);
    }
    cv_abi_topic(topic, "Transfer(address,address,uint256)");
    assert_hex(
        topic, 32,
        "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
}

/* ---- the specification's examples -------------------------------------------
 */

static void end_and_compare(cv_abi_writer *w, const char *words)
{
    cv_buf out = {0}, hex = {0};
    cv_abi_end(w, &out);
    expand(&hex, words);
    assert_hex(out.data, out.len, cv_buf_text(&hex));
    cv_buf_free(&out);
    cv_buf_free(&hex);
}

static void calls_of_the_specification(void **state)
{
    (void)state;
    cv_abi_writer w;
    cv_abi_begin(&w, "baz(uint32,bool)");
    cv_abi_put_u64(&w, 69);
    cv_abi_put_bool(&w, 1);
    end_and_compare(&w, "+cdcd77c0 45 1");

    /* A fixed array is its members: bar(bytes3[2]) after its selector. */
    cv_abi_begin(&w, "(bytes3,bytes3)");
    cv_abi_put_bytes32(&w, (const uint8_t[32]){'a', 'b', 'c'});
    cv_abi_put_bytes32(&w, (const uint8_t[32]){'d', 'e', 'f'});
    end_and_compare(&w, "616263- 646566-");

    cv_u256 three[] = {cv_u256_of(1), cv_u256_of(2), cv_u256_of(3)};
    cv_abi_begin(&w, "sam(bytes,bool,uint256[])");
    cv_abi_put_bytes(&w, "dave", 4);
    cv_abi_put_bool(&w, 7); /* true is 1 */
    cv_abi_put_words(&w, three[0].b, 3);
    end_and_compare(&w, "+a5643bf2 60 1 a0 4 64617665- 3 1 2 3");

    cv_u256 two[] = {cv_u256_of(0x456), cv_u256_of(0x789)};
    cv_u256 v = cv_u256_of(0x123);
    cv_abi_begin(&w, "f(uint256,uint32[],bytes10,bytes)");
    cv_abi_put_u256(&w, &v);
    cv_abi_put_words(&w, two[0].b, 2);
    cv_abi_put_bytes32(&w, (const uint8_t[32]){"1234567890"});
    cv_abi_put_bytes(&w, "Hello, world!", 13);
    end_and_compare(&w, "+8be65246 123 80 31323334353637383930- e0 2 456 789 "
                        "d 48656c6c6f2c20776f726c6421-");

    cv_abi_begin(&w, "pause()");
    end_and_compare(&w, "+8456cb59");
    cv_abi_begin(&w, "()");
    end_and_compare(&w, "");
}

/* ---- all types, there and back ----------------------------------------------
 */

#define MIXED "(address,bytes32,bytes32[],address[],string,uint64,bytes)"
/* ethers 6.17.0, AbiCoder.encode */
static const char mixed[] =
    "7777777777777777777777777777777777777777 "
    "8888888888888888888888888888888888888888888888888888888888888888 "
    "e0 140 180 ffffffffffffffff 1c0 "
    "2 0101010101010101010101010101010101010101010101010101010101010101 "
    "0202020202020202020202020202020202020202020202020202020202020202 "
    "1 0303030303030303030303030303030303030303 "
    "5 636f766579- "
    "40 abababababababababababababababababababababababababababababababab "
    "abababababababababababababababababababababababababababababababab";

static void all_types_are_written(void **state)
{
    (void)state;
    cv_address a, three;
    uint8_t word[2][32], data[64];
    cv_abi_writer w;
    memset(&a, 0x77, sizeof a);
    memset(&three, 3, sizeof three);
    memset(data, 0xab, sizeof data);
    cv_abi_begin(&w, MIXED);
    cv_abi_put_address(&w, &a);
    memset(word, 0x88, 32);
    cv_abi_put_bytes32(&w, word[0]);
    memset(word[0], 1, 32);
    memset(word[1], 2, 32);
    cv_abi_put_bytes32s(&w, word[0], 2);
    cv_abi_put_addresses(&w, &three, 1);
    cv_abi_put_bytes(&w, "covey", 5);
    cv_abi_put_u64(&w, UINT64_MAX);
    cv_abi_put_bytes(&w, data, sizeof data);
    end_and_compare(&w, mixed);
}

static void all_types_are_read(void **state)
{
    (void)state;
    size_t n, len;
    uint8_t *b = expanded(mixed, &n), word[32];
    const uint8_t *p;
    cv_address a;
    cv_abi_reader r;
    cv_err err = {0};
    cv_abi_open(&r, MIXED, b, n);
    cv_abi_take_address(&r, &a);
    assert_hex(a.b, 20, "7777777777777777777777777777777777777777");
    cv_abi_take_bytes32(&r, word);
    assert_int_equal(word[0], 0x88);
    cv_abi_take_words(&r, &p, &len);
    assert_int_equal(len, 2);
    assert_int_equal(p[0], 1);
    assert_int_equal(p[63], 2);
    cv_abi_take_words(&r, &p, &len);
    assert_int_equal(len, 1);
    assert_hex(p + 12, 20, "0303030303030303030303030303030303030303");
    cv_abi_take_bytes(&r, &p, &len);
    assert_int_equal(len, 5);
    assert_memory_equal(p, "covey", 5);
    assert_true(cv_abi_take_u64(&r) == UINT64_MAX);
    cv_abi_take_bytes(&r, &p, &len);
    assert_int_equal(len, 64);
    assert_int_equal(p[63], 0xab);
    assert_int_equal(cv_abi_close(&r, "mixed", &err), 0);
    free(b);
}

/* ---- reading, strictly ------------------------------------------------------
 */

/* Take what the types say; numbers as uint64 where they are called so. */
static int read_all(const char *types, const uint8_t *b, size_t n, cv_err *err)
{
    cv_abi_reader r;
    cv_address a;
    cv_u256 v;
    uint8_t word[32];
    const uint8_t *p;
    size_t len;
    cv_abi_open(&r, types, b, n);
    while (*r.type != ')') {
        size_t k = strcspn(r.type, ",)");
        if (r.type[k - 1] == ']') {
            cv_abi_take_words(&r, &p, &len);
            assert_non_null(p);
            assert_true(!r.fault || len == 0);
        } else if (strncmp(r.type, "uint64", 6) == 0) {
            uint64_t u = cv_abi_take_u64(&r);
            assert_true(!r.fault || u == 0);
        } else if (r.type[0] == 'u') {
            cv_abi_take_u256(&r, &v);
            assert_true(!r.fault || cv_u256_is_zero(&v));
        } else if (strncmp(r.type, "bool", 4) == 0) {
            int truth = cv_abi_take_bool(&r);
            assert_true(!r.fault || truth == 0);
        } else if (r.type[0] == 'a') {
            cv_abi_take_address(&r, &a);
            assert_true(!r.fault || a.b[19] == 0);
        } else if (k == 5 || r.type[0] == 's') {
            cv_abi_take_bytes(&r, &p, &len);
            assert_non_null(p);
            assert_true(!r.fault || len == 0);
        } else {
            cv_abi_take_bytes32(&r, word);
            assert_true(!r.fault || word[0] == 0);
        }
    }
    return cv_abi_close(&r, "answer", err);
}

static const struct {
    const char *types, *words, *says; /* NULL: taken */
} answers[] = {
    {"()", "", NULL},
    {"()", "+00", "after the last value"},
    {"(uint64)", "", "fewer bytes"},
    {"(uint64)",
     "+00000000000000000000000000000000000000000000000000000000000045",
     "fewer bytes"},
    {"(uint64)", "45 +00", "after the last value"},
    {"(uint64)", "45 0", "after the last value"},
    {"(uint64,uint64)", "45", "fewer bytes"},
    /* padding */
    {"(uint64)", "ffffffffffffffff", NULL},
    {"(uint64)", "10000000000000000", "more in it"},
    {"(uint8)", "ff", NULL},
    {"(uint8)", "100", "more in it"},
    {"(uint8)", "80-", "more in it"},
    {"(uint256)", "*", NULL},
    {"(bool)", "0", NULL},
    {"(bool)", "1", NULL},
    {"(bool)", "2", "neither 0 nor 1"},
    {"(bool)", "100", "more in it"},
    {"(bool)", "01-", "more in it"},
    {"(address)", "ffffffffffffffffffffffffffffffffffffffff", NULL},
    {"(address)", "10000000000000000000000000000000000000000", "more in it"},
    {"(address)", "01-", "more in it"},
    {"(bytes4)", "ffffffff-", NULL},
    {"(bytes4)", "ffffffff01-", "more in it"},
    {"(bytes1)", "ff01-", "more in it"},
    {"(bytes1)", "1", "more in it"},
    {"(bytes32)", "*", NULL},
    /* offsets */
    {"(bytes)", "20 0", NULL},
    {"(bytes)", "20", "an end where a length"},
    {"(bytes)", "20 +00", "an end where a length"},
    {"(bytes)",
     "20 +00000000000000000000000000000000000000000000000000000000000000",
     "an end where a length"},
    {"(bytes)", "0 0", "an offset"},
    {"(bytes)", "40 0 0", "an offset"},
    {"(bytes)", "21 0 +00", "an offset"},
    {"(bytes)", "* 0", "an offset"},
    {"(bytes)", "10000000000000020 0", "an offset"},
    {"(bytes,bytes)", "40 60 0 0", NULL},
    /* the same twice; in the wrong order; with a gap; within the one before */
    {"(bytes,bytes)", "40 40 0", "an offset"},
    {"(bytes,bytes)", "60 40 0 0", "an offset"},
    {"(bytes,bytes)", "40 80 0 0 0", "an offset"},
    {"(bytes,bytes)", "40 60 20 0", "an offset"},
    /* lengths */
    {"(bytes)", "20 1 ff-", NULL},
    {"(bytes)", "20 1 ff01-", "padding"},
    {"(bytes)",
     "20 1 ff00000000000000000000000000000000000000000000000000000000000001",
     "padding"},
    {"(bytes)", "20 1 +ff", "a length beyond"},
    {"(bytes)", "20 0 0", "after the last"},
    {"(bytes)", "20 20 *", NULL},
    {"(bytes)", "20 21 *", "a length beyond"},
    {"(bytes)", "20 21 * +00", "a length beyond"},
    {"(bytes)", "20 *", "a length beyond"},
    {"(bytes)", "20 ffffffffffffffff", "a length beyond"},
    {"(bytes)", "20 ffffffffffffffe0 *", "a length beyond"},
    {"(bytes)", "20 10000000000000001 ff-", "a length beyond"},
    {"(string)", "20 3 616263-", NULL},
    {"(uint256[])", "20 2 * *", NULL},
    {"(uint256[])", "20 3 * *", "a length beyond"},
    {"(uint256[])", "20 1 * *", "after the last"},
    /* times 32 this is 32, modulo 2^64 */
    {"(uint256[])", "20 0800000000000001 *", "a length beyond"},
    {"(uint64[])", "20 2 1 *", "more in it"},
    {"(address[])", "20 1 01-", "more in it"},
    {"(bool[])", "20 2 1 2", "neither 0 nor 1"},
    {"(bytes4[])", "20 2 ffffffff- ffffffff01-", "more in it"},
    /* what comes after a fault is zero */
    {"(bool,uint64,uint256,address,bytes32,bytes,string,bytes32[],bool)",
     "2 * * * * * * * 1", "neither 0 nor 1"},
};

static void answers_are_read_strictly(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++) {
        size_t n;
        uint8_t *b = expanded(answers[i].words, &n);
        cv_err err = {0};
        int rc = read_all(answers[i].types, b, n, &err);
        if (answers[i].says
                ? rc != CV_ERR_VERIFY || !strstr(err.text, answers[i].says)
                : rc != 0)
            fail_msg("%s %s: %d %s", answers[i].types, answers[i].words, rc,
                     err.text);
        free(b);
    }
}

/* Every cut and every changed byte of a good answer: what is still taken is
 * what a writer would have made of it. */
static void damaged_answers(void **state)
{
    (void)state;
    size_t n;
    uint8_t *b = expanded(mixed, &n);
    cv_err err = {0};
    assert_int_equal(read_all(MIXED, b, n, &err), 0);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);
        memcpy(part, b, cut);
        assert_int_equal(read_all(MIXED, part, cut, &err), CV_ERR_VERIFY);
        free(part);
    }
    /* The bytes that may be anything: address 20, bytes32 32, two words 64, an
     * address 20, "covey" 5, uint64 8, bytes 64. */
    int taken = 0;
    for (size_t i = 0; i < n; i++) {
        b[i] ^= 0x80;
        taken += read_all(MIXED, b, n, &err) == 0;
        b[i] ^= 0x80;
    }
    assert_int_equal(taken, 20 + 32 + 64 + 20 + 5 + 8 + 64);
    free(b);
}

/* A number that its type may have and uint64_t may not. */
static void a_number_too_wide_for_its_taker(void **state)
{
    (void)state;
    size_t n;
    uint8_t *b = expanded("10000000000000000", &n);
    cv_abi_reader r;
    cv_err err = {0};
    cv_abi_open(&r, "(uint256)", b, n);
    assert_true(cv_abi_take_u64(&r) == 0);
    assert_int_equal(cv_abi_close(&r, "balance", &err), CV_ERR_VERIFY);
    assert_non_null(strstr(err.text, "balance: "));
    assert_non_null(strstr(err.text, "above 2^64 - 1"));
    free(b);
}

/* ---- misuse is a bug --------------------------------------------------------
 */

/* A call with one argument, put as another sort: 'u' number, 'b' bool, 'w' word,
 * 's' bytes, 'a' array of words, 'A' of addresses; 0: left out. */
static void misuse(const char *signature, char how, uint64_t v)
{
    cv_abi_writer w;
    cv_u256 word = cv_u256_of(v);
    cv_address a = {{0}};
    cv_buf out = {0};
    cv_abi_begin(&w, signature);
    if (how == 'u')
        cv_abi_put_u64(&w, v);
    if (how == 'b')
        cv_abi_put_bool(&w, (int)v);
    if (how == 'w')
        cv_abi_put_bytes32(&w, word.b);
    if (how == 's')
        cv_abi_put_bytes(&w, &v, sizeof v);
    if (how == 'a')
        cv_abi_put_bytes32s(&w, word.b, 1);
    if (how == 'A')
        cv_abi_put_addresses(&w, &a, 1);
    cv_abi_end(&w, &out);
    cv_buf_free(&out);
}

static int aborts(const char *signature, char how, uint64_t v)
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        fclose(stderr);
        misuse(signature, how, v);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void misuse_aborts(void **state)
{
    (void)state;
    static const struct {
        const char *signature;
        char how;
        uint64_t v;
        int aborts;
    } table[] = {
        {"f(uint8)", 'u', 255, 0},
        {"f(uint8)", 'u', 256, 1},
        {"f(uint256)", 'b', 1, 1},
        {"f(bool)", 'u', 1, 1},
        {"f(bytes32)", 'w', 1, 0},
        {"f(bytes31)", 'w', 1, 1},
        {"f(address)", 'w', 1, 1},
        {"f(bytes)", 's', 1, 0},
        {"f(bytes)", 'w', 1, 1},
        {"f(bytes8)", 's', 1, 1},
        {"f(bytes32[])", 'a', 1, 0},
        {"f(bytes32)", 'a', 1, 1},
        {"f(uint256[])", 'a', 1, 1},
        {"f(address[])", 'A', 1, 0},
        {"f(address)", 'A', 1, 1},
        {"f(uint64[])", 'u', 1, 1},
        {"f()", 'u', 1, 1},
        {"f()", 0, 1, 0},
        {"f(bool)", 0, 1, 1},
        {"f(bool,bool)", 'b', 1, 1},
        /* texts that are no types of ours */
        {"f", 0, 0, 1},
        {"f(", 0, 0, 1},
        {"f()x", 0, 0, 1},
        {"f(bool", 'b', 1, 1},
        {"f(bool,)", 'b', 1, 1},
        {"f(,bool)", 'b', 1, 1},
        {"f(bool)x", 'b', 1, 1},
        {"f( bool)", 'b', 1, 1},
        {"f(bools)", 'b', 1, 1},
        {"f(uint)", 'u', 1, 1},
        {"f(uint0)", 'u', 0, 1},
        {"f(uint12)", 'u', 1, 1},
        {"f(uint08)", 'u', 1, 1},
        {"f(uint264)", 'u', 1, 1},
        {"f(int256)", 'u', 1, 1},
        {"f(bytes0)", 'w', 0, 1},
        {"f(bytes33)", 'w', 0, 1},
        {"f(string[])", 's', 1, 1},
        {"f(bytes32[][])", 'a', 1, 1},
        {"f(bytes32[2])", 'a', 1, 1},
    };
    for (size_t i = 0; i < COUNT(table); i++)
        if (aborts(table[i].signature, table[i].how, table[i].v) !=
            table[i].aborts)
            fail_msg("%s, %c", table[i].signature, table[i].how);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selectors_and_topics),
        cmocka_unit_test(calls_of_the_specification),
        cmocka_unit_test(all_types_are_written),
        cmocka_unit_test(all_types_are_read),
        cmocka_unit_test(answers_are_read_strictly),
        cmocka_unit_test(damaged_answers),
        cmocka_unit_test(a_number_too_wide_for_its_taker),
        cmocka_unit_test(misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
