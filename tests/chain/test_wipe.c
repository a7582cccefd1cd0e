/* What is left of a secret in this process once it was destroyed? */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "chain/binding.h"
#include "chain/key.h"
#include "chain/keystore.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/secret.h"

static int is_at(const uint8_t *p, const uint8_t inverse[32])
{
    size_t k = 0;
    while (k < 32 && (p[k] ^ inverse[k]) == 0xff)
        k++;
    return k == 32;
}

/* How often the 32 bytes with this complement (never the bytes themselves, or
 * we would find ourselves) are in memory that can be written. */
static int copies_in_memory(const uint8_t inverse[32])
{
    enum { BLOCK = 1 << 16, ROOM = BLOCK + 31 };
    /* Shared, so that it is a mapping of its own that can be left out. */
    uint8_t *block = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(block != MAP_FAILED);
    FILE *maps = fopen("/proc/self/maps", "r");
    int mem = open("/proc/self/mem", O_RDONLY), found = 0;
    char line[500], mode[5];
    unsigned long from, to;
    assert_non_null(maps);
    assert_true(mem >= 0);
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) != 3 ||
            mode[0] != 'r' || mode[1] != 'w' || to - from > 1 << 26 ||
            ((uintptr_t)block >= from && (uintptr_t)block < to))
            continue;
        for (unsigned long at = from; at < to; at += BLOCK) {
            size_t want = to - at < ROOM ? to - at : ROOM;
            ssize_t n = pread(mem, block, want, (off_t)at);
            for (ssize_t i = 0; i + 32 <= n; i++)
                found += is_at(block + i, inverse);
        }
    }
    fclose(maps);
    close(mem);
    munmap(block, ROOM);
    return found;
}

static void nothing_is_left_of_a_key(void **state)
{
    (void)state;
    uint8_t inverse[3][32], secret[32], shared[32], digest[32] = {3};
    cv_seckey *key = NULL, *derived = NULL, *peer = NULL;
    cv_pubkey p;
    cv_sig sig;
    cv_seckey_generate(&peer);
    cv_seckey_pubkey(peer, &p);
    cv_seckey_generate(&key);
    cv_seckey_export(key, secret);
    for (size_t i = 0; i < 32; i++) {
        inverse[0][i] = (uint8_t)~secret[i];
        inverse[1][31 - i] = (uint8_t)~secret[i]; /* as little-endian words */
    }
    cv_wipe(secret, sizeof secret);
    assert_int_equal(copies_in_memory(inverse[0]), 1); /* the key's own */
    for (int i = 0; i < 3; i++) {
        cv_seckey_sign(key, &sig, digest);
        assert_int_equal(cv_seckey_agree(key, shared, &p, NULL), 0);
    }
    for (size_t i = 0; i < 32; i++)
        inverse[2][i] = (uint8_t)~shared[i];
    cv_wipe(shared, sizeof shared);
    cv_seckey_derive_attestation(key, &derived, "", 0);
    cv_seckey_destroy(&derived);
    cv_seckey_destroy(&key);
    for (int i = 0; i < 3; i++)
        if (copies_in_memory(inverse[i]))
            fail_msg("a copy of secret %d is left", i);
    cv_seckey_destroy(&peer);
}

/* 32 printable bytes nobody else has, written to a file; out gets their
 * complement, and no other copy stays. */
static void write_phrase(const char *path, uint8_t inverse[32])
{
    uint8_t phrase[32];
    cv_entropy(phrase, sizeof phrase);
    for (size_t i = 0; i < 32; i++) {
        phrase[i] = (uint8_t)('a' + phrase[i] % 26);
        inverse[i] = (uint8_t)~phrase[i];
    }
    assert_int_equal(cv_fs_write(path, phrase, 32, 0600, NULL), 0);
    cv_wipe(phrase, sizeof phrase);
}

static void nothing_is_left_of_a_key_file(void **state)
{
    (void)state;
    static const cv_kdf kdfs[] = {
        {.kind = CV_KDF_SCRYPT, .scrypt = {1024, 8, 1}},
        {.kind = CV_KDF_PBKDF2, .iterations = 100}};
    char dir[] = "/tmp/covey-wipe-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *file = cv_fs_join(dir, "k.json"), *pw = cv_fs_join(dir, "pw");
    for (size_t i = 0; i < 2; i++) {
        uint8_t inverse[2][32], secret[32];
        cv_seckey *key = NULL;
        cv_keystore *ks = NULL;
        cv_passphrase pass = {0};
        write_phrase(pw, inverse[0]);
        assert_int_equal(cv_passphrase_read(pw, &pass, NULL), 0);
        assert_int_equal(copies_in_memory(inverse[0]), 1);
        cv_seckey_generate(&key);
        cv_seckey_export(key, secret);
        for (size_t k = 0; k < 32; k++)
            inverse[1][k] = (uint8_t)~secret[k];
        cv_wipe(secret, sizeof secret);
        assert_int_equal(cv_keystore_save(file, key, &pass, &kdfs[i], NULL), 0);
        cv_seckey_destroy(&key);
        assert_int_equal(copies_in_memory(inverse[1]), 0);
        assert_int_equal(cv_keystore_load(file, &ks, NULL), 0);
        assert_int_equal(cv_keystore_unlock(ks, &pass, &key, NULL), 0);
        assert_int_equal(copies_in_memory(inverse[1]), 1);
        cv_seckey_destroy(&key);
        cv_passphrase_wipe(&pass);
        cv_keystore_destroy(&ks);
        for (int k = 0; k < 2; k++)
            if (copies_in_memory(inverse[k]))
                fail_msg("a copy of secret %d is left", k);
        unlink(file);
        unlink(pw);
    }
    rmdir(dir);
    free(file);
    free(pw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left_of_a_key),
        cmocka_unit_test(nothing_is_left_of_a_key_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
