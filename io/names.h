/** Names of columns and levels: what may be one, looking one up, their order.
 *
 *  Scope: local. Names come from files and from other ranks.
 */
#ifndef COVEY_IO_NAMES_H
#define COVEY_IO_NAMES_H

#include <stddef.h>
#include <stdint.h>

enum {
    CV_NAME_MAX = 256,        /* bytes of a column or level name */
    CV_COLUMNS_MAX = 1000000, /* columns of a table, and encoded ones */
    CV_LEVELS_MAX = 100000,   /* levels of a category */
    CV_CLASSES_MAX = 65536    /* classes of a target of whole numbers */
};

/** NULL if s is a name: 1 to 256 bytes of UTF-8 without control characters.
 *  Else what is wrong with it, to be read after "a name that ". */
const char *cv_name_fault(const char *s, size_t len);

/** "a, b, c, ... (12 in all)": at most `most` of n names, for a message; ends
 *  sooner where `out` is full. "none" without any. */
void cv_names_list(char *out, size_t size, const char *const *names, size_t n,
                   size_t most);
/** "did you mean 'x'? columns: a, b, c" for a name that is not among n names. */
void cv_names_hint(char *out, size_t size, const char *name,
                   const char *const *names, size_t n);

/** A set of names that counts them in order of arrival. Start with {0}. */
typedef struct {
    char **names; /* (n) owned, terminated */
    uint32_t n, cap;
    uint32_t *slots; /* (n_slots) 0 = free, else number + 1 */
    uint64_t *hash;  /* (n) */
    size_t n_slots;
    uint64_t seed;
} cv_name_set;

/** Number of a name, or -1. */
int64_t cv_name_set_find(const cv_name_set *set, const char *s, size_t len);
/** Add a name (copied). Returns 1, or 0 if it was there; *number is its
 *  number either way (may be NULL). */
int cv_name_set_add(cv_name_set *set, const char *s, size_t len,
                    uint32_t *number);
/** Add n terminated names; the index of the first one that was there, or -1. */
int64_t cv_name_set_add_all(cv_name_set *set, char *const *names, size_t n);
/** Take the names out (caller owns the array and each name); the set is empty
 *  afterwards. */
char **cv_name_set_take(cv_name_set *set);
void cv_name_set_free(cv_name_set *set);

/** Sort levels in place: numbers by value, then texts by bytes. Where it is not
 *  NULL, rank_of[old position] = new position. */
void cv_levels_sort(char **levels, size_t n, uint32_t *rank_of);

/** The text of a level that stands for a number; shortest that gives the same
 *  float back. */
void cv_level_of_number(char *out, size_t size, float v);
/** The same of a double; a fraction that is exactly a 32-bit float is most
 *  likely one that was stored as such, and has the float's text ("0.1"). */
void cv_level_of_double(char *out, size_t size, double v);

/** A field of text as a finite decimal number, blanks around it allowed:
 *  "-1.5e3". *s after the number must not continue it: s[len] is readable.
 *  The same value as strtod, sooner.
 *
 *  Returns 0; -1 if it is not a number; 1 if it is one too large for a double
 *  or one of the words inf and infinity; 2 for NaN (any case) */
int cv_number(double *out, const char *s, size_t len);

#endif
