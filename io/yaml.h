/** YAML files as a small tree in which every node knows its line.
 *
 *  libyaml reads; this file keeps what a settings file needs (scalars, lists,
 *  maps) and refuses the rest: anchors and aliases, tags, a second document,
 *  keys given twice.  Files come from outside, so size, depth and number of
 *  nodes are limited.
 *
 *  Scope: local.
 */
#ifndef COVEY_IO_YAML_H
#define COVEY_IO_YAML_H

#include <stddef.h>
#include <stdint.h>

#include "core/bytes.h"
#include "core/err.h"

enum {
    CV_YAML_MAX_BYTES = 16 << 20,
    CV_YAML_MAX_DEPTH = 32,
    CV_YAML_MAX_NODES = 1 << 20
};

typedef enum { CV_YAML_SCALAR, CV_YAML_LIST, CV_YAML_MAP } cv_yaml_kind;

typedef struct cv_yaml cv_yaml;
struct cv_yaml {
    cv_yaml_kind kind;
    int line;      /* 1-based line on which the value begins */
    int quoted;    /* scalar in quotes or as a block: text, never a number */
    char *text;    /* scalar: UTF-8 without NUL; else NULL */
    char *key;     /* member of a map: its key; else NULL */
    int key_line;  /* line of that key */
    size_t n;      /* items of a list, members of a map */
    cv_yaml *item; /* (n), in the order of the file; owned */
};

/** Parse text (len bytes; `file` is the name for messages).
 *  Returns: 0; CV_ERR_INPUT with file and line when it is not YAML, or not the
 *  part of YAML that is read here. */
int cv_yaml_parse(const char *text, size_t len, const char *file,
                  cv_yaml **root, cv_err *err);
int cv_yaml_load(const char *path, cv_yaml **root, cv_err *err);
void cv_yaml_destroy(cv_yaml **root);

/** Member of a map, or NULL (also when node is NULL or no map). */
const cv_yaml *cv_yaml_get(const cv_yaml *node, const char *key);

/** Is it a scalar without a value: nothing, ~ or null, not in quotes? */
int cv_yaml_is_null(const cv_yaml *node);

/** Strict values (YAML 1.2): plain decimal numbers, no leading zeros, no 0x or
 *  0o, no _, no .inf or .nan; true and false only. A scalar in quotes is text
 *  and so never a number. Return 0, or -1 if the node is not one or it does
 *  not fit. */
int cv_yaml_i64(const cv_yaml *node, int64_t *v);
int cv_yaml_f64(const cv_yaml *node, double *v);
int cv_yaml_bool(const cv_yaml *node, int *v);

/** Append a number in its shortest decimal form that reads back as the same
 *  double (finite), and text in double quotes. */
void cv_yaml_put_f64(cv_buf *out, double v);
void cv_yaml_put_text(cv_buf *out, const char *text);

/** Is it free of control characters, and of those that change how the text
 *  around them is shown? text is UTF-8. */
int cv_yaml_is_clean(const char *text);

/** An excerpt for a message: cut at about 60 bytes, with '?' for characters
 *  that are not clean. */
void cv_yaml_excerpt(char out[80], const char *text);

/** Does one of n texts (NULLs are skipped) appear twice? If so returns 1 and
 *  the positions, first < second, of the repeat that comes earliest. */
int cv_yaml_repeat(const char *const *texts, size_t n, size_t *first,
                   size_t *second);

#endif
