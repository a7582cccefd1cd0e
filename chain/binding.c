#include "chain/binding.h"

#include <string.h>

#include "core/bytes.h"
#include "core/hkdf.h"
#include "core/secret.h"
#include "core/tagged.h"

void cv_seckey_derive_attestation(const cv_seckey *identity, cv_seckey **out,
                                  const void *context, size_t context_len)
{
    static const char salt[] = "covey key derivation v1";
    uint8_t *secret = cv_secret_alloc(64), *derived = secret + 32;
    cv_seckey_export(identity, secret);
    uint32_t attempt = 0;
    do { /* once in 2^128 cases the bytes are no key: the next ones then */
        uint8_t number[4], info[32];
        cv_put_le32(number, attempt++);
        cv_part part[] = {{context, context_len}, {number, sizeof number}};
        cv_tagged_hash(info, "covey attestation key v1", part, 2);
        cv_hkdf(derived, 32, secret, 32, salt, sizeof salt - 1, info,
                sizeof info);
    } while (cv_seckey_from_bytes(derived, out, NULL) != 0);
    cv_secret_free(secret);
}

void cv_binding_digest(uint8_t digest[32], const cv_pubkey *identity,
                       cv_key_use use, const cv_pubkey *key,
                       const void *context, size_t context_len)
{
    uint8_t word[4];
    cv_put_le32(word, (uint32_t)use);
    cv_part part[] = {{word, sizeof word},
                      {identity->b, sizeof identity->b},
                      {key->b, sizeof key->b},
                      {context, context_len}};
    cv_tagged_hash(digest, "covey key binding v1", part, 4);
}

void cv_binding_sign(const cv_seckey *identity, cv_sig *out, cv_key_use use,
                     const cv_pubkey *key, const void *context,
                     size_t context_len)
{
    cv_pubkey self;
    uint8_t digest[32];
    cv_seckey_pubkey(identity, &self);
    CV_CHECK(!cv_pubkey_same(&self, key));
    cv_binding_digest(digest, &self, use, key, context, context_len);
    cv_seckey_sign(identity, out, digest);
}

int cv_binding_verify(const cv_sig *sig, const cv_pubkey *identity,
                      cv_key_use use, const cv_pubkey *key, const void *context,
                      size_t context_len, cv_err *err)
{
    cv_pubkey checked;
    uint8_t digest[32];
    int rc = cv_pubkey_from_bytes(&checked, key->b, sizeof key->b, err);
    if (rc)
        return rc;
    if (cv_pubkey_same(identity, key))
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "expected a key of its own for this use, found the "
                          "identity key itself");
    cv_binding_digest(digest, identity, use, key, context, context_len);
    return cv_sig_verify(sig, identity, digest, err);
}
