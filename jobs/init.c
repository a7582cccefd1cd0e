/* `covey init`: commented files to start from. */
#include <stdio.h>
#include <string.h>

#include "core/fs.h"
#include "io/template.h"
#include "jobs/commands.h"

static int write_new(const char *path, const char *text, int mode, cv_err *err)
{
    if (cv_fs_exists(path))
        return cv_err_set(err, CV_ERR_INPUT, path, 0,
                          "is there already and was left alone; move it away "
                          "or run `covey init` in another folder");
    int rc = cv_fs_write(path, text, strlen(text), mode, err);
    if (!rc)
        printf("wrote %s\n", path);
    return rc;
}

int cv_cmd_init(int argc, char **argv, cv_err *err)
{
    (void)argv;
    if (argc != 1)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected no arguments; usage: covey init");
    /* Both or none: look before the first is written. */
    if (cv_fs_exists("silo.yaml"))
        return write_new("silo.yaml", cv_template_silo, 0600, err);
    int rc = write_new("job.yaml", cv_template_job, 0644, err);
    if (!rc)
        rc = write_new("silo.yaml", cv_template_silo, 0600, err);
    if (!rc)
        printf("next: edit them, then `covey check job.yaml`\n");
    return rc;
}
