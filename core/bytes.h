/** Bytes: hexadecimal, little-endian words, a growing text buffer. */
#ifndef COVEY_CORE_BYTES_H
#define COVEY_CORE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/** Lower-case hex of n bytes into out (2n + 1 chars with the terminator). */
void cv_hex(char *out, const uint8_t *in, size_t n);

/** Parse exactly 2n hex digits, optional "0x". Returns 0, or -1 if in is not
 *  that. */
int cv_unhex(uint8_t *out, const char *in, size_t n);

void cv_put_le32(uint8_t out[4], uint32_t v);
void cv_put_le64(uint8_t out[8], uint64_t v);
uint32_t cv_get_le32(const uint8_t in[4]);
uint64_t cv_get_le64(const uint8_t in[8]);
uint32_t cv_get_be32(const uint8_t in[4]);

/** A growing, always terminated text. Start with {0}; free with
 *  cv_buf_free. */
typedef struct {
    char *data; /* NULL while empty */
    size_t len; /* without the terminator */
    size_t cap;
} cv_buf;

void cv_buf_add(cv_buf *b, const void *data, size_t n);
void cv_buf_printf(cv_buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** The text so far, "" if empty; owned by b. */
const char *cv_buf_text(const cv_buf *b);
void cv_buf_free(cv_buf *b);

#endif
