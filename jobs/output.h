/** CSV for people: to standard output, or to a file that is whole or not there.
 *  Local. */
#ifndef COVEY_JOBS_OUTPUT_H
#define COVEY_JOBS_OUTPUT_H

#include <stdio.h>

#include "core/err.h"

/** path NULL: standard output. What goes to a file is prepared beside it, so
 *  that its name holds the old content or the whole new one; *tmp (the caller's
 *  to free, and to unlink if close fails) stays NULL for a pipe or a device.
 *  NULL with errno if it cannot be opened. */
FILE *cv_output_open(const char *path, char **tmp);
int cv_output_close(FILE *out, const char *path, const char *tmp, cv_err *err);

/** A field of a CSV file, quoted where it must be. */
void cv_csv_field(FILE *out, const char *s);

#endif
