/** Key files: Ethereum's keystore version 3 (Web3 Secret Storage).
 *
 *  A file opens in geth, Foundry and wallets, and theirs open here.  Ours have
 *  one more member that others ignore, "covey": the public key, and a digest
 *  of everything that opening depends on.  With it a damaged file and a wrong
 *  pass phrase are told apart; the plain format has one checksum for both.
 *
 *  A file comes from outside: its costs are bounded before any is paid.
 */
#ifndef COVEY_CHAIN_KEYSTORE_H
#define COVEY_CHAIN_KEYSTORE_H

#include <stddef.h>

#include "chain/key.h"
#include "chain/passphrase.h"
#include "chain/scrypt.h"
#include "core/err.h"

/** How a pass phrase becomes a key. */
typedef struct {
    enum { CV_KDF_SCRYPT, CV_KDF_PBKDF2 } kind;
    cv_scrypt_cost scrypt;
    uint32_t iterations; /* PBKDF2 with HMAC-SHA-256 */
} cv_kdf;

/** What new files get: scrypt with n = 2^18, r = 8, p = 1, which takes 256 MiB
 *  and about a second. */
extern const cv_kdf cv_kdf_default;

/** Most iterations of PBKDF2 that a file may ask for. */
#define CV_PBKDF2_MAX 10000000

/** A key file that was read and checked, and is still locked. */
typedef struct cv_keystore cv_keystore;

/** Read a key file.
 *
 *  Scope:    local; no pass phrase needed, no cost paid
 *  In:       text, len   the file's bytes;  file  its name for messages
 *  Returns:  0; CV_ERR_INPUT with the member that is missing, malformed or
 *            out of bounds, or if our digest shows that the file is damaged
 */
int cv_keystore_parse(const char *text, size_t len, const char *file,
                      cv_keystore **out, cv_err *err);
int cv_keystore_load(const char *path, cv_keystore **out, cv_err *err);
void cv_keystore_destroy(cv_keystore **ks);

/** What the file says of itself without a pass phrase. Returns 1 and fills
 *  out, or 0 if the file does not say. An address that goes with the public
 *  key is known to; whether both go with the secret, only opening shows. */
int cv_keystore_address(const cv_keystore *ks, cv_address *out);
int cv_keystore_pubkey(const cv_keystore *ks, cv_pubkey *out);

/** Open it.
 *
 *  Returns:  0; CV_ERR_INPUT for a wrong pass phrase, a damaged file, or an
 *            address or public key that is not this secret's; CV_ERR_ENV
 *            without memory for scrypt
 */
int cv_keystore_unlock(const cv_keystore *ks, const cv_passphrase *pass,
                       cv_seckey **out, cv_err *err);

/** Write key to a new file with mode 0600, whole or not at all; a file that is
 *  there is left alone.
 *  Returns 0; CV_ERR_INPUT if path exists, the pass phrase is empty or the
 *  cost is refused; CV_ERR_ENV if it cannot be written. */
int cv_keystore_save(const char *path, const cv_seckey *key,
                     const cv_passphrase *pass, const cv_kdf *kdf, cv_err *err);

#endif
