/** The subcommands: each parses its own arguments and returns a cv_code, with
 *  err filled when it is negative.  main prints err once and exits. */
#ifndef COVEY_JOBS_COMMANDS_H
#define COVEY_JOBS_COMMANDS_H

#include "core/err.h"

int cv_cmd_init(int argc, char **argv, cv_err *err);
int cv_cmd_check(int argc, char **argv, cv_err *err);
int cv_cmd_run(int argc, char **argv, cv_err *err);
int cv_cmd_inspect(int argc, char **argv, cv_err *err);
int cv_cmd_predict(int argc, char **argv, cv_err *err);
int cv_cmd_convert(int argc, char **argv, cv_err *err);
int cv_cmd_keys(int argc, char **argv, cv_err *err);

#endif
