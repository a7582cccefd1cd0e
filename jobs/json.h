/** Writing JSON, for --json. Local. */
#ifndef COVEY_JOBS_JSON_H
#define COVEY_JOBS_JSON_H

#include <stdint.h>

#include "core/bytes.h"

/** Values are appended with the commas and escapes they need. key is NULL
 *  inside an array. A number that is not finite becomes null. */
void cv_json_open(cv_buf *b, const char *key, char bracket); /* '{' or '[' */
void cv_json_close(cv_buf *b, char bracket);                 /* '}' or ']' */
void cv_json_string(cv_buf *b, const char *key, const char *text);
void cv_json_i64(cv_buf *b, const char *key, int64_t v);
void cv_json_f64(cv_buf *b, const char *key, double v);

#endif
