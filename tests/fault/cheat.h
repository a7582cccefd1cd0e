/** A checkpoint in memory, as a root that cheats would change it. */
#ifndef COVEY_TESTS_FAULT_CHEAT_H
#define COVEY_TESTS_FAULT_CHEAT_H

#include "io/checkpoint_reader.h"

typedef struct {
    char *name;
    int kind;
    size_t size;
    uint8_t *value;
} attribute;

typedef struct {
    char *path;
    int is_group;
    cv_h5_layout layout;
    uint8_t *data;
    size_t bytes;
    attribute *attr; /* (n_attrs) */
    int n_attrs;
} item;

typedef struct {
    item *item; /* (n) */
    size_t n;
    const char *out; /* where it is written */
} document;

/** All of these end the program where the document is not as they need it. */
void give_up(const char *fmt, ...) __attribute__((format(printf, 1, 2)))
__attribute__((noreturn));
item *find(document *d, const char *path);
attribute *find_attr(item *it, const char *name);
void set_attr(item *it, const char *name, const char *text);
/** n bytes at this place of an array. */
uint8_t *bytes_at(document *d, const char *path, size_t offset, size_t n);
void write_all(document *d);

/** What a root can make right again without the silos' keys. */
void mend_model(document *d);
void mend_job(document *d);
/** link: each to the one before; else each as it is. */
void mend_records(document *d, int link);
void mend_heads(document *d);
/** And what it can with one: silo's signatures of all records that have some. */
void sign_records(document *d, int silo, const char *secret);
void sign_count(document *d, int silo, const char *secret);
void put_identity(document *d, int silo, const char *secret);
/** Another attestation key: bound by `identity`, with the opening and all heads
 *  signed. */
void put_attester(document *d, int silo, const char *identity,
                  const char *secret);

#endif
