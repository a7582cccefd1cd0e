#include "chain/key.h"

#include <secp256k1_ecdh.h>
#include <secp256k1_recovery.h>
#include <string.h>

#include "chain/curve.h"
#include "core/mem.h"
#include "core/secret.h"

struct cv_seckey {
    uint8_t secret[32];
    cv_pubkey pub;
};

int cv_seckey_from_bytes(const uint8_t secret[32], cv_seckey **out, cv_err *err)
{
    secp256k1_pubkey point;
    if (!secp256k1_ec_pubkey_create(cv_curve(), &point, secret))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected a secret key between 1 and the order of "
                          "secp256k1, found one outside");
    cv_seckey *key = cv_secret_alloc(sizeof *key);
    memcpy(key->secret, secret, sizeof key->secret);
    cv_curve_store(&key->pub, &point);
    *out = key;
    return 0;
}

void cv_seckey_generate(cv_seckey **out)
{
    uint8_t *secret = cv_secret_alloc(32);
    do /* a second try is as likely as guessing a key */
        cv_entropy(secret, 32);
    while (cv_seckey_from_bytes(secret, out, NULL) != 0);
    cv_secret_free(secret);
}

void cv_seckey_destroy(cv_seckey **key)
{
    cv_secret_free(*key);
    *key = NULL;
}

void cv_seckey_pubkey(const cv_seckey *key, cv_pubkey *out)
{
    *out = key->pub;
}

void cv_seckey_address(const cv_seckey *key, cv_address *out)
{
    CV_CHECK(cv_pubkey_address(out, &key->pub, NULL) == 0);
}

void cv_seckey_export(const cv_seckey *key, uint8_t secret[32])
{
    memcpy(secret, key->secret, sizeof key->secret);
}

void cv_seckey_sign(const cv_seckey *key, cv_sig *out, const uint8_t digest[32])
{
    secp256k1_ecdsa_recoverable_signature sig;
    int parity = -1;
    /* NULL: the library's nonce of RFC 6979; it also keeps s low. */
    CV_CHECK(secp256k1_ecdsa_sign_recoverable(cv_curve(), &sig, digest,
                                              key->secret, NULL, NULL) == 1);
    CV_CHECK(secp256k1_ecdsa_recoverable_signature_serialize_compact(
                 cv_curve(), out->b, &parity, &sig) == 1);
    /* 2 and 3 stand for r above the group order: nobody has seen one. */
    CV_CHECK(parity == 0 || parity == 1);
    out->b[64] = (uint8_t)parity;
}

static int check_low_s(const cv_sig *sig, cv_err *err)
{
    secp256k1_ecdsa_signature plain;
    if (!secp256k1_ecdsa_signature_parse_compact(cv_curve(), &plain, sig->b))
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "expected a signature with r and s below the group "
                          "order, found a larger number");
    if (secp256k1_ecdsa_signature_normalize(cv_curve(), NULL, &plain))
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "expected a signature with s in the lower half, "
                          "found the upper one: a second form that somebody "
                          "made of a valid signature");
    return 0;
}

int cv_sig_recover(const cv_sig *sig, cv_pubkey *out, const uint8_t digest[32],
                   cv_err *err)
{
    if (sig->b[64] > 1)
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "expected a signature that ends in 0 or 1, found %d",
                          sig->b[64]);
    int rc = check_low_s(sig, err);
    if (rc)
        return rc;
    secp256k1_ecdsa_recoverable_signature rec;
    secp256k1_pubkey point;
    if (!secp256k1_ecdsa_recoverable_signature_parse_compact(
            cv_curve(), &rec, sig->b, sig->b[64]) ||
        !secp256k1_ecdsa_recover(cv_curve(), &point, &rec, digest))
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "expected a signature, found bytes that belong to "
                          "no key");
    cv_curve_store(out, &point);
    return 0;
}

int cv_sig_verify(const cv_sig *sig, const cv_pubkey *signer,
                  const uint8_t digest[32], cv_err *err)
{
    cv_pubkey who;
    int rc = cv_sig_recover(sig, &who, digest, err);
    if (rc)
        return rc;
    if (cv_pubkey_same(&who, signer))
        return 0;
    char text[CV_PUBKEY_TEXT];
    cv_pubkey_text(text, signer);
    return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                      "the signature is not by %s over these bytes: another "
                      "key signed, or something was changed since",
                      text);
}

int cv_seckey_agree(const cv_seckey *key, uint8_t shared[32],
                    const cv_pubkey *peer, cv_err *err)
{
    secp256k1_pubkey point;
    int rc = cv_curve_load(&point, peer, err);
    if (rc)
        return rc;
    CV_CHECK(secp256k1_ecdh(cv_curve(), shared, &point, key->secret,
                            secp256k1_ecdh_hash_function_sha256, NULL) == 1);
    return 0;
}
