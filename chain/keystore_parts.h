/** Inside chain/ only: the content of a key file. */
#ifndef COVEY_CHAIN_KEYSTORE_PARTS_H
#define COVEY_CHAIN_KEYSTORE_PARTS_H

#include "chain/keystore.h"

enum { CV_SALT_MAX = 128, CV_KEYSTORE_FILE_MAX = 65536 };

struct cv_keystore {
    char file[200];
    cv_kdf kdf;
    uint8_t salt[CV_SALT_MAX];
    size_t salt_len;
    uint8_t iv[16];
    uint8_t text[32]; /* the secret, encrypted; old files drop leading zeros */
    size_t text_len;
    uint8_t mac[32];
    int has_address, has_pubkey;
    cv_address address;
    cv_pubkey pubkey;
};

/** Digest of all that opening depends on, and of the two public members. */
void cv_keystore_digest(uint8_t out[32], const cv_keystore *ks);

/** The file's text, in ks's terms. Returns 0 or CV_ERR_INPUT. */
int cv_keystore_read_json(cv_keystore *ks, const char *text, size_t len,
                          cv_err *err);

#endif
