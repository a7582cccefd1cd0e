/** Memory: aligned arrays that are never NULL, and wiping.
 *
 *  A job's memory is known before it starts (`covey check` prints it), so
 *  running out is not an outcome to recover from: the process says what it
 *  asked for and aborts.
 */
#ifndef COVEY_CORE_MEM_H
#define COVEY_CORE_MEM_H

#include <stddef.h>

/** n items of size bytes, zeroed, 64-byte aligned. Free with free().
 *  n = 0 gives a pointer that may be freed. Overflow and exhaustion abort. */
void *cv_calloc(size_t n, size_t size);

/** Grow or shrink an array from malloc/realloc (not cv_calloc). */
void *cv_realloc(void *p, size_t n, size_t size);

/** strdup and printf into fresh memory. */
char *cv_strdup(const char *s);
char *cv_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Overwrite with zeros in a way the compiler keeps. */
void cv_wipe(void *p, size_t n);

/** 1 if n bytes are equal, in a time that does not depend on them: for
 *  secrets and for what an outsider may guess at. */
int cv_equal(const void *a, const void *b, size_t n);

#define CV_NEW(n, type) ((type *)cv_calloc((size_t)(n), sizeof(type)))
#define CV_FREE(p)                                                             \
    do {                                                                       \
        free(p);                                                               \
        (p) = NULL;                                                            \
    } while (0)

#endif
