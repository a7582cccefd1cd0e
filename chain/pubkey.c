#include "chain/pubkey.h"

#include <ctype.h>
#include <pthread.h>
#include <string.h>

#include "chain/curve.h"
#include "chain/keccak.h"
#include "core/bytes.h"
#include "core/mem.h"
#include "core/secret.h"

static secp256k1_context *context;

static void make_context(void)
{
    uint8_t seed[32];
    cv_entropy(seed, sizeof seed);
    context = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
    CV_CHECK(context && secp256k1_context_randomize(context, seed) == 1);
    cv_wipe(seed, sizeof seed);
}

const secp256k1_context *cv_curve(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_context);
    return context;
}

static int parse(secp256k1_pubkey *point, const uint8_t *b, cv_err *err)
{
    /* The library would take 06 and 07 (hybrid) in the long form, never in
     * the short one, but a message that says what came is worth more. */
    if (b[0] != 2 && b[0] != 3)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected a compressed public key that starts with "
                          "02 or 03, found %02x; `covey keys show` prints "
                          "the right form",
                          b[0]);
    if (secp256k1_ec_pubkey_parse(cv_curve(), point, b, CV_PUBKEY_BYTES))
        return 0;
    char hex[2 * CV_PUBKEY_BYTES + 1];
    cv_hex(hex, b, CV_PUBKEY_BYTES);
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "the public key 0x%s is not on the curve secp256k1; it "
                      "was mistyped, damaged or made up",
                      hex);
}

int cv_curve_load(secp256k1_pubkey *out, const cv_pubkey *key, cv_err *err)
{
    return parse(out, key->b, err);
}

void cv_curve_store(cv_pubkey *out, const secp256k1_pubkey *point)
{
    size_t n = CV_PUBKEY_BYTES;
    CV_CHECK(secp256k1_ec_pubkey_serialize(cv_curve(), out->b, &n, point,
                                           SECP256K1_EC_COMPRESSED) == 1);
    CV_CHECK(n == CV_PUBKEY_BYTES);
}

int cv_pubkey_from_bytes(cv_pubkey *out, const void *bytes, size_t n,
                         cv_err *err)
{
    if (n != CV_PUBKEY_BYTES)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected a compressed public key of %d bytes, "
                          "found %zu",
                          CV_PUBKEY_BYTES, n);
    secp256k1_pubkey point;
    int rc = parse(&point, bytes, err);
    if (!rc)
        memcpy(out->b, bytes, CV_PUBKEY_BYTES);
    return rc;
}

int cv_pubkey_parse(cv_pubkey *out, const char *text, cv_err *err)
{
    uint8_t b[CV_PUBKEY_BYTES];
    if (cv_unhex(b, text, sizeof b) != 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected a public key as 0x02.. or 0x03.. with %d "
                          "hexadecimal digits, found %zu characters%s",
                          2 * CV_PUBKEY_BYTES, strlen(text),
                          strlen(text) == 2 * sizeof b + 2 ||
                                  strlen(text) == 2 * sizeof b
                              ? " that are not all digits"
                              : "");
    return cv_pubkey_from_bytes(out, b, sizeof b, err);
}

void cv_pubkey_text(char out[CV_PUBKEY_TEXT], const cv_pubkey *key)
{
    memcpy(out, "0x", 2);
    cv_hex(out + 2, key->b, sizeof key->b);
}

int cv_pubkey_same(const cv_pubkey *a, const cv_pubkey *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

int cv_pubkey_address(cv_address *out, const cv_pubkey *key, cv_err *err)
{
    secp256k1_pubkey point;
    int rc = cv_curve_load(&point, key, err);
    if (rc)
        return rc;
    uint8_t xy[65], digest[32];
    size_t n = sizeof xy;
    CV_CHECK(secp256k1_ec_pubkey_serialize(cv_curve(), xy, &n, &point,
                                           SECP256K1_EC_UNCOMPRESSED) == 1);
    cv_keccak_of(digest, xy + 1, 64);
    memcpy(out->b, digest + 12, sizeof out->b);
    return 0;
}

void cv_address_text(char out[CV_ADDRESS_TEXT], const cv_address *a)
{
    uint8_t digest[32];
    memcpy(out, "0x", 2);
    cv_hex(out + 2, a->b, sizeof a->b);
    cv_keccak_of(digest, out + 2, 2 * CV_ADDRESS_BYTES);
    for (size_t i = 0; i < 2 * CV_ADDRESS_BYTES; i++) {
        int nibble = i % 2 ? digest[i / 2] & 15 : digest[i / 2] >> 4;
        if (nibble >= 8) /* toupper leaves digits alone */
            out[2 + i] = (char)toupper((unsigned char)out[2 + i]);
    }
}

int cv_address_parse(cv_address *out, const char *text, cv_err *err)
{
    cv_address a;
    if (cv_unhex(a.b, text, sizeof a.b) != 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected an address as 0x with %d hexadecimal "
                          "digits, found %zu characters",
                          2 * CV_ADDRESS_BYTES, strlen(text));
    const char *digits = text + strlen(text) - 2 * CV_ADDRESS_BYTES;
    int lower = 0, upper = 0;
    for (const char *s = digits; *s; s++) {
        lower |= *s >= 'a' && *s <= 'f';
        upper |= *s >= 'A' && *s <= 'F';
    }
    char right[CV_ADDRESS_TEXT];
    cv_address_text(right, &a);
    if (lower && upper && strcmp(digits, right + 2) != 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "the checksum of the address %.42s does not hold "
                          "(EIP-55): a letter was mistyped; these digits "
                          "would be %s",
                          text, right);
    *out = a;
    return 0;
}
