/** Keys that several tests know. */
#ifndef COVEY_TESTS_KEY_FIXTURE_H
#define COVEY_TESTS_KEY_FIXTURE_H

#include "chain/key.h"
#include "core/bytes.h"

static const char one[] =
    "0000000000000000000000000000000000000000000000000000000000000001";
static const char order_less_1[] =
    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140";
static const char key_a[] =
    "f8b8af8ce3c7cca5e300d33939540c10d45ce001b8f252bfbc57ba0342904181";
static const char key_b[] =
    "e91671c46231f833a6406ccbea0e3e392c76c167bac1cb013f6f1013980455c2";

static inline cv_seckey *key_of(const char *hex)
{
    uint8_t b[32];
    cv_seckey *key = NULL;
    cv_err err = {0};
    assert_int_equal(cv_unhex(b, hex, 32), 0);
    assert_int_equal(cv_seckey_from_bytes(b, &key, &err), 0);
    return key;
}

static inline cv_pubkey pubkey_of(const cv_seckey *key)
{
    cv_pubkey p;
    cv_seckey_pubkey(key, &p);
    return p;
}

#endif
