/* RLP: the published vectors, and everything that is nearly right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chain/rlp.h"
#include "tests/chain/hex_fixture.h"
#include "tests/chain/rlp_vectors.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- from a value's notation to bytes ---------------------------------------
 */

static void put_value(cv_buf *out, const char **at);

static void put_hex(cv_buf *out, const char **at)
{
    char hex[200];
    size_t n = strspn(*at, "0123456789abcdef");
    assert_in_range(n, 0, sizeof hex - 1);
    snprintf(hex, sizeof hex, "%.*s", (int)n, *at);
    *at += n;
    uint8_t *b = bytes_of(hex, &n);
    cv_rlp_put_bytes(out, b, n);
    free(b);
}

static void put_number(cv_buf *out, const char **at)
{
    char digits[100];
    size_t n = strspn(*at, "0123456789");
    cv_u256 v;
    uint64_t small;
    snprintf(digits, sizeof digits, "%.*s", (int)n, *at);
    *at += n;
    assert_int_equal(cv_u256_from_units(&v, digits, 0, NULL), 0);
    if (cv_u256_to_u64(&small, &v) == 0)
        cv_rlp_put_u64(out, small);
    else
        cv_rlp_put_u256(out, &v);
}

static void put_value(cv_buf *out, const char **at)
{
    char c = *(*at)++;
    cv_buf items = {0};
    const char *end;
    switch (c) {
    case '\'':
        end = strchr(*at, '\'');
        cv_rlp_put_bytes(out, *at, (size_t)(end - *at));
        *at = end + 1;
        break;
    case '#':
        put_number(out, at);
        break;
    case 'x':
        put_hex(out, at);
        break;
    default:
        assert_int_equal(c, '[');
        while (**at != ']') {
            put_value(&items, at);
            *at += **at == ',';
        }
        ++*at;
        cv_rlp_put_list(out, &items);
        cv_buf_free(&items);
    }
}

/* ---- from bytes to bytes ----------------------------------------------------
 */

/* Read all of [at, end) and write it again. */
static int copy_items(cv_buf *out, const uint8_t *at, const uint8_t *end,
                      cv_err *err)
{
    while (at < end) {
        cv_rlp_item item;
        const uint8_t *start = at;
        int rc = cv_rlp_next(&item, &at, end, err);
        if (rc) {
            assert_ptr_equal(at, start);
            return rc;
        }
        assert_true(at > start && at <= end);
        assert_ptr_equal(item.data + item.n, at);
        cv_buf inner = {0};
        if (item.is_list)
            rc = copy_items(&inner, item.data, item.data + item.n, err);
        if (!rc && item.is_list)
            cv_rlp_put_list(out, &inner);
        else if (!rc)
            cv_rlp_put_bytes(out, item.data, item.n);
        cv_buf_free(&inner);
        if (rc)
            return rc;
    }
    return 0;
}

static int copy_one(cv_buf *out, const uint8_t *data, size_t n, cv_err *err)
{
    cv_rlp_item item;
    const uint8_t *at = data;
    int rc = cv_rlp_next(&item, &at, data + n, err);
    return rc ? rc : copy_items(out, data, data + n, err);
}

/* ---- tests ------------------------------------------------------------------
 */

static void values_have_the_published_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rlp_valid); i++) {
        const char *at = rlp_valid[i].value;
        cv_buf out = {0};
        put_value(&out, &at);
        assert_string_equal(at, "");
        assert_hex(out.data, out.len, rlp_valid[i].hex);
        cv_buf_free(&out);
    }
}

static void published_bytes_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rlp_valid); i++) {
        size_t n;
        uint8_t *b = bytes_of(rlp_valid[i].hex, &n);
        cv_buf out = {0};
        cv_err err = {0};
        if (copy_one(&out, b, n, &err) != 0)
            fail_msg("%s: %s", rlp_valid[i].name, err.text);
        assert_int_equal(out.len, n);
        assert_memory_equal(out.data, b, n);
        cv_buf_free(&out);
        /* Nothing of it is a whole item. */
        for (size_t cut = 0; cut < n; cut++) {
            cv_rlp_item item;
            uint8_t *part = malloc(cut ? cut : 1);
            memcpy(part, b, cut);
            const uint8_t *at = part;
            assert_int_equal(cv_rlp_next(&item, &at, part + cut, &err),
                             CV_ERR_VERIFY);
            free(part);
        }
        free(b);
    }
}

static void invalid_bytes_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rlp_invalid); i++) {
        size_t n;
        uint8_t *b = bytes_of(rlp_invalid[i].hex, &n);
        cv_buf out = {0};
        cv_err err = {0};
        if (copy_one(&out, b, n, &err) != CV_ERR_VERIFY || !err.text[0])
            fail_msg("%s was taken", rlp_invalid[i].name);
        cv_buf_free(&out);
        free(b);
    }
}

/* Of all texts of n bytes, those that are one canonical item can be counted by
 * hand: a byte, 80, c0; then 81 with 128 bytes and c1 with 130 items; then 82
 * with 2^16, and c2 with 258 items of two bytes or 130^2 pairs. */
static void as_many_texts_as_values(void **state)
{
    (void)state;
    static const unsigned expected[] = {0, 130, 258, 65536 + 258 + 130 * 130};
    for (size_t n = 1; n <= 3; n++) {
        unsigned found = 0;
        for (unsigned v = 0; v >> (8 * n) == 0; v++) {
            const uint8_t b[3] = {(uint8_t)v, (uint8_t)(v >> 8),
                                  (uint8_t)(v >> 16)};
            const uint8_t *at = b;
            cv_rlp_item item;
            if (cv_rlp_next(&item, &at, b + n, NULL) != 0 || at != b + n)
                continue;
            cv_buf out = {0};
            if (copy_items(&out, b, b + n, NULL) == 0) {
                found++;
                assert_int_equal(out.len, n);
                assert_memory_equal(out.data, b, n);
            }
            cv_buf_free(&out);
        }
        assert_int_equal(found, expected[n]);
    }
}

static void lengths_at_their_borders(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        const char *string, *list;
    } table[] = {{1, "81", "c1"},
                 {55, "b7", "f7"},
                 {56, "b838", "f838"},
                 {255, "b8ff", "f8ff"},
                 {256, "b90100", "f90100"},
                 {65535, "b9ffff", "f9ffff"},
                 {65536, "ba010000", "fa010000"}};
    for (size_t i = 0; i < COUNT(table); i++)
        for (int is_list = 0; is_list < 2; is_list++) {
            const char *header = is_list ? table[i].list : table[i].string;
            size_t n_header = strlen(header) / 2, n = table[i].n;
            cv_buf out = {0}, items = {0};
            for (size_t k = 0; k < n; k++)
                cv_buf_add(&items, is_list ? "\xc0" : "\xff", 1);
            if (is_list)
                cv_rlp_put_list(&out, &items);
            else
                cv_rlp_put_bytes(&out, items.data, n);
            assert_int_equal(out.len, n_header + n);
            assert_hex(out.data, n_header, header);
            cv_rlp_item item;
            const uint8_t *at = (const uint8_t *)out.data, *end = at + out.len;
            assert_int_equal(cv_rlp_next(&item, &at, end, NULL), 0);
            assert_int_equal(item.is_list, is_list);
            assert_int_equal(item.n, n);
            assert_memory_equal(item.data, items.data, n);
            assert_ptr_equal(at, end);
            cv_buf_free(&items);
            cv_buf_free(&out);
        }
}

static void integers_are_minimal(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        int u64, u256;
        const char *says;
    } table[] = {
        {"80", 0, 0, NULL},
        {"01", 0, 0, NULL},
        {"7f", 0, 0, NULL},
        {"88ffffffffffffffff", 0, 0, NULL},
        {"89010000000000000000", CV_ERR_VERIFY, 0, "more bytes"},
        {"a0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
         CV_ERR_VERIFY, 0, "more bytes"},
        {"a1010000000000000000000000000000000000000000000000000000000000000000",
         CV_ERR_VERIFY, CV_ERR_VERIFY, "more bytes"},
        {"00", CV_ERR_VERIFY, CV_ERR_VERIFY, "leading zero"},
        {"820080", CV_ERR_VERIFY, CV_ERR_VERIFY, "leading zero"},
        {"c0", CV_ERR_VERIFY, CV_ERR_VERIFY, "a list"},
        {"c101", CV_ERR_VERIFY, CV_ERR_VERIFY, "a list"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        size_t n;
        uint8_t *b = bytes_of(table[i].hex, &n);
        const uint8_t *at = b;
        cv_rlp_item item;
        cv_err err = {0};
        uint64_t small = 77;
        cv_u256 wide = cv_u256_of(77);
        assert_int_equal(cv_rlp_next(&item, &at, b + n, &err), 0);
        assert_int_equal(cv_rlp_to_u64(&small, &item, &err), table[i].u64);
        if (table[i].u64)
            assert_non_null(strstr(err.text, table[i].says));
        assert_int_equal(cv_rlp_to_u256(&wide, &item, &err), table[i].u256);
        cv_buf out = {0};
        if (!table[i].u64) {
            cv_rlp_put_u64(&out, small);
            assert_hex(out.data, out.len, table[i].hex);
        } else {
            assert_int_equal(small, 77);
        }
        cv_buf_free(&out);
        if (!table[i].u256) {
            cv_rlp_put_u256(&out, &wide);
            assert_hex(out.data, out.len, table[i].hex);
        }
        cv_buf_free(&out);
        free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_have_the_published_bytes),
        cmocka_unit_test(published_bytes_are_read),
        cmocka_unit_test(invalid_bytes_are_refused),
        cmocka_unit_test(as_many_texts_as_values),
        cmocka_unit_test(lengths_at_their_borders),
        cmocka_unit_test(integers_are_minimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
