/** Settings files from a table: one row per key says where its value goes, what
 *  it may be, what it is when nobody gives it, and what it means.
 *
 *  Reading, the canonical text, and every message come from the rows, so a new
 *  key is a new row and a new member of the struct.
 *
 *  Paths: "training.local.batch"; a member of the items of a list:
 *  "silos[].name" (lists of maps do not nest).  Two rows may have the same path
 *  with different `when`: one key whose default depends on another key.
 *
 *  Scope: local.
 */
#ifndef COVEY_IO_KEYS_H
#define COVEY_IO_KEYS_H

#include <stddef.h>

#include "core/bytes.h"
#include "core/err.h"
#include "io/yaml.h"

typedef enum {
    CV_KEY_SECTION, /* map that may be left out; int flag at `flag` says it is
                     * there. Sections that are always there need no row */
    CV_KEY_INT,     /* int */
    CV_KEY_I64,     /* int64_t (or uint64_t with a range from 0) */
    CV_KEY_NUMBER,  /* double */
    CV_KEY_BOOL,    /* int */
    CV_KEY_TEXT,    /* char *, UTF-8 without control characters, not empty */
    CV_KEY_WORD,    /* enum: the index among words */
    CV_KEY_NAME,    /* char *, one of words */
    CV_KEY_INTS,    /* int[max_items]; int at `count` */
    CV_KEY_PAIR,    /* double[2], low < high; int at `count` is 1 if given */
    CV_KEY_TEXTS,   /* char **; int at `count` */
    CV_KEY_LIST,    /* array of structs of `size` bytes; int at `count` */
    CV_KEY_LIST_OR_MAP /* the same, or a map with rows "path.x": then `flag` is
                        * not 0 and the caller makes the array */
} cv_key_type;

enum {
    CV_KEY_REQUIRED = 1,
    CV_KEY_UNIQUE = 2,    /* texts of a list, or a text member of its items */
    CV_KEY_NO_DIGEST = 4, /* may change when a run is extended */
    CV_KEY_QUIET = 8 /* a NAME that is not written while it is the default: for
                      * keys that came later, so that older texts and their
                      * digests stay as they were */
};

typedef struct {
    double lo, hi;
    int above, below; /* lo, hi themselves are not allowed */
} cv_key_range;

typedef struct {
    const char *path;
    cv_key_type type;
    size_t offset; /* of the value in the struct, or in the item of the list */
    unsigned flags;
    const char *def;          /* default, as it would be written; NULL: none,
                               * and 0 or NULL then means not given */
    cv_key_range range;       /* of numbers, and of each of INTS */
    const char *const *words; /* NULL at the end */
    const char *expected;     /* instead of the wording made from type, range
                               * and words */
    const char *meaning;      /* a few words */
    /** Text beyond CV_KEY_TEXT's rule: 0, or -1; may rewrite it in place to its
     *  canonical form. */
    int (*check)(char *text);
    /* Used only if the WORD or NAME at path `when` is one of `among` (NULL at
     * the end); `when` is in the same item of the list, or outside lists. Not
     * for SECTION and lists of maps. */
    const char *when;
    const char *const *among;
    size_t count, flag; /* offsets of ints, see the types */
    size_t size;        /* of a list's item */
    int max_items;      /* of any list */
    int min_items;      /* 0: at least one item is needed */
    int max_bytes;      /* of a TEXT; 0: 4096 */
} cv_key;

typedef struct {
    const cv_key *row;
    size_t n;
} cv_keys;

/** Fill the zeroed struct at base from a file's tree; every key is checked
 *  against its row, keys without a row are refused.
 *  Returns 0 or CV_ERR_INPUT; free with cv_keys_free either way. */
int cv_keys_read(const cv_keys *keys, void *base, const cv_yaml *tree,
                 const char *file, cv_err *err);

/** Free what cv_keys_read put into the struct, not the struct itself. */
void cv_keys_free(const cv_keys *keys, void *base);

/** Append the canonical YAML: keys sorted, defaults filled in, rows with one of
 *  the flags in skip left out. Returns the number of nodes that a reader of
 *  the text will count. */
size_t cv_keys_write(const cv_keys *keys, cv_buf *out, const void *base,
                     unsigned skip);

/** Line of the key at path ("a.b.c"), or of the nearest section around it that
 *  the file has. */
int cv_keys_line(const cv_yaml *tree, const char *path);

/** First row with this path (n characters), or NULL. */
const cv_key *cv_keys_find(const cv_keys *keys, const char *path, size_t n);

/** The word that a WORD or NAME row holds. */
const char *cv_keys_word(const cv_key *key, const void *base);

/** Is the key used, given the words in the struct? item: the list's item for
 *  rows with "[]". */
int cv_keys_applies(const cv_keys *keys, const cv_key *key, const void *base,
                    const void *item);

/** cv_key.check: letters, digits, '-', '_', '.'; at most 64; no '.' or '-' at
 *  the beginning, for names go into file names and command lines. */
int cv_keys_check_name(char *text);

/** cv_key.check: a compressed secp256k1 key, "0x02.." or "0x03..". Its digits
 *  become lower case, so that one key has one text. Whether it is a point of
 *  the curve is chain/'s to say. */
int cv_keys_check_public_key(char *text);
/** cv_key.check: an Ethereum address in hex. Whether the checksum in its letters'
 *  case holds is chain/'s to say. */
int cv_keys_check_address(char *text);
#define CV_KEYS_ADDRESS_RULE "0x and 40 hex digits (an Ethereum address)"

/** cv_key.check: digits, and perhaps a point and more digits. */
int cv_keys_check_amount(char *text);
#define CV_KEYS_AMOUNT_RULE "an amount of tokens as a text, such as \"1000.0\""

#define CV_KEYS_PUBLIC_KEY_RULE                                                \
    "0x02 or 0x03 and 64 more hex digits (a compressed secp256k1 key)"

#endif
