/** The run folder, its lock and its log. Local: the root's business. */
#ifndef COVEY_JOBS_FOLDER_H
#define COVEY_JOBS_FOLDER_H

#include "core/err.h"

typedef struct {
    char *dir;
    char *made; /* the topmost folder that did not exist before, or NULL */
    int lock;   /* -1: not held */
    int new_lock, new_log; /* these files did not exist before */
} cv_folder;

/** Make dir where it is missing, lock it, start its log. CV_ERR_INPUT if it
 *  holds a run and resume is 0; CV_ERR_ENV if another run has it. */
int cv_folder_open(cv_folder *folder, const char *dir, int resume, cv_err *err);

/** Give it back; undo also removes what cv_folder_open made, for a run that
 *  never started. */
void cv_folder_close(cv_folder *folder, int undo);

#endif
