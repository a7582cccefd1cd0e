/** The messages of keys_read.c, made from the rows of a table.
 *
 *  Each names the key, what was expected, what was found and, where there is
 *  one, the closest right word.  All return CV_ERR_INPUT.
 */
#ifndef COVEY_IO_KEYS_MESSAGE_H
#define COVEY_IO_KEYS_MESSAGE_H

#include "io/keys.h"

/** What a reading carries along. */
typedef struct {
    const cv_keys *keys;
    void *base; /* the struct that is filled */
    const cv_yaml *tree;
    const char *file;
    cv_err *err;
} cv_keys_reader;

/** member (of a map whose rows begin with prefix) has no row. */
int cv_keys_unknown(const cv_keys_reader *r, const cv_yaml *member,
                    const char *prefix);

/** The value at node does not fit the row. */
int cv_keys_wrong(const cv_keys_reader *r, const cv_key *key,
                  const cv_yaml *node);

/** A section, or an item of a list, is not a map. */
int cv_keys_not_map(const cv_keys_reader *r, const char *path,
                    const cv_yaml *node);

/** A required key is not there; line is that of the map it should be in. */
int cv_keys_missing(const cv_keys_reader *r, const cv_key *key, int line);

/** The key is there, but its `when` does not hold. */
int cv_keys_unused(const cv_keys_reader *r, const cv_key *key,
                   const cv_yaml *node, const void *item);

/** Texts that must differ do not. */
int cv_keys_repeated(const cv_keys_reader *r, const cv_key *key,
                     const cv_yaml *first, const cv_yaml *second);

#endif
