#include "jobs/folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "io/checkpoint.h"

/* The topmost folder on the way to dir that is not there yet, or NULL. */
static char *first_missing(const char *dir)
{
    char *path = cv_strdup(dir), *missing = NULL;
    while (!cv_fs_exists(path)) {
        char *up = cv_fs_dirname(path);
        free(missing);
        missing = path;
        path = up;
    }
    free(path);
    return missing;
}

static int holds_run(const char *dir, int *holds, cv_err *err)
{
    int64_t *rounds = NULL;
    size_t n = 0;
    char *path = cv_fs_join(dir, "run.h5");
    int rc = cv_h5_list(dir, "round", &rounds, &n, err);
    *holds = n > 0 || cv_fs_exists(path);
    free(rounds);
    free(path);
    return rc;
}

static int take_lock(cv_folder *f, cv_err *err)
{
    char *path = cv_fs_join(f->dir, ".lock");
    f->new_lock = !cv_fs_exists(path);
    int rc = cv_fs_lock(path, &f->lock, err);
    if (rc) {
        f->new_lock = 0;
        snprintf(err->file, sizeof err->file, "%s", f->dir);
    }
    free(path);
    return rc;
}

static int start_log(cv_folder *f, cv_err *err)
{
    char *path = cv_fs_join(f->dir, "covey.log");
    int rc = 0;
    f->new_log = !cv_fs_exists(path);
    if (cv_log_open(path, 0644)) {
        f->new_log = 0;
        rc = cv_err_set(err, CV_ERR_ENV, path, 0, "cannot write the log: %s",
                        strerror(errno));
    }
    free(path);
    return rc;
}

int cv_folder_open(cv_folder *f, const char *dir, int resume, cv_err *err)
{
    int holds = 0;
    *f = (cv_folder){.dir = cv_strdup(dir), .lock = -1};
    f->made = first_missing(dir);
    int rc = cv_fs_mkdir(dir, 0755, err);
    if (!rc)
        rc = take_lock(f, err);
    if (!rc)
        rc = holds_run(dir, &holds, err);
    if (!rc && holds && !resume)
        rc = cv_err_set(err, CV_ERR_INPUT, dir, 0,
                        "the folder holds a run already; continue it with "
                        "--resume, or choose another folder with --out");
    return rc ? rc : start_log(f, err);
}

static void remove_in(const char *dir, const char *name)
{
    char *path = cv_fs_join(dir, name);
    unlink(path);
    free(path);
}

/* Folders that are not empty, or are somebody else's, stay. */
static void remove_folders(const char *dir, const char *top)
{
    char *path = cv_strdup(dir);
    while ((rmdir(path) == 0 || errno == ENOENT) && strcmp(path, top) != 0) {
        char *up = cv_fs_dirname(path);
        free(path);
        path = up;
    }
    free(path);
}

void cv_folder_close(cv_folder *f, int undo)
{
    if (!f->dir)
        return;
    cv_log_open(NULL, 0);
    if (undo && f->new_log)
        remove_in(f->dir, "covey.log");
    if (undo && f->new_lock)
        remove_in(f->dir, ".lock");
    if (undo && f->made)
        remove_folders(f->dir, f->made);
    if (f->lock >= 0)
        close(f->lock);
    free(f->dir);
    free(f->made);
    *f = (cv_folder){.lock = -1};
}
