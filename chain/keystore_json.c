/* Key files as JSON: each member is looked at once, strictly. */
#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "chain/keystore_parts.h"
#include "core/bytes.h"
#include "core/text.h"

/* Where we are, for messages. */
typedef struct {
    const char *file;
    cv_err *err;
} place;

static int wrong(const place *at, const char *member, const char *expected)
{
    return cv_err_set(at->err, CV_ERR_INPUT, at->file, 0,
                      "not a key file that can be opened: expected %s in "
                      "%s; if it is yours, restore it from a copy",
                      expected, member);
}

static int get_object(const place *at, const json_t *parent, const char *key,
                      const char *member, const json_t **out)
{
    *out = json_object_get(parent, key);
    return json_is_object(*out) ? 0 : wrong(at, member, "an object");
}

static int get_text(const place *at, const json_t *parent, const char *key,
                    const char *member, const char **out)
{
    const json_t *v = json_object_get(parent, key);
    if (!json_is_string(v))
        return wrong(at, member, "a text");
    *out = json_string_value(v);
    return 0;
}

static int get_number(const place *at, const json_t *parent, const char *key,
                      const char *member, uint64_t max, uint64_t *out)
{
    const json_t *v = json_object_get(parent, key);
    if (!json_is_integer(v) || json_integer_value(v) < 1 ||
        (uint64_t)json_integer_value(v) > max) {
        char expected[80];
        snprintf(expected, sizeof expected, "a whole number from 1 to %llu",
                 (unsigned long long)max);
        return wrong(at, member, expected);
    }
    *out = (uint64_t)json_integer_value(v);
    return 0;
}

/* From min to max bytes of hex. */
static int get_hex(const place *at, const json_t *parent, const char *key,
                   const char *member, size_t min, size_t max, uint8_t *out,
                   size_t *len)
{
    const char *s = "";
    int rc = get_text(at, parent, key, member, &s);
    if (rc)
        return rc;
    const char *digits =
        s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? s + 2 : s;
    size_t n = strlen(digits) / 2;
    if (n < min || n > max || cv_unhex(out, s, n) != 0) {
        char expected[80];
        snprintf(expected, sizeof expected, "%zu to %zu bytes in hexadecimal",
                 min, max);
        return wrong(at, member, expected);
    }
    *len = n;
    return 0;
}

/* One of a few words; what was found is not repeated, because it may be
 * anything. */
static int get_word(const place *at, const json_t *parent, const char *key,
                    const char *member, const char *const *words, size_t n,
                    int *index)
{
    const char *s = "";
    int rc = get_text(at, parent, key, member, &s);
    if (rc)
        return rc;
    *index = cv_word_index(s, words, n);
    if (*index >= 0)
        return 0;
    char expected[80];
    snprintf(expected, sizeof expected, "%s%s%s", words[0], n > 1 ? " or " : "",
             n > 1 ? words[1] : "");
    return wrong(at, member, expected);
}

static int read_version(const place *at, const json_t *root)
{
    const json_t *v = json_object_get(root, "version");
    if (json_is_integer(v) && json_integer_value(v) == 3)
        return 0;
    if (!json_object_get(root, "crypto") && !json_object_get(root, "Crypto"))
        return cv_err_set(at->err, CV_ERR_INPUT, at->file, 0,
                          "expected an Ethereum key file (JSON with version "
                          "3), found other JSON; `covey keys new` makes one");
    return cv_err_set(at->err, CV_ERR_INPUT, at->file, 0,
                      "expected a key file of version 3, found another "
                      "version; a wallet or `geth account update` converts "
                      "older ones");
}

static int read_kdf(const place *at, const json_t *crypto, cv_keystore *ks)
{
    static const char *const kinds[] = {"scrypt", "pbkdf2"};
    static const char *const prfs[] = {"hmac-sha256"};
    const json_t *params = NULL;
    uint64_t dklen = 0, r = 0, p = 0, c = 0;
    int kind = 0, prf = 0;
    int rc = get_word(at, crypto, "kdf", "crypto.kdf", kinds, 2, &kind);
    if (!rc)
        rc = get_object(at, crypto, "kdfparams", "crypto.kdfparams", &params);
    if (!rc)
        rc = get_number(at, params, "dklen", "kdfparams.dklen", INT64_MAX,
                        &dklen);
    if (!rc && dklen != 32)
        rc = wrong(at, "kdfparams.dklen", "32");
    if (!rc)
        rc = get_hex(at, params, "salt", "kdfparams.salt", 1, CV_SALT_MAX,
                     ks->salt, &ks->salt_len);
    if (rc)
        return rc;
    if (kind == 1) {
        ks->kdf.kind = CV_KDF_PBKDF2;
        rc = get_word(at, params, "prf", "kdfparams.prf", prfs, 1, &prf);
        if (!rc)
            rc = get_number(at, params, "c", "kdfparams.c", CV_PBKDF2_MAX, &c);
        ks->kdf.iterations = (uint32_t)c;
        return rc;
    }
    ks->kdf.kind = CV_KDF_SCRYPT;
    rc = get_number(at, params, "n", "kdfparams.n", INT64_MAX,
                    &ks->kdf.scrypt.n);
    if (!rc)
        rc = get_number(at, params, "r", "kdfparams.r", UINT32_MAX, &r);
    if (!rc)
        rc = get_number(at, params, "p", "kdfparams.p", UINT32_MAX, &p);
    ks->kdf.scrypt.r = (uint32_t)r;
    ks->kdf.scrypt.p = (uint32_t)p;
    if (!rc && (rc = cv_scrypt_check(&ks->kdf.scrypt, at->err)) && at->err)
        snprintf(at->err->file, sizeof at->err->file, "%s", at->file);
    return rc;
}

static int read_crypto(const place *at, const json_t *crypto, cv_keystore *ks)
{
    static const char *const ciphers[] = {"aes-128-ctr"};
    const json_t *params = NULL;
    size_t n = 0;
    int cipher = 0;
    int rc =
        get_word(at, crypto, "cipher", "crypto.cipher", ciphers, 1, &cipher);
    if (!rc)
        rc = get_object(at, crypto, "cipherparams", "crypto.cipherparams",
                        &params);
    if (!rc)
        rc = get_hex(at, params, "iv", "cipherparams.iv", 16, 16, ks->iv, &n);
    if (!rc)
        rc = get_hex(at, crypto, "ciphertext", "crypto.ciphertext", 1, 32,
                     ks->text, &ks->text_len);
    if (!rc)
        rc = get_hex(at, crypto, "mac", "crypto.mac", 32, 32, ks->mac, &n);
    if (!rc)
        rc = read_kdf(at, crypto, ks);
    return rc;
}

/* The member that others ignore. Once it is there it must hold. */
static int read_covey(const place *at, const json_t *covey, cv_keystore *ks)
{
    uint8_t check[32], digest[32];
    cv_address of_pubkey;
    const char *text = "";
    size_t n = 0;
    int rc = get_text(at, covey, "public_key", "covey.public_key", &text);
    if (!rc && (rc = cv_pubkey_parse(&ks->pubkey, text, NULL)) != 0)
        rc = wrong(at, "covey.public_key", "a public key");
    if (!rc)
        rc = get_hex(at, covey, "check", "covey.check", 32, 32, check, &n);
    if (rc)
        return rc;
    ks->has_pubkey = 1;
    cv_keystore_digest(digest, ks);
    if (memcmp(digest, check, sizeof digest) != 0)
        return cv_err_set(at->err, CV_ERR_INPUT, at->file, 0,
                          "the key file is damaged: its content does not fit "
                          "its own check sum; restore it from a copy");
    rc = cv_pubkey_address(&of_pubkey, &ks->pubkey, at->err);
    if (!rc && (!ks->has_address ||
                memcmp(of_pubkey.b, ks->address.b, sizeof of_pubkey.b) != 0))
        rc = wrong(at, "address", "the address of the public key");
    return rc;
}

static int read_root(const place *at, const json_t *root, cv_keystore *ks)
{
    const json_t *crypto = NULL, *covey = json_object_get(root, "covey");
    size_t n = 0;
    int rc = read_version(at, root);
    if (rc)
        return rc;
    /* Early wallets wrote a capital. */
    const char *name = json_object_get(root, "crypto") ? "crypto" : "Crypto";
    rc = get_object(at, root, name, "crypto", &crypto);
    if (!rc)
        rc = read_crypto(at, crypto, ks);
    /* Some wallets leave the address out, or empty. */
    const json_t *address = json_object_get(root, "address");
    if (!rc && address && !json_is_null(address) &&
        !(json_is_string(address) && json_string_length(address) == 0)) {
        rc = get_hex(at, root, "address", "address", CV_ADDRESS_BYTES,
                     CV_ADDRESS_BYTES, ks->address.b, &n);
        ks->has_address = !rc;
    }
    if (!rc && covey) {
        rc = get_object(at, root, "covey", "covey", &covey);
        if (!rc)
            rc = read_covey(at, covey, ks);
    }
    return rc;
}

int cv_keystore_read_json(cv_keystore *ks, const char *text, size_t len,
                          cv_err *err)
{
    place at = {ks->file, err};
    json_error_t where;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        /* The parser's own message quotes the text, which may be a pass phrase
         * if two files were mixed up: only the line is told. */
        return cv_err_set(err, CV_ERR_INPUT, ks->file,
                          where.line > 0 ? where.line : 0,
                          "expected an Ethereum key file (JSON, version 3), "
                          "found something that is no JSON, or no longer");
    int rc = json_is_object(root)
                 ? read_root(&at, root, ks)
                 : cv_err_set(err, CV_ERR_INPUT, ks->file, 0,
                              "expected an Ethereum key file (a JSON object), "
                              "found other JSON");
    json_decref(root);
    return rc;
}
