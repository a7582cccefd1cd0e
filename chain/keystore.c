#include "chain/keystore.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/keccak.h"
#include "chain/keystore_parts.h"
#include "core/bytes.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/secret.h"
#include "core/tagged.h"

const cv_kdf cv_kdf_default = {
    .kind = CV_KDF_SCRYPT,
    .scrypt = {.n = 1 << 18, .r = 8, .p = 1},
};

void cv_keystore_digest(uint8_t out[32], const cv_keystore *ks)
{
    uint8_t cost[40];
    cv_put_le64(cost, (uint64_t)ks->kdf.kind);
    cv_put_le64(cost + 8, ks->kdf.scrypt.n);
    cv_put_le64(cost + 16, ks->kdf.scrypt.r);
    cv_put_le64(cost + 24, ks->kdf.scrypt.p);
    cv_put_le64(cost + 32, ks->kdf.iterations);
    cv_part part[] = {{cost, sizeof cost},
                      {ks->salt, ks->salt_len},
                      {ks->iv, sizeof ks->iv},
                      {ks->text, ks->text_len},
                      {ks->mac, sizeof ks->mac},
                      {ks->address.b, sizeof ks->address.b},
                      {ks->pubkey.b, sizeof ks->pubkey.b}};
    cv_tagged_hash(out, "covey key file v1", part, 7);
}

int cv_keystore_parse(const char *text, size_t len, const char *file,
                      cv_keystore **out, cv_err *err)
{
    cv_keystore *ks = CV_NEW(1, cv_keystore);
    snprintf(ks->file, sizeof ks->file, "%s", file ? file : "");
    int rc = len <= CV_KEYSTORE_FILE_MAX
                 ? cv_keystore_read_json(ks, text, len, err)
                 : cv_err_set(err, CV_ERR_INPUT, file, 0,
                              "expected a key file of at most %d bytes, "
                              "found %zu",
                              CV_KEYSTORE_FILE_MAX, len);
    if (rc)
        free(ks);
    else
        *out = ks;
    return rc;
}

int cv_keystore_load(const char *path, cv_keystore **out, cv_err *err)
{
    char *text = NULL;
    size_t len = 0;
    int rc = cv_fs_read(path, CV_KEYSTORE_FILE_MAX, &text, &len, err);
    if (!rc)
        rc = cv_keystore_parse(text, len, path, out, err);
    free(text);
    return rc;
}

void cv_keystore_destroy(cv_keystore **ks)
{
    CV_FREE(*ks);
}

int cv_keystore_address(const cv_keystore *ks, cv_address *out)
{
    if (ks->has_address)
        *out = ks->address;
    return ks->has_address;
}

int cv_keystore_pubkey(const cv_keystore *ks, cv_pubkey *out)
{
    if (ks->has_pubkey)
        *out = ks->pubkey;
    return ks->has_pubkey;
}

static int derive(uint8_t key[32], const cv_keystore *ks,
                  const cv_passphrase *pass, cv_err *err)
{
    const char *text = pass->len ? pass->text : "";
    if (ks->kdf.kind == CV_KDF_SCRYPT)
        return cv_scrypt(key, 32, text, pass->len, ks->salt, ks->salt_len,
                         &ks->kdf.scrypt, err);
    CV_CHECK(PKCS5_PBKDF2_HMAC(text, (int)pass->len, ks->salt,
                               (int)ks->salt_len, (int)ks->kdf.iterations,
                               EVP_sha256(), 32, key) == 1);
    return 0;
}

/* AES-128-CTR, both ways; 16 bytes of key. */
static void crypt_ctr(uint8_t *out, const uint8_t *in, size_t n,
                      const uint8_t *key, const uint8_t iv[16])
{
    int got = 0;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    CV_CHECK(c && EVP_EncryptInit_ex(c, EVP_aes_128_ctr(), NULL, key, iv) == 1);
    CV_CHECK(EVP_EncryptUpdate(c, out, &got, in, (int)n) == 1);
    CV_CHECK((size_t)got == n);
    EVP_CIPHER_CTX_free(c);
}

/* Keccak-256 of the derived key's second half and the encrypted secret. */
static void compute_mac(uint8_t mac[32], const uint8_t key[32],
                        const cv_keystore *ks)
{
    cv_keccak k = {0};
    cv_keccak_add(&k, key + 16, 16);
    cv_keccak_add(&k, ks->text, ks->text_len);
    cv_keccak_end(&k, mac);
}

static int check_owner(const cv_keystore *ks, const cv_seckey *key, cv_err *err)
{
    cv_address address;
    cv_pubkey pubkey;
    cv_seckey_address(key, &address);
    cv_seckey_pubkey(key, &pubkey);
    if ((ks->has_address &&
         memcmp(address.b, ks->address.b, sizeof address.b) != 0) ||
        (ks->has_pubkey && !cv_pubkey_same(&pubkey, &ks->pubkey)))
        return cv_err_set(err, CV_ERR_INPUT, ks->file, 0,
                          "the pass phrase is right, but the secret in the "
                          "file is not that of the address it names: the iv "
                          "or the address was damaged or changed; restore the "
                          "file from a copy");
    return 0;
}

int cv_keystore_unlock(const cv_keystore *ks, const cv_passphrase *pass,
                       cv_seckey **out, cv_err *err)
{
    uint8_t mac[32];
    uint8_t *key = cv_secret_alloc(64), *secret = key + 32;
    cv_seckey *opened = NULL;
    int rc = derive(key, ks, pass, err);
    if (rc)
        goto out;
    compute_mac(mac, key, ks);
    if (!cv_equal(mac, ks->mac, sizeof mac)) {
        rc = cv_err_set(err, CV_ERR_INPUT, ks->file, 0, "%s",
                        ks->has_pubkey
                            ? "wrong pass phrase (the file itself is whole)"
                            : "wrong pass phrase, or a damaged file (this "
                              "file's format cannot tell which)");
        goto out;
    }
    crypt_ctr(secret + 32 - ks->text_len, ks->text, ks->text_len, key, ks->iv);
    rc = cv_seckey_from_bytes(secret, &opened, err);
    if (!rc)
        rc = check_owner(ks, opened, err);
    if (!rc) {
        *out = opened;
        opened = NULL;
    }
out:
    cv_seckey_destroy(&opened);
    cv_secret_free(key);
    return rc;
}

/* ---- writing ----------------------------------------------------------------
 */

static void add_hex(cv_buf *b, const char *name, const uint8_t *data, size_t n,
                    const char *after)
{
    char hex[2 * CV_SALT_MAX + 1];
    cv_hex(hex, data, n);
    cv_buf_printf(b, "\"%s\": \"%s\"%s", name, hex, after);
}

static void add_kdf(cv_buf *b, const cv_keystore *ks)
{
    const cv_scrypt_cost *s = &ks->kdf.scrypt;
    if (ks->kdf.kind == CV_KDF_SCRYPT)
        cv_buf_printf(
            b,
            "    \"kdf\": \"scrypt\",\n    \"kdfparams\": {\"dklen\": "
            "32, \"n\": %llu, \"r\": %u, \"p\": %u,\n      ",
            (unsigned long long)s->n, s->r, s->p);
    else
        cv_buf_printf(
            b,
            "    \"kdf\": \"pbkdf2\",\n    \"kdfparams\": {\"dklen\": "
            "32, \"c\": %u, \"prf\": \"hmac-sha256\",\n      ",
            ks->kdf.iterations);
    add_hex(b, "salt", ks->salt, ks->salt_len, "},\n    ");
}

/* A random UUID (RFC 9562, version 4): the format wants one. */
static void add_id(cv_buf *b)
{
    uint8_t u[16];
    char h[33];
    cv_entropy(u, sizeof u);
    u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
    u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
    cv_hex(h, u, sizeof u);
    cv_buf_printf(b, "  \"id\": \"%.8s-%.4s-%.4s-%.4s-%.12s\",\n", h, h + 8,
                  h + 12, h + 16, h + 20);
}

static void to_json(cv_buf *b, const cv_keystore *ks)
{
    char pubkey[CV_PUBKEY_TEXT];
    uint8_t digest[32];
    cv_pubkey_text(pubkey, &ks->pubkey);
    cv_keystore_digest(digest, ks);
    cv_buf_printf(b, "{\n  ");
    add_hex(b, "address", ks->address.b, sizeof ks->address.b, ",\n");
    cv_buf_printf(b, "  \"crypto\": {\n    \"cipher\": \"aes-128-ctr\",\n"
                     "    \"cipherparams\": {");
    add_hex(b, "iv", ks->iv, sizeof ks->iv, "},\n    ");
    add_hex(b, "ciphertext", ks->text, ks->text_len, ",\n");
    add_kdf(b, ks);
    add_hex(b, "mac", ks->mac, sizeof ks->mac, "\n  },\n");
    add_id(b);
    cv_buf_printf(b,
                  "  \"version\": 3,\n  \"covey\": {\"public_key\": \"%s\",\n"
                  "    ",
                  pubkey);
    add_hex(b, "check", digest, sizeof digest, "}\n}\n");
}

/* Lock key into ks. */
static int seal(cv_keystore *ks, const cv_seckey *key,
                const cv_passphrase *pass, cv_err *err)
{
    cv_seckey_address(key, &ks->address);
    cv_seckey_pubkey(key, &ks->pubkey);
    ks->has_address = ks->has_pubkey = 1;
    cv_entropy(ks->salt, ks->salt_len = 32);
    cv_entropy(ks->iv, sizeof ks->iv);
    uint8_t *dk = cv_secret_alloc(64), *secret = dk + 32;
    int rc = derive(dk, ks, pass, err);
    if (!rc) {
        cv_seckey_export(key, secret);
        crypt_ctr(ks->text, secret, ks->text_len = 32, dk, ks->iv);
        compute_mac(ks->mac, dk, ks);
    }
    cv_secret_free(dk);
    return rc;
}

int cv_keystore_save(const char *path, const cv_seckey *key,
                     const cv_passphrase *pass, const cv_kdf *kdf, cv_err *err)
{
    if (pass->len == 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected a pass phrase for the new key, found an "
                          "empty one");
    if (kdf->kind == CV_KDF_PBKDF2 &&
        (kdf->iterations < 1 || kdf->iterations > CV_PBKDF2_MAX))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected 1 to %d iterations of PBKDF2, found %u",
                          CV_PBKDF2_MAX, kdf->iterations);
    cv_keystore *ks = CV_NEW(1, cv_keystore);
    cv_buf json = {0};
    ks->kdf = *kdf;
    int rc = seal(ks, key, pass, err);
    if (!rc) {
        to_json(&json, ks);
        rc = cv_fs_write_new(path, json.data, json.len, 0600, err);
    }
    cv_buf_free(&json);
    free(ks);
    return rc;
}
