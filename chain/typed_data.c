#include "chain/typed_data.h"

#include <stdio.h>
#include <string.h>

#include "chain/keccak.h"

void cv_word_of_u64(uint8_t out[32], uint64_t v)
{
    memset(out, 0, 24);
    for (int i = 31; i >= 24; i--, v >>= 8)
        out[i] = (uint8_t)v;
}

void cv_word_of_address(uint8_t out[32], const cv_address *a)
{
    memset(out, 0, 12);
    memcpy(out + 12, a->b, sizeof a->b);
}

void cv_domain_separator(uint8_t out[32], const cv_domain *d)
{
    uint8_t word[4][32];
    cv_keccak_of(word[0], d->name, strlen(d->name));
    cv_keccak_of(word[1], d->version, strlen(d->version));
    cv_word_of_u64(word[2], d->chain_id);
    cv_word_of_address(word[3], &d->contract);
    cv_struct_hash(out,
                   "EIP712Domain(string name,string version,uint256 chainId,"
                   "address verifyingContract)",
                   word[0], 4);
}

void cv_struct_hash(uint8_t out[32], const char *type, const uint8_t *words,
                    size_t n)
{
    uint8_t type_hash[32];
    cv_keccak k = {0};
    cv_keccak_of(type_hash, type, strlen(type));
    cv_keccak_add(&k, type_hash, sizeof type_hash);
    cv_keccak_add(&k, words, 32 * n);
    cv_keccak_end(&k, out);
}

void cv_typed_digest(uint8_t out[32], const cv_domain *d,
                     const uint8_t struct_hash[32])
{
    static const uint8_t prefix[2] = {0x19, 0x01};
    uint8_t separator[32];
    cv_keccak k = {0};
    cv_domain_separator(separator, d);
    cv_keccak_add(&k, prefix, sizeof prefix);
    cv_keccak_add(&k, separator, sizeof separator);
    cv_keccak_add(&k, struct_hash, 32);
    cv_keccak_end(&k, out);
}

void cv_personal_digest(uint8_t out[32], const void *message, size_t n)
{
    char prefix[64];
    int len = snprintf(prefix, sizeof prefix,
                       "\x19"
                       "Ethereum Signed Message:\n%zu",
                       n);
    cv_keccak k = {0};
    cv_keccak_add(&k, prefix, (size_t)len);
    cv_keccak_add(&k, message, n);
    cv_keccak_end(&k, out);
}

void cv_sig_to_contract(uint8_t out[65], const cv_sig *sig)
{
    memcpy(out, sig->b, 64);
    out[64] = (uint8_t)(27 + sig->b[64]);
}

int cv_sig_from_contract(cv_sig *out, const uint8_t in[65], cv_err *err)
{
    if (in[64] != 27 && in[64] != 28)
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "expected a signature for a contract, which ends in "
                          "27 or 28, found %d",
                          in[64]);
    memcpy(out->b, in, 64);
    out->b[64] = (uint8_t)(in[64] - 27);
    return 0;
}

int cv_sig_recover_address(const cv_sig *sig, cv_address *out,
                           const uint8_t digest[32], cv_err *err)
{
    cv_pubkey key;
    int rc = cv_sig_recover(sig, &key, digest, err);
    return rc ? rc : cv_pubkey_address(out, &key, err);
}
