/* Keys and what guards them: HKDF, tagged digests, secret memory, files that
 * are never overwritten. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/hkdf.h"
#include "core/mem.h"
#include "core/secret.h"
#include "core/tagged.h"

static void assert_hex(const uint8_t *found, size_t n, const char *expected)
{
    char text[2 * 256 + 1];
    assert_true(n <= 256);
    cv_hex(text, found, n);
    assert_string_equal(text, expected);
}

/* n bytes that count up from first. */
static void fill(uint8_t *out, size_t n, int first)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(first + (int)i);
}

/* RFC 5869, appendix A.1 to A.3. */
static void hkdf_gives_the_rfc_vectors(void **state)
{
    (void)state;
    uint8_t ikm[80], salt[80], info[80], prk[32], okm[82];
    memset(ikm, 0x0b, 22);
    fill(salt, 13, 0);
    fill(info, 10, 0xf0);
    cv_hkdf_extract(prk, ikm, 22, salt, 13);
    assert_hex(prk, 32,
               "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3"
               "e5");
    cv_hkdf(okm, 42, ikm, 22, salt, 13, info, 10);
    assert_hex(okm, 42,
               "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5"
               "bf34007208d5b887185865");
    cv_hkdf(okm, 42, ikm, 22, NULL, 0, NULL, 0);
    assert_hex(okm, 42,
               "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d"
               "2d9d201395faa4b61a96c8");
    fill(ikm, 80, 0);
    fill(salt, 80, 0x60);
    fill(info, 80, 0xb0);
    cv_hkdf_extract(prk, ikm, 80, salt, 80);
    assert_hex(prk, 32,
               "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc2"
               "44");
    cv_hkdf_expand(okm, 82, prk, info, 80);
    assert_hex(okm, 82,
               "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa9"
               "7c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3"
               "db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
}

static void hkdf_lengths_share_a_beginning(void **state)
{
    (void)state;
    static uint8_t all[CV_HKDF_MAX], part[CV_HKDF_MAX];
    cv_hkdf(all, sizeof all, "secret", 6, "salt", 4, "use", 3);
    for (size_t n = 0; n < 100; n++) {
        memset(part, 0xee, sizeof part);
        cv_hkdf(part, n, "secret", 6, "salt", 4, "use", 3);
        assert_memory_equal(part, all, n);
        assert_int_equal(part[n], 0xee);
    }
    cv_hkdf(part, 32, "secret", 6, "salt", 4, "usf", 3);
    assert_memory_not_equal(part, all, 32);
}

static void tagged_digest_is_the_documented_one(void **state)
{
    (void)state;
    uint8_t d[32];
    cv_part part[] = {{"a", 1}, {NULL, 0}, {"bc", 2}};
    cv_tagged_hash(d, "covey test", part, 3);
    /* Python: hashlib and struct, from the formula in the header. */
    assert_hex(d, 32,
               "de085a696fb731ff4fa4264fe22c27c6a40715d67b5e17efcae87ccad8fe4d"
               "e9");
}

static void tagged_digests_differ(void **state)
{
    (void)state;
    static const struct {
        const char *tag;
        cv_part part[3];
        size_t n;
    } table[] = {
        {"t", {{"ab", 2}, {"c", 1}}, 2},
        {"t", {{"a", 1}, {"bc", 2}}, 2},
        {"t", {{"abc", 3}}, 1},
        {"t", {{"abc", 3}, {"", 0}}, 2},
        {"t", {{"", 0}, {"abc", 3}}, 2},
        {"ta", {{"bc", 2}}, 1},
        {"t", {{"", 0}}, 1},
        {"t", {{"", 0}}, 0},
        {"t", {{"", 0}, {"", 0}}, 2},
        {"", {{"", 0}}, 0},
        {"u", {{"abc", 3}}, 1},
    };
    enum { N = sizeof table / sizeof table[0] };
    uint8_t d[N][32];
    for (size_t i = 0; i < N; i++) {
        cv_tagged_hash(d[i], table[i].tag, table[i].part, table[i].n);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(d[i], d[j], 32);
    }
}

static void equal_looks_at_every_byte(void **state)
{
    (void)state;
    uint8_t a[67], b[67];
    fill(a, sizeof a, 3);
    memcpy(b, a, sizeof b);
    assert_true(cv_equal(a, b, sizeof a));
    assert_true(cv_equal(a, NULL, 0));
    for (size_t i = 0; i < sizeof a; i++) {
        for (int bit = 0; bit < 8; bit++) {
            b[i] ^= (uint8_t)(1 << bit);
            assert_false(cv_equal(a, b, sizeof a));
            assert_true(cv_equal(a, b, i));
            b[i] ^= (uint8_t)(1 << bit);
        }
    }
}

static void secret_memory_is_zeroed_and_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 32, 4032, 4033, 1 << 20};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        uint8_t *p = cv_secret_alloc(sizes[k]);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < sizes[k]; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xaa, sizes[k]);
        cv_secret_free(p);
    }
    cv_secret_free(NULL);
}

/* What a forked child finds there. */
static void secret_memory_stays_with_its_process(void **state)
{
    (void)state;
    uint8_t *p = cv_secret_alloc(32);
    memset(p, 0xaa, 32);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(p[0] == 0 && p[31] == 0 ? 0 : 1);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(p[31], 0xaa);
    cv_secret_free(p);
}

static rlim_t core_limit(void)
{
    struct rlimit r;
    assert_int_equal(getrlimit(RLIMIT_CORE, &r), 0);
    return r.rlim_cur;
}

#ifndef __SANITIZE_ADDRESS__ /* it forbids core dumps itself */
/* Did a child that dies of SIGABRT leave a core? */
static int dumps_core(int with_secret, const char *dir)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};
        if (chdir(dir) != 0 || setrlimit(RLIMIT_CORE, &r) != 0)
            _exit(0);
        if (with_secret)
            (void)cv_secret_alloc(32);
        signal(SIGABRT, SIG_DFL);
        abort();
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WCOREDUMP(status);
}
#endif

static char *scratch(void)
{
    static char dir[64];
    snprintf(dir, sizeof dir, "/tmp/covey-secret-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static void no_core_dump_while_a_secret_lives(void **state)
{
    (void)state;
    struct rlimit before, r;
    getrlimit(RLIMIT_CORE, &before);
    r = before;
    r.rlim_cur = r.rlim_max < 4096 ? r.rlim_max : 4096;
    setrlimit(RLIMIT_CORE, &r);
    void *a = cv_secret_alloc(1), *b = cv_secret_alloc(1);
    assert_true(core_limit() <= 1);
    cv_secret_free(a);
    assert_true(core_limit() <= 1);
    cv_secret_free(b);
    assert_int_equal(core_limit(), r.rlim_cur);
    setrlimit(RLIMIT_CORE, &before);
#ifndef __SANITIZE_ADDRESS__
    char *dir = scratch();
    int possible = dumps_core(0, dir);
    assert_false(dumps_core(1, dir));
    char *sweep = cv_asprintf("rm -rf %s", dir);
    assert_int_equal(system(sweep), 0);
    free(sweep);
    if (!possible)
        print_message("core dumps are off here anyway\n");
#endif
}

static void entropy_fills_all_of_it(void **state)
{
    (void)state;
    uint8_t a[1000] = {0}, b[1000] = {0};
    int zeros = 0;
    cv_entropy(a, sizeof a);
    cv_entropy(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    for (size_t i = 0; i < sizeof a; i++)
        zeros += a[i] == 0;
    assert_true(zeros < 40); /* 4 expected; 40 never happens */
    assert_memory_not_equal(a + 968, a, 32);
}

static void new_files_never_replace_old_ones(void **state)
{
    (void)state;
    char *dir = scratch(), *path = cv_fs_join(dir, "k"), *text = NULL;
    size_t n = 0;
    struct stat st;
    cv_err err = {0};
    mode_t mask = umask(0);
    assert_int_equal(cv_fs_write_new(path, "one", 3, 0600, &err), 0);
    umask(mask);
    assert_int_equal(cv_fs_write_new(path, "two", 3, 0600, &err), CV_ERR_INPUT);
    assert_non_null(strstr(err.text, "left alone"));
    assert_int_equal(cv_fs_read(path, 100, &text, &n, &err), 0);
    assert_string_equal(text, "one");
    free(text);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_nlink, 1);
    unlink(path);
    /* What a killed process with our number left is not in the way. */
    char *left = malloc(strlen(path) + 40);
    sprintf(left, "%s.tmp.%d", path, (int)getpid());
    assert_int_equal(cv_fs_write(left, "x", 1, 0600, &err), 0);
    assert_int_equal(cv_fs_write_new(path, "one", 3, 0600, &err), 0);
    unlink(path);
    unlink(left);
    free(left);
    /* A link that leads nowhere is a file that is there. */
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_equal(cv_fs_write_new(path, "two", 3, 0600, &err), CV_ERR_INPUT);
    unlink(path);
    free(path);
    path = cv_fs_join(dir, "no/such/folder");
    assert_int_equal(cv_fs_write_new(path, "x", 1, 0600, &err), CV_ERR_ENV);
    free(path);
    assert_int_equal(rmdir(dir), 0); /* no temporary file is left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hkdf_gives_the_rfc_vectors),
        cmocka_unit_test(hkdf_lengths_share_a_beginning),
        cmocka_unit_test(tagged_digest_is_the_documented_one),
        cmocka_unit_test(tagged_digests_differ),
        cmocka_unit_test(equal_looks_at_every_byte),
        cmocka_unit_test(secret_memory_is_zeroed_and_whole),
        cmocka_unit_test(secret_memory_stays_with_its_process),
        cmocka_unit_test(no_core_dump_while_a_secret_lives),
        cmocka_unit_test(entropy_fills_all_of_it),
        cmocka_unit_test(new_files_never_replace_old_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
