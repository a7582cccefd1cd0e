/* Key files: published ones, our own, damaged and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "chain/keystore.h"
#include "core/bytes.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/rand.h"
#include "tests/chain/keystore_vectors.h"

/* An unoptimised build with sanitizers is 30 times slower at scrypt: there the
 * default cost is left out, and there are fewer mutations. */
#ifdef __SANITIZE_ADDRESS__
enum { N_KDFS = 2, N_MUTATIONS = 1500 };
#else
enum { N_KDFS = 3, N_MUTATIONS = 6000 };
#endif

static const cv_kdf light = {.kind = CV_KDF_SCRYPT, .scrypt = {2, 8, 1}};
static const cv_kdf light_pbkdf2 = {.kind = CV_KDF_PBKDF2, .iterations = 3};

static cv_passphrase pass(const char *text)
{
    return (cv_passphrase){(char *)text, strlen(text)};
}

static int parse(const char *text, cv_keystore **ks, cv_err *err)
{
    return cv_keystore_parse(text, strlen(text), "k.json", ks, err);
}

static int open_text(const char *text, const char *phrase, cv_seckey **key,
                     cv_err *err)
{
    cv_keystore *ks = NULL;
    cv_passphrase p = pass(phrase);
    int rc = parse(text, &ks, err);
    if (!rc)
        rc = cv_keystore_unlock(ks, &p, key, err);
    cv_keystore_destroy(&ks);
    return rc;
}

static void published_files_open(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        const vector *v = &vectors[i];
        cv_seckey *key = NULL;
        cv_err err = {0};
        if (open_text(v->json, v->pass, &key, &err) != 0)
            fail_msg("%s: %s", v->name, err.text);
        uint8_t secret[32];
        char hex[65];
        cv_seckey_export(key, secret);
        cv_hex(hex, secret, 32);
        if (v->secret)
            assert_string_equal(hex, v->secret);
        cv_seckey_destroy(&key);
    }
}

static void a_wrong_pass_phrase_is_one(void **state)
{
    (void)state;
    for (size_t i = 2; i < N_PUBLISHED; i++) { /* the cheap ones */
        cv_seckey *key = NULL;
        cv_err err = {0};
        char *wrong = cv_asprintf("%s ", vectors[i].pass);
        assert_int_equal(open_text(vectors[i].json, wrong, &key, &err),
                         CV_ERR_INPUT);
        assert_null(key);
        assert_non_null(strstr(err.text, "wrong pass phrase, or a damaged"));
        assert_string_equal(err.file, "k.json");
        free(wrong);
    }
}

/* A file of ours in a scratch folder, and what it says. */
typedef struct {
    char dir[64], *path, *text;
    cv_seckey *key;
} sample;

static void make_sample(sample *s, const cv_kdf *kdf)
{
    size_t n = 0;
    cv_err err = {0};
    cv_passphrase p = pass("correct horse");
    snprintf(s->dir, sizeof s->dir, "/tmp/covey-keystore-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->path = cv_fs_join(s->dir, "north.key.json");
    cv_seckey_generate(&s->key);
    assert_int_equal(cv_keystore_save(s->path, s->key, &p, kdf, &err), 0);
    assert_int_equal(cv_fs_read(s->path, 10000, &s->text, &n, &err), 0);
}

static void drop_sample(sample *s)
{
    unlink(s->path);
    assert_int_equal(rmdir(s->dir), 0); /* nothing else was left there */
    free(s->path);
    free(s->text);
    cv_seckey_destroy(&s->key);
}

static int same_key(const cv_seckey *a, const cv_seckey *b)
{
    cv_pubkey p, q;
    cv_seckey_pubkey(a, &p);
    cv_seckey_pubkey(b, &q);
    return cv_pubkey_same(&p, &q);
}

static void our_files_come_back(void **state)
{
    (void)state;
    const cv_kdf *const kdfs[] = {&light, &light_pbkdf2, &cv_kdf_default};
    for (size_t i = 0; i < N_KDFS; i++) {
        sample s = {0};
        make_sample(&s, kdfs[i]);
        struct stat st;
        assert_int_equal(stat(s.path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        cv_keystore *ks = NULL;
        cv_seckey *key = NULL;
        cv_err err = {0};
        cv_address a, b;
        cv_pubkey p, q;
        cv_passphrase right = pass("correct horse"),
                      wrong = pass("correct horsf");
        assert_int_equal(cv_keystore_load(s.path, &ks, &err), 0);
        assert_true(cv_keystore_address(ks, &a));
        assert_true(cv_keystore_pubkey(ks, &p));
        cv_seckey_address(s.key, &b);
        cv_seckey_pubkey(s.key, &q);
        assert_memory_equal(&a, &b, sizeof a);
        assert_true(cv_pubkey_same(&p, &q));
        assert_int_equal(cv_keystore_unlock(ks, &right, &key, &err), 0);
        assert_true(same_key(key, s.key));
        cv_seckey_destroy(&key);
        if (i < 2) {
            assert_int_equal(cv_keystore_unlock(ks, &wrong, &key, &err),
                             CV_ERR_INPUT);
            assert_non_null(strstr(err.text, "the file itself is whole"));
            assert_null(key);
        }
        cv_keystore_destroy(&ks);
        drop_sample(&s);
    }
}

/* The same key and pass phrase twice: no salt, iv or text is used again. */
static void nothing_is_reused_between_files(void **state)
{
    (void)state;
    sample s = {0};
    make_sample(&s, &light);
    char *other = cv_fs_join(s.dir, "other.json"), *text = NULL;
    size_t n = 0;
    cv_err err = {0};
    cv_passphrase p = pass("correct horse");
    static const char *const members[] = {"\"iv\": \"", "\"salt\": \"",
                                          "\"ciphertext\": \"", "\"mac\": \"",
                                          "\"id\": \""};
    assert_int_equal(cv_keystore_save(other, s.key, &p, &light, &err), 0);
    assert_int_equal(cv_fs_read(other, 10000, &text, &n, &err), 0);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const char *a = strstr(s.text, members[i]);
        const char *b = strstr(text, members[i]);
        assert_non_null(a);
        assert_non_null(b);
        assert_int_not_equal(memcmp(a, b, strlen(members[i]) + 20), 0);
    }
    free(text);
    unlink(other);
    free(other);
    drop_sample(&s);
}

static void a_file_is_never_overwritten(void **state)
{
    (void)state;
    sample s = {0};
    make_sample(&s, &light);
    cv_seckey *key = NULL;
    cv_err err = {0};
    char *text = NULL;
    size_t n = 0;
    cv_passphrase p = pass("x"), empty = {0};
    cv_kdf dear = {.kind = CV_KDF_SCRYPT, .scrypt = {1 << 20, 8, 1}},
           zero = {.kind = CV_KDF_PBKDF2, .iterations = 0};
    cv_seckey_generate(&key);
    assert_int_equal(cv_keystore_save(s.path, key, &p, &light, &err),
                     CV_ERR_INPUT);
    assert_non_null(strstr(err.text, "left alone"));
    assert_int_equal(cv_fs_read(s.path, 10000, &text, &n, &err), 0);
    assert_string_equal(text, s.text);
    char *other = cv_fs_join(s.dir, "other.json");
    assert_int_equal(cv_keystore_save(other, key, &empty, &light, &err),
                     CV_ERR_INPUT);
    assert_int_equal(cv_keystore_save(other, key, &p, &dear, &err),
                     CV_ERR_INPUT);
    assert_int_equal(cv_keystore_save(other, key, &p, &zero, &err),
                     CV_ERR_INPUT);
    assert_false(cv_fs_exists(other));
    free(other);
    free(text);
    cv_seckey_destroy(&key);
    drop_sample(&s);
}

/* text with the n-th character of the value of member replaced. */
static char *changed(const char *text, const char *member, size_t n)
{
    char *copy = cv_strdup(text), *at = strstr(copy, member);
    assert_non_null(at);
    at += strlen(member) + n;
    *at = *at == '1' ? '2' : '1';
    return copy;
}

/* Damage to a file of ours is seen without a pass phrase. */
static void damage_is_told_from_a_wrong_pass_phrase(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        size_t n; /* which character of its value is changed */
    } table[] = {{"\"address\": \"", 5},
                 {"\"iv\": \"", 31},
                 {"\"ciphertext\": \"", 0},
                 {"\"salt\": \"", 63},
                 {"\"mac\": \"", 7},
                 {"\"check\": \"", 9},
                 {"\"public_key\": \"0x0", 20},
                 {"\"n\": ", 0},
                 {"\"r\": ", 0},
                 {"\"p\": ", 0}};
    sample s = {0};
    make_sample(&s, &light);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_keystore *ks = NULL;
        cv_err err = {0};
        char *bad = changed(s.text, table[i].member, table[i].n);
        assert_int_equal(parse(bad, &ks, &err), CV_ERR_INPUT);
        assert_null(ks);
        assert_null(strstr(err.text, "pass phrase"));
        if (!strstr(err.text, "damaged") && !strstr(err.text, "restore"))
            fail_msg("%s: %s", table[i].member, err.text);
        free(bad);
    }
    drop_sample(&s);
}

/* In a plain file the iv is under no checksum, but the address tells. */
static void a_changed_iv_or_address_is_named(void **state)
{
    (void)state;
    static const char *const members[] = {"\"iv\":\"", "\"address\":\""};
    for (size_t v = 4; v < N_PUBLISHED; v++) {
        for (size_t i = 0; i < 2; i++) {
            cv_seckey *key = NULL;
            cv_err err = {0};
            char *bad = changed(vectors[v].json, members[i], 3);
            assert_int_equal(open_text(bad, vectors[v].pass, &key, &err),
                             CV_ERR_INPUT);
            assert_non_null(strstr(err.text, "the pass phrase is right"));
            assert_null(key);
            free(bad);
        }
    }
}

/* ---- hostile files ----------------------------------------------------------
 */

/* vectors[5], or the one with PBKDF2, with the first `from` replaced by `to`.
 */
static char *edited(const char *from, const char *to)
{
    const char *text = vectors[5].json, *at = strstr(text, from);
    if (!at)
        at = strstr(text = vectors[0].json, from);
    assert_non_null(at);
    return cv_asprintf("%.*s%s%s", (int)(at - text), text, to,
                       at + strlen(from));
}

static void hostile_members_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *says;
    } table[] = {
        {"\"n\":8,", "\"n\":1099511627776,", "scrypt cost of at most 1024 MiB"},
        {"\"n\":8,", "\"n\":9223372036854775807,", "power of two"},
        {"\"n\":8,", "\"n\":9,", "power of two"},
        {"\"n\":8,", "\"n\":1,", "power of two"},
        {"\"n\":8,", "\"n\":0,", "kdfparams.n"},
        {"\"n\":8,", "\"n\":-8,", "kdfparams.n"},
        {"\"n\":8,", "\"n\":8.0,", "kdfparams.n"},
        {"\"n\":8,", "\"n\":\"8\",", "kdfparams.n"},
        {"\"n\":8,", "\"n\":true,", "kdfparams.n"},
        {"\"n\":8,", "", "kdfparams.n"},
        {"\"n\":8,", "\"n\":8,\"n\":8,", "no JSON"}, /* which one holds? */
        {"\"n\":8,", "\"n\":99999999999999999999,", "no JSON"},
        {"\"r\":8,", "\"r\":4294967296,", "kdfparams.r"},
        {"\"r\":8,", "\"r\":4294967295,", "scrypt cost"},
        {"\"p\":16,", "\"p\":4294967295,", "scrypt cost"},
        {"\"p\":16,", "\"p\":0,", "kdfparams.p"},
        {"\"c\":262144,", "\"c\":10000001,", "1 to 10000000 in kdfparams.c"},
        {"\"c\":262144,", "\"c\":0,", "kdfparams.c"},
        {"\"c\":262144,", "\"c\":-1,", "kdfparams.c"},
        {"\"c\":262144,", "\"n\":262144,", "kdfparams.c"},
        {"hmac-sha256", "hmac-sha512", "hmac-sha256 in kdfparams.prf"},
        {"\"dklen\":32", "\"dklen\":16", "32 in kdfparams.dklen"},
        {"\"dklen\":32", "\"dklen\":33", "32 in kdfparams.dklen"},
        {"\"dklen\":32,", "", "kdfparams.dklen"},
        {"\"salt\":\"0d67", "\"salt\":\"0d6", "kdfparams.salt"},
        {"\"salt\":\"0d67", "\"salt\":\"zz67", "kdfparams.salt"},
        {"\"scrypt\"", "\"argon2id\"", "scrypt or pbkdf2 in crypto.kdf"},
        {"\"scrypt\"", "\"\\u001b[31m\"", "scrypt or pbkdf2 in crypto.kdf"},
        {"\"scrypt\"", "\"pbkdf2\"", "kdfparams.prf"},
        {"\"scrypt\"", "null", "crypto.kdf"},
        {"aes-128-ctr", "aes-256-cbc", "aes-128-ctr in crypto.cipher"},
        {"\"iv\":\"df", "\"iv\":\"", "cipherparams.iv"},
        {"\"iv\":\"df", "\"iv\":\"dfdf", "cipherparams.iv"},
        {"\"iv\":", "\"vi\":", "cipherparams.iv"},
        {"\"ciphertext\":\"cb", "\"ciphertext\":\"cbcb", "crypto.ciphertext"},
        {"\"ciphertext\":\"", "\"ciphertext\":\"\",\"x\":\"",
         "crypto.ciphertext"},
        {"\"mac\":\"ba", "\"mac\":\"", "crypto.mac"},
        {"\"mac\"", "\"cam\"", "crypto.mac"},
        {"\"version\":3", "\"version\":1", "another version"},
        {"\"version\":3", "\"version\":\"3\"", "another version"},
        {"\"version\":3", "\"version\":3.0", "another version"},
        {",\"version\":3", "", "another version"},
        {"\"crypto\":", "\"crypt\":", "in crypto"},
        {"\"address\":\"f4", "\"address\":\"", "in address"},
        {"\"address\":\"f4", "\"address\":\"zz", "in address"},
        {"\"address\":\"f466859ead1932d743d622cb74fc058882e8648a\"",
         "\"address\":7", "in address"},
        {"{\"address\"", "[{\"address\"", "no JSON"},
        {"\"version\":3}", "\"version\":3} x", "no JSON"},
        {"\"version\":3}", "\"version\":3,\"covey\":1}", "in covey"},
        {"\"version\":3}", "\"version\":3,\"covey\":{}}", "covey.public_key"},
        {"\"version\":3}", "\"version\":3,\"covey\":{\"public_key\":\"0x02\"}}",
         "covey.public_key"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char *text = edited(table[i].from, table[i].to);
        cv_keystore *ks = NULL;
        cv_err err = {0};
        assert_int_equal(parse(text, &ks, &err), CV_ERR_INPUT);
        assert_null(ks);
        if (!strstr(err.text, table[i].says))
            fail_msg("%s -> %s: %s", table[i].from, table[i].to, err.text);
        assert_string_equal(err.file, "k.json");
        for (const char *c = err.text; *c; c++)
            assert_true((unsigned char)*c >= ' '); /* no escape codes */
        free(text);
    }
}

static void harmless_differences_are_taken(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"\"crypto\":", "\"Crypto\":"},
        {"\"address\":\"f466859ead1932d743d622cb74fc058882e8648a\",", ""},
        {"\"address\":\"f466859ead1932d743d622cb74fc058882e8648a\"",
         "\"address\":\"\""},
        {"\"address\":\"f466", "\"address\":\"0xF466"},
        {"\"id\":\"472e8b3d-afb6-45b5-8111-72c89895099a\",", ""},
        {"\"id\":", "\"name\":{\"a\":[1,2.5,null]},\"id\":"},
        {"\"version\":3}", "\"version\":3}\n\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char *text = edited(table[i][0], table[i][1]);
        cv_seckey *key = NULL;
        cv_err err = {0};
        if (open_text(text, "foobar", &key, &err) != 0)
            fail_msg("%s: %s", table[i][1], err.text);
        cv_seckey_destroy(&key);
        free(text);
    }
}

/* Two files mixed up: what the wrong one says is not repeated. */
static void other_files_are_not_quoted(void **state)
{
    (void)state;
    static const char *const table[] = {
        "",
        "hunter2",
        "hunter2\n",
        "\"hunter2\"",
        "[\"hunter2\"]",
        "{\"hunter2\": 1}",
        "{\"version\": 3, \"hunter2\": {}}",
        "{\"crypto\": {}, \"version\": \"hunter2\"}",
        "{\"crypto\": \"hunter2\", \"version\": 3}",
        "{\"crypto\": {\"cipher\": \"hunter2\"}, \"version\": 3}",
        "covey: 1\nname: hunter2\n"};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_keystore *ks = NULL;
        cv_err err = {0};
        assert_int_equal(parse(table[i], &ks, &err), CV_ERR_INPUT);
        assert_null(strstr(err.text, "hunter2"));
        assert_null(strstr(err.site, "hunter2"));
    }
    cv_keystore *ks = NULL;
    cv_err err = {0};
    enum { DEEP = 60000, BIG = 70000 };
    char *text = cv_realloc(NULL, BIG, 1);
    memset(text, '[', BIG);
    assert_int_equal(cv_keystore_parse(text, DEEP, NULL, &ks, &err),
                     CV_ERR_INPUT);
    assert_int_equal(cv_keystore_parse(text, BIG, NULL, &ks, &err),
                     CV_ERR_INPUT);
    assert_non_null(strstr(err.text, "at most 65536 bytes"));
    free(text);
    assert_int_equal(cv_keystore_load("/nowhere/k.json", &ks, &err),
                     CV_ERR_INPUT);
    assert_int_equal(cv_keystore_load("/tmp", &ks, &err), CV_ERR_INPUT);
}

/* Whatever happens to a file, it is refused or gives the key it gave before. */
static void check_any(const char *text, size_t len, const char *phrase,
                      const cv_seckey *right, int *opened)
{
    cv_keystore *ks = NULL;
    cv_seckey *key = NULL;
    cv_err err = {0};
    cv_passphrase p = pass(phrase);
    int rc = cv_keystore_parse(text, len, "k.json", &ks, &err);
    if (!rc)
        rc = cv_keystore_unlock(ks, &p, &key, &err);
    if (rc) {
        assert_int_equal(rc, CV_ERR_INPUT);
        assert_int_equal(err.code, rc);
        assert_true(err.text[0] != '\0');
        assert_null(key);
    } else {
        assert_true(same_key(key, right));
        ++*opened;
    }
    cv_seckey_destroy(&key);
    cv_keystore_destroy(&ks);
}

static void truncations_and_mutations(void **state)
{
    (void)state;
    sample s = {0};
    make_sample(&s, &light);
    cv_seckey *other = NULL;
    assert_int_equal(open_text(vectors[5].json, "foobar", &other, NULL), 0);
    const struct {
        const char *text, *phrase;
        const cv_seckey *key;
    } table[] = {{s.text, "correct horse", s.key},
                 {vectors[5].json, "foobar", other}};
    cv_stream r;
    cv_stream_open(&r, 11, "mutations", 0, 0);
    for (size_t t = 0; t < 2; t++) {
        size_t n = strlen(table[t].text);
        int opened = 0;
        for (size_t cut = 0; cut < n; cut++) {
            /* A copy of its own, so that a read past the end is seen. */
            char *part = cv_realloc(NULL, cut, 1);
            memcpy(part, table[t].text, cut);
            check_any(part, cut, table[t].phrase, table[t].key, &opened);
            free(part);
        }
        assert_true(opened <= 1); /* without the last line end */
        char *text = cv_strdup(table[t].text);
        for (int i = 0; i < N_MUTATIONS; i++) {
            size_t at = cv_stream_below(&r, n), to = cv_stream_below(&r, n);
            char keep = text[at];
            switch (cv_stream_below(&r, 3)) {
            case 0: /* a bit */
                text[at] ^= (char)(1 << cv_stream_below(&r, 8));
                break;
            case 1: /* a byte of the same text */
                text[at] = text[to];
                break;
            default: /* any byte */
                text[at] = (char)cv_stream_below(&r, 256);
            }
            check_any(text, n, table[t].phrase, table[t].key, &opened);
            text[at] = keep;
        }
        assert_true(opened > 25); /* e.g. in the id, or hex in capitals */
        free(text);
    }
    cv_stream_close(&r);
    cv_seckey_destroy(&other);
    drop_sample(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_files_open),
        cmocka_unit_test(a_wrong_pass_phrase_is_one),
        cmocka_unit_test(our_files_come_back),
        cmocka_unit_test(nothing_is_reused_between_files),
        cmocka_unit_test(a_file_is_never_overwritten),
        cmocka_unit_test(damage_is_told_from_a_wrong_pass_phrase),
        cmocka_unit_test(a_changed_iv_or_address_is_named),
        cmocka_unit_test(hostile_members_are_named),
        cmocka_unit_test(harmless_differences_are_taken),
        cmocka_unit_test(other_files_are_not_quoted),
        cmocka_unit_test(truncations_and_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
