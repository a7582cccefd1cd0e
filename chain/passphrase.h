/** Pass phrases: from a file or a terminal, never from the command line or the
 *  environment, which other users and logs can see. */
#ifndef COVEY_CHAIN_PASSPHRASE_H
#define COVEY_CHAIN_PASSPHRASE_H

#include <stddef.h>

#include "core/err.h"

#define CV_PASSPHRASE_MAX 1024

/** Bytes as they were typed: no Unicode normalisation, so that a pass phrase
 *  outside ASCII must be typed the same way each time. Start with {0}. */
typedef struct {
    char *text; /* secret memory, terminated; NULL while empty */
    size_t len;
} cv_passphrase;

/** Read a file of one line; its line end does not count.  A file that others
 *  can read is taken, with a warning in the log.
 *  Returns 0; CV_ERR_INPUT if it is not there, has more lines, a NUL or more
 *  than CV_PASSPHRASE_MAX bytes. */
int cv_passphrase_read(const char *path, cv_passphrase *out, cv_err *err);

/** Ask at the terminal, without echo; label is e.g. "pass phrase for k.json".
 *  The terminal is as it was before when this returns, and when a signal ends
 *  the process meanwhile.
 *  Returns 0; CV_ERR_INPUT without a terminal or an answer. */
int cv_passphrase_ask(const char *label, cv_passphrase *out, cv_err *err);

int cv_passphrase_same(const cv_passphrase *a, const cv_passphrase *b);

/** Wipe and release. NULL-safe on a zeroed one. */
void cv_passphrase_wipe(cv_passphrase *p);

#endif
