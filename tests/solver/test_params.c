#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "solver/params.h"

static void test_views(void **state)
{
    (void)state;
    static cv_params p;
    memset(&p, 0, sizeof p);
    assert_int_equal(cv_params_add(&p, "dense1/weight", 200, 784), 0);
    assert_int_equal(cv_params_add(&p, "dense1/bias", 200, 0), 156800);
    assert_int_equal(cv_params_add(&p, "big", 1 << 20, 1 << 20), 157000);
    assert_int_equal(p.n, ((size_t)1 << 40) + 157000);
    assert_int_equal(p.n_views, 3);
    assert_string_equal(p.views[0].name, "dense1/weight");
    assert_int_equal(p.views[0].rank, 2);
    assert_int_equal(p.views[0].dims[0], 200);
    assert_int_equal(p.views[0].dims[1], 784);
    assert_int_equal(p.views[1].rank, 1);
    assert_int_equal(p.views[1].dims[0], 200);
    assert_int_equal(p.views[1].dims[1], 0);
    assert_int_equal(p.views[1].offset, 156800);
}

/* Python: hashlib.sha256(struct.pack("<3f", 1, -2.5, 0.1)) */
static void test_digest(void **state)
{
    (void)state;
    static const float w[] = {1.0f, -2.5f, 0.1f};
    uint8_t digest[32];
    char hex[65];
    cv_params_digest(digest, w, 3);
    cv_hex(hex, digest, 32);
    assert_string_equal(
        hex,
        "2f9cc761bc2594fa578868daeedc59b0fc115513fae3e5dc09c4e86e50b8aaf6");
    cv_params_digest(digest, w, 0);
    cv_hex(hex, digest, 32);
    assert_string_equal(
        hex,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* Python: leaf = sha256(b"\\0" + le64(0) + bytes), root = sha256(b"\\1" +
 * le64(12) + leaf); privacy/commit.h has the rest. */
static void test_root(void **state)
{
    (void)state;
    static const float w[] = {1.0f, -2.5f, 0.1f};
    uint8_t root[32], other[32];
    char hex[65];
    cv_params_root(root, w, 3);
    cv_hex(hex, root, 32);
    assert_string_equal(
        hex,
        "623817b9455257420112e997dbb960b32d61a2b1f9afec459e36a571e6981c45");
    cv_params_root(other, w, 2);
    assert_memory_not_equal(other, root, 32);
}

/* The same of "<3d". */
static void test_f64(void **state)
{
    (void)state;
    static const double v[] = {1.0, -2.5, 0.1};
    uint8_t digest[32];
    char hex[65];
    cv_params_digest_f64(digest, v, 3);
    cv_hex(hex, digest, 32);
    assert_string_equal(
        hex,
        "71da1541228ec3b80f80a42910c0512bc24ce229e09875fa2684836df5f229ee");
    cv_params_root_f64(digest, v, 3);
    cv_hex(hex, digest, 32);
    assert_string_equal(
        hex,
        "2a8096ee2731c0f42abf77313586bf0e7148a6397d22c6edd7bb90987ba6bc9e");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_f64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
