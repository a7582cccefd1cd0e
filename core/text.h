/** Text that people write: strict numbers, the closest word. */
#ifndef COVEY_CORE_TEXT_H
#define COVEY_CORE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/** Whole string as a decimal integer / a finite or non-finite double.
 *  Locale-independent; blanks around it are allowed, nothing else.
 *  Returns 0, or -1 if it is not one (or does not fit). */
int cv_parse_i64(int64_t *out, const char *s);
int cv_parse_f64(double *out, const char *s);

/** The word among n that is closest to s by edit distance, or NULL if none is
 *  near enough to be a likely typing error. */
const char *cv_closest(const char *s, const char *const *words, size_t n);

/** Index of s among n words, or -1. */
int cv_word_index(const char *s, const char *const *words, size_t n);

/** 12345678 -> "12,345,678"; bytes -> "12.3 MB". */
void cv_format_count(char *out, int size, int64_t n);
void cv_format_bytes(char *out, int size, double bytes);

/** The shortest text of 6 to 17 digits that reads back as the same number; "NaN",
 *  "Inf", "-Inf". */
enum { CV_F64_TEXT = 32 };
void cv_format_f64(char out[CV_F64_TEXT], double v);

#endif
