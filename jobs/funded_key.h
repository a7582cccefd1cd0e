/** The key that pays for transactions: from a key file, opened with a pass
 *  phrase from a file or the terminal. The process is sealed before the secret
 *  is in its memory.  Local. */
#ifndef COVEY_JOBS_FUNDED_KEY_H
#define COVEY_JOBS_FUNDED_KEY_H

#include "chain/key.h"
#include "core/err.h"

int cv_funded_key_open(const char *keystore, const char *password_file,
                       cv_seckey **key, cv_err *err);

/** Options that a person might take for the place of a secret ("--password
 *  hunter2", "--key 0x4c08.."): refused before anything repeats them. */
int cv_refuse_spoken_secret(int argc, char **argv, cv_err *err);

#endif
