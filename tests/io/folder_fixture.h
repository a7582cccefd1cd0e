/** A folder to work in, and the error of the last call.
 *
 *  To be included once, after cmocka.h; FOLDER_FILE names the file meant.
 */
#ifndef COVEY_TESTS_IO_FOLDER_FIXTURE_H
#define COVEY_TESTS_IO_FOLDER_FIXTURE_H

#include <stdlib.h>

#include "core/err.h"
#include "core/fs.h"
#include "core/mem.h"

static char root[] = "/tmp/covey-test.XXXXXX";
static char *file; /* root/FOLDER_FILE */

/* Of the last call. */
static cv_err err;

#define OK(call)                                                               \
    do {                                                                       \
        err = (cv_err){0};                                                     \
        if ((call) != 0)                                                       \
            fail_msg("%s: %s: %s", #call, err.file, err.text);                 \
    } while (0)

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(root))
        return -1;
    file = cv_fs_join(root, FOLDER_FILE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char *command = cv_asprintf("rm -rf %s", root);
    int rc = system(command);
    free(command);
    free(file);
    return rc;
}

#endif
